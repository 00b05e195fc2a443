//! One route with several targets, each with its share of the requests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::header;

use super::target::{IntoTarget, Kind, Target};
use crate::{
    client::Client,
    cluster::{Affinity, Belongs, IntoSticky, Sticky},
    error::{Error, Failure, Result},
    handler::{BoxHandler, Handler, Request, Response},
    respond,
};

/// `split { 95 => users, 5 => canary }`: requests in proportion to the numbers.
///
/// The shares are exact over each round of as many requests as the numbers add up to, and evenly mixed within it. With
/// [`sticky`](Self::sticky) that holds for the clients that are new, and a client stays where it was first.
#[derive(Debug, Default)]
pub struct Split {
    arms: Vec<(u32, Target)>,
    sticky: Option<Sticky>,
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
            Ok(Target(Kind::Readiness(..))) => {
                let text =
                    "`readiness()` answers for all of the gateway: it cannot be an arm of a split";
                self.problem = Some(self.problem.unwrap_or_else(|| Error::config(text)));
            }
            Ok(target) => self.arms.push((share, target)),
            Err(error) => self.problem = Some(self.problem.unwrap_or(error)),
        }
        self
    }

    /// Keeps a client at the target that it was given first: `split { 95 => users, 5 => canary }.sticky(cookie("variant"))`.
    /// Off by default.
    ///
    /// The response sets a cookie that stands for the target, with the attributes that [`Sticky`] has; a request that brings it
    /// goes there again, whatever the shares are by then. When that target has no share any more, or is gone, the client is given
    /// another one, and the cookie anew. That a target fails moves nobody: its answer is the client's, since somebody who is part
    /// of an experiment should not see both sides of it. Without a [secret](Sticky::secret) a client can choose its target.
    ///
    /// A backend is known by its name, so that arms may be added, taken out and put in another order; other targets by their place
    /// among those without a name.
    #[must_use]
    pub fn sticky(mut self, sticky: impl IntoSticky) -> Self {
        self.sticky = Some(sticky.into_sticky());
        self
    }

    pub(super) fn build(self, name: &str) -> Result<Target> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if let Some(Err(problem)) = self.sticky.as_ref().map(Sticky::check) {
            return Err(Error::config(format!("`{name}`: {problem}")));
        }
        let (mut total, mut arms) = (0, Vec::new());
        let (mut clusters, mut names) = (Vec::new(), Vec::new());
        let mut locations = Vec::new();
        for (share, target) in self.arms {
            names.push(name_of(&target, &names));
            clusters.extend(target.clusters().iter().cloned());
            locations.extend(target.locations().iter().cloned());
            total += u64::from(share);
            arms.push((total, share > 0, target.into_handler()));
        }
        if total == 0 {
            return Err(Error::config(format!(
                "`{name}`: no target of the split has a share above 0"
            )));
        }
        let affinity = self.sticky.map(|sticky| {
            // Not by the name of the target, which has the shares in it.
            let affinity = Affinity::new(&sticky, "split");
            let values = names.iter().map(|name| affinity.value(name)).collect();
            (affinity, values)
        });
        let handler = BoxHandler::new(Splitter {
            arms,
            stride: stride(total),
            total,
            next: AtomicU64::new(0),
            affinity,
        });
        Ok(Target(Kind::Handler(handler, clusters, locations)))
    }
}

/// What a target is known by in a cookie.
fn name_of(target: &Target, earlier: &[String]) -> String {
    let name = match target.clusters() {
        [cluster] => cluster.name(),
        _ => "",
    };
    // One of so many is not among the earlier ones.
    (0..=earlier.len())
        .map(|count| format!("{name}#{count}"))
        .find(|name| !earlier.contains(name))
        .unwrap_or_default()
}

struct Splitter {
    /// Where the share of each arm ends, and whether it has one.
    arms: Vec<(u64, bool, BoxHandler)>,
    total: u64,
    stride: u64,
    next: AtomicU64,
    /// What stands for each arm in the cookie.
    affinity: Option<(Affinity, Vec<u64>)>,
}

impl Splitter {
    fn pick(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.total;
        // Both factors are below 2^40, a sum of 32-bit shares, so widening keeps the product exact.
        let place = u128::from(turn) * u128::from(self.stride) % u128::from(self.total);
        self.arms
            .partition_point(|&(end, ..)| u128::from(end) <= place)
    }

    async fn ask(&self, index: usize, req: Request) -> Response {
        match self.arms.get(index) {
            Some((.., handler)) => handler.call(req).await,
            None => respond::failure(Failure::Internal, respond::is_grpc(req.headers())),
        }
    }
}

impl Handler for Splitter {
    async fn call(&self, req: Request) -> Response {
        let Some((affinity, values)) = &self.affinity else {
            return self.ask(self.pick(), req).await;
        };
        let arm = |value| values.iter().position(|&known| known == value);
        if let Belongs::To(value) = affinity.of(req.headers(), |value| arm(value).is_some())
            && let Some(index) = arm(value)
            && self.arms.get(index).is_some_and(|&(_, shared, _)| shared)
        {
            return self.ask(index, req).await;
        }
        let index = self.pick();
        let client = req.extensions().get::<Arc<Client>>();
        let secure = client.is_some_and(|client| client.scheme() == "https");
        let mut response = self.ask(index, req).await;
        let value = values.get(index);
        if let Some(cookie) = value.and_then(|&value| affinity.bind(value, secure)) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
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

    /// The body of the answer to a request with this cookie, and the cookie that it sets.
    async fn asked(handler: &BoxHandler, cookie: Option<&str>) -> (String, Option<String>) {
        let mut req = Request::new(Body::empty());
        if let Some(cookie) = cookie {
            let cookie = cookie.parse().unwrap();
            req.headers_mut().insert(header::COOKIE, cookie);
        }
        let response = handler.call(req).await;
        let set = response.headers().get(header::SET_COOKIE);
        let set = set.map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().bytes(9).await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), set)
    }

    fn sticky(arms: &[(u32, &'static str)]) -> BoxHandler {
        let arms = arms.iter();
        let split = arms.fold(Split::new(), |split, &(share, text)| {
            split.arm(share, respond(200, text))
        });
        let split = split.sticky(Sticky::cookie("variant"));
        split.build("split").unwrap().into_handler()
    }

    #[tokio::test]
    async fn a_client_stays_with_its_target_while_that_has_a_share() {
        let handler = sticky(&[(1, "a"), (1, "b")]);
        let (first, set) = asked(&handler, None).await;
        let set = set.unwrap();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let pair = set.split(';').next().unwrap();
        for _ in 0..5 {
            assert_eq!(asked(&handler, Some(pair)).await, (first.clone(), None));
        }
        // Other shares change nothing for who has been here, until its target has none.
        let shares = |share, other| {
            if first == "a" {
                (share, other)
            } else {
                (other, share)
            }
        };
        let (a, b) = shares(1, 99);
        let handler = sticky(&[(a, "a"), (b, "b")]);
        assert_eq!(asked(&handler, Some(pair)).await, (first.clone(), None));
        let (a, b) = shares(0, 1);
        let handler = sticky(&[(a, "a"), (b, "b")]);
        let (other, set) = asked(&handler, Some(pair)).await;
        assert!(other != first && set.is_some());
        let (_, set) = asked(&handler, Some("variant=forged")).await;
        assert!(set.is_some());
    }

    #[tokio::test]
    async fn the_shares_are_those_of_new_clients() {
        let handler = sticky(&[(3, "a"), (1, "b")]);
        let mut counts = [0, 0];
        for _ in 0..40 {
            let (body, _) = asked(&handler, None).await;
            counts[usize::from(body == "b")] += 1;
        }
        assert_eq!(counts, [30, 10]);
    }

    #[test]
    fn a_backend_is_known_by_its_name_and_others_by_their_place() {
        let users = || crate::cluster::upstream("http://a").build("users").unwrap();
        let mut names = Vec::new();
        for target in [
            users().into_target("split").unwrap(),
            respond(200, "").into_target("split").unwrap(),
            users().into_target("split").unwrap(),
            respond(200, "").into_target("split").unwrap(),
        ] {
            names.push(name_of(&target, &names));
        }
        assert_eq!(names, ["users#0", "#0", "users#1", "#1"]);
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
        assert!(
            Split::new()
                .arm(1, crate::readiness())
                .build("split")
                .is_err()
        );
        let nameless = Split::new()
            .arm(1, respond(200, ""))
            .sticky(Sticky::cookie("a b"));
        assert!(nameless.build("split").is_err());
    }
}
