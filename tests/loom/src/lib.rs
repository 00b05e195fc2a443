//! What workers share, run with every order in which threads can take its locks.

#![cfg(test)]

mod queue;
