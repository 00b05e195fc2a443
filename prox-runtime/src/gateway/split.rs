//! One route with several targets, each with its share of the requests.

use std::sync::atomic::{AtomicU64, Ordering};

use super::target::{IntoTarget, Kind, Target};
use crate::{
    error::{Error, Failure, Result},
    handler::{BoxHandler, Handler, Request, Response},
    respond,
};

/// `split { 95 => users, 5 => canary }`: requests in proportion to the numbers.
///
/// The shares are exact over each round of as many requests as the numbers add up to, and evenly mixed within it.
#[derive(Debug, Default)]
pub struct Split {
    arms: Vec<(u32, Target)>,
    problem: Option<Error>,
}

impl Split {
    /// A split without arms; it needs one at least.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a target its share, relative to the shares of the others; 0 gives it nothing.
    #[must_use]
    pub fn arm(mut self, share: u32, target: impl IntoTarget) -> Self {
        match target.into_target("split") {
            Ok(target) => self.arms.push((share, target)),
            Err(error) => self.problem = Some(self.problem.unwrap_or(error)),
        }
        self
    }

    pub(super) fn build(self, name: &str) -> Result<Target> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut total = 0;
        let arms: Vec<(u64, BoxHandler)> = self
            .arms
            .into_iter()
            .filter(|&(share, _)| share > 0)
            .map(|(share, target)| {
                total += u64::from(share);
                (total, target.into_handler())
            })
            .collect();
        if arms.is_empty() {
            return Err(Error::config(format!(
                "`{name}`: no target of the split has a share above 0"
            )));
        }
        Ok(Target(Kind::Handler(BoxHandler::new(Splitter {
            arms,
            stride: stride(total),
            total,
            next: AtomicU64::new(0),
        }))))
    }
}

struct Splitter {
    /// Where the share of each arm ends.
    arms: Vec<(u64, BoxHandler)>,
    total: u64,
    stride: u64,
    next: AtomicU64,
}

impl Splitter {
    fn pick(&self) -> Option<&BoxHandler> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.total;
        // Both factors are below 2^40, a sum of 32-bit shares, so widening keeps the product exact.
        let place = u128::from(turn) * u128::from(self.stride) % u128::from(self.total);
        self.arms
            .iter()
            .find(|&&(end, _)| place < u128::from(end))
            .map(|(_, handler)| handler)
    }
}

impl Handler for Splitter {
    async fn call(&self, req: Request) -> Response {
        match self.pick() {
            Some(handler) => handler.call(req).await,
            None => respond::failure(Failure::Internal, respond::is_grpc(req.headers())),
        }
    }
}

/// A step near the golden ratio of `total` that shares no factor with it, so that it visits every place once a round.
fn stride(total: u64) -> u64 {
    let golden = total / 1000 * 618 + total % 1000 * 618 / 1000;
    (golden.max(1)..=total.max(1))
        .find(|&step| gcd(step, total) == 1)
        .unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, gateway::respond};

    async fn statuses(split: Split, requests: usize) -> Vec<u16> {
        let handler = split.build("split").unwrap().into_handler();
        let mut statuses = Vec::new();
        for _ in 0..requests {
            let response = handler.call(Request::new(Body::empty())).await;
            statuses.push(response.status().as_u16());
        }
        statuses
    }

    #[tokio::test]
    async fn shares_are_exact_and_mixed() {
        let split = Split::new()
            .arm(95, respond(200, "a"))
            .arm(5, respond(201, "b"));
        let statuses = statuses(split, 200).await;
        assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 10);
        let longest = statuses
            .split(|&status| status == 201)
            .map(<[u16]>::len)
            .max();
        assert!(longest < Some(40), "{statuses:?}");
    }

    #[test]
    fn a_split_without_shares_is_refused() {
        assert!(Split::new().build("split").is_err());
        assert!(
            Split::new()
                .arm(0, respond(200, ""))
                .build("split")
                .is_err()
        );
        assert!(Split::new().arm(1, respond(99, "")).build("split").is_err());
    }
}
