//! Whether an upstream that says nothing is still there.
//!
//! A connection with streams under way on which nothing was heard for 20 s is pinged, and is dead when no answer comes within
//! 10 s. While nothing but answers to pings is heard, the next ping comes after 5 minutes only: gRPC servers close
//! connections that ping them more often than that without reason.

use std::{task::Context, time::Duration};

use tokio::time::Instant;

use crate::time::standstill;

/// The silence after which a connection in use is pinged.
const QUIET: Duration = Duration::from_secs(20);

/// As [`QUIET`], when the last thing that was heard is the answer to a ping.
const QUIET_STILL: Duration = Duration::from_mins(5);

/// How long an upstream may take to answer a ping.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Liveness {
    pings: Option<h2::PingPong>,
    heard: u64,
    /// When something was heard last.
    last: Instant,
    patience: Duration,
    asked: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(pings: Option<h2::PingPong>, now: Instant) -> Self {
        Self {
            pings,
            heard: 0,
            last: now,
            patience: QUIET,
            asked: None,
        }
    }

    /// Takes in what was heard so far, altogether.
    pub(super) fn listen(&mut self, cx: &mut Context<'_>, heard: u64, now: Instant) {
        if let Some(pings) = &mut self.pings
            && self.asked.is_some()
            && pings.poll_pong(cx).is_ready()
        {
            self.answered(heard, now);
        }
        self.note(heard, now);
    }

    fn answered(&mut self, heard: u64, now: Instant) {
        self.asked = None;
        self.patience = QUIET_STILL;
        self.heard = heard;
        self.last = now;
    }

    fn note(&mut self, heard: u64, now: Instant) {
        if heard != self.heard {
            self.heard = heard;
            self.last = now;
            // While an answer is due, this may be a part of it.
            if self.asked.is_none() {
                self.patience = QUIET;
            }
        }
    }

    /// When something is to be done next on a connection in use.
    pub(super) fn deadline(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + ANSWER,
            None => self.last + self.patience,
        }
    }

    /// Does it; false when the upstream is dead.
    pub(super) fn act(&mut self, now: Instant) -> bool {
        if now < self.deadline() {
            return true;
        }
        if self.asked.is_some() {
            // If this process stood still, the answer may be there without having been read.
            let stood = standstill::is_late(self.deadline(), now);
            self.asked = Some(now);
            return stood;
        }
        let sent = self
            .pings
            .as_mut()
            .is_some_and(|pings| pings.send_ping(h2::Ping::opaque()).is_ok());
        if sent {
            self.asked = Some(now);
        } else {
            self.last = now;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_only_answers_pings_is_seldom_asked_again() {
        let start = Instant::now();
        let mut liveness = Liveness::new(None, start);
        assert_eq!(liveness.deadline(), start + QUIET);
        let asked = start + QUIET;
        liveness.asked = Some(asked);
        assert_eq!(liveness.deadline(), asked + ANSWER);
        assert!(liveness.act(asked), "there is time left to answer");
        liveness.answered(17, asked);
        liveness.note(17, asked);
        assert_eq!(liveness.deadline(), asked + QUIET_STILL);
        liveness.note(18, asked);
        assert_eq!(liveness.deadline(), asked + QUIET);
    }

    #[test]
    fn an_upstream_that_does_not_answer_is_dead() {
        let start = Instant::now();
        let mut liveness = Liveness::new(None, start);
        liveness.asked = Some(start);
        assert!(!liveness.act(start + ANSWER));
    }

    #[test]
    fn an_upstream_may_answer_after_a_standstill_of_this_process() {
        let start = Instant::now();
        let mut liveness = Liveness::new(None, start);
        liveness.asked = Some(start);
        let late = start + ANSWER * 6;
        assert!(liveness.act(late));
        assert_eq!(liveness.deadline(), late + ANSWER);
        assert!(!liveness.act(late + ANSWER));
    }
}
