//! Black-box tests over sockets: one binary, a module for each theme.
