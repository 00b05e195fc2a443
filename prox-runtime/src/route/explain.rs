//! Which route would take a request, and why.

use std::fmt;

use super::{
    info::{RouteInfo, Routes},
    methods::Methods,
    table::Candidate,
};
use crate::error::Failure;

/// Which route would take a request, and why the others would not: what `explain` of a gateway gives.
///
/// It is decided without a request, so a guard, which looks at one, is only named.
#[derive(Clone, Debug)]
pub struct Explanation {
    method: String,
    host: String,
    path: String,
    considered: Vec<Considered>,
    /// The methods that the path takes, as `Allow` has them.
    allowed: String,
    refused: Option<Failure>,
}

/// A route that could take the host and the path, and what became of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Considered {
    /// The route.
    pub route: &'static RouteInfo,
    /// Whether it would take the request.
    pub verdict: Verdict,
}

/// Whether a route would take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It takes the request.
    Takes,
    /// It takes the request if its guard accepts it, which only a real request can tell.
    AsksGuard,
    /// It is for other methods.
    OtherMethod,
    /// It is not asked, since a more specific route takes the request.
    NotAsked,
}

fn considered(candidates: &[Candidate], routes: Routes, method: Methods) -> Vec<Considered> {
    let mut taken = false;
    let mut considered = Vec::new();
    for candidate in candidates {
        let Some(route) = routes.0.get(candidate.route as usize) else {
            continue;
        };
        let verdict = match candidate {
            _ if taken => Verdict::NotAsked,
            Candidate { methods, .. } if !methods.contains(method) => Verdict::OtherMethod,
            Candidate { guarded: true, .. } => Verdict::AsksGuard,
            Candidate { .. } => Verdict::Takes,
        };
        taken |= verdict == Verdict::Takes;
        considered.push(Considered { route, verdict });
    }
    considered
}

impl Explanation {
    /// What becomes of a request with this method for a canonical host and path, which these candidates could take.
    pub(crate) fn of(
        method: &str,
        host: &str,
        path: &str,
        routes: Routes,
        methods: Methods,
        candidates: &[Candidate],
        own: &'static [&'static str],
    ) -> Self {
        let allowed = candidates
            .iter()
            .fold(Methods::NONE, |all, candidate| all.union(candidate.methods));
        let allowed: Vec<&str> = allowed.names_with(own).collect();
        Self {
            method: method.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            considered: considered(candidates, routes, methods),
            allowed: allowed.join(", "),
            refused: None,
        }
    }

    /// A request that is refused before any route is looked for.
    pub(crate) fn refused(method: &str, url: &str, failure: Failure) -> Self {
        Self {
            method: method.to_owned(),
            host: String::new(),
            path: url.to_owned(),
            considered: Vec::new(),
            allowed: String::new(),
            refused: Some(failure),
        }
    }

    /// The route that takes the request if no guard before it does; none if there is none.
    pub fn route(&self) -> Option<&'static RouteInfo> {
        self.considered
            .iter()
            .find(|considered| considered.verdict == Verdict::Takes)
            .map(|considered| considered.route)
    }

    /// The routes that could take the host and the path, in the order in which they are asked.
    pub fn considered(&self) -> &[Considered] {
        &self.considered
    }

    /// The status that the gateway itself gives when no guard accepts and no route takes the request: 404 or 405; or 400 or
    /// 414 when it refuses the request whatever its routes are.
    pub fn status(&self) -> Option<http::StatusCode> {
        if let Some(failure) = self.refused {
            Some(failure.status())
        } else if self.route().is_some() {
            None
        } else if self.considered.is_empty() {
            Some(http::StatusCode::NOT_FOUND)
        } else {
            Some(http::StatusCode::METHOD_NOT_ALLOWED)
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, .. } = self;
        if let Some(failure) = self.refused {
            let status = failure.status().as_u16();
            return writeln!(
                f,
                "{method} {path}\n  {status}: refused as {}",
                failure.name()
            );
        }
        let host = if self.host.is_empty() {
            "any other host"
        } else {
            &self.host
        };
        writeln!(f, "{method} {path} on {host}")?;
        for Considered { route, verdict } in &self.considered {
            writeln!(
                f,
                "  {route} => {} ({}:{}): {verdict}",
                route.target, route.file, route.line
            )?;
        }
        match self.status() {
            Some(http::StatusCode::NOT_FOUND) => writeln!(f, "  404: no route takes this path"),
            Some(_) if self.asks_a_guard() => {
                writeln!(
                    f,
                    "  else 404 or 405: no other route takes this path and method"
                )
            }
            Some(_) => writeln!(f, "  405: the path takes {}", self.allowed),
            None => Ok(()),
        }
    }
}

impl Explanation {
    fn asks_a_guard(&self) -> bool {
        self.considered
            .iter()
            .any(|considered| considered.verdict == Verdict::AsksGuard)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Takes => "takes it",
            Self::AsksGuard => "takes it if the guard accepts",
            Self::OtherMethod => "not for this method",
            Self::NotAsked => "not asked, a more specific route takes it",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn every_route_says_why_it_was_not_taken() {
        let info = |path, target| RouteInfo {
            host: "_",
            path,
            exact: false,
            methods: "*",
            guard: "",
            target,
            layers: &[],
            who: "",
            file: "f.rs",
            line: 1,
        };
        let routes = Routes::new(Vec::leak(vec![info("/a", "one"), info("/", "two")]));
        let candidate = |route, methods, guarded| Candidate {
            route,
            methods,
            guarded,
        };
        let list = [
            candidate(0, Methods::of(&Method::POST), false),
            candidate(0, Methods::ALL, true),
            candidate(1, Methods::ALL, false),
            candidate(1, Methods::ALL, false),
        ];
        let verdicts: Vec<_> = considered(&list, routes, Methods::of(&Method::GET))
            .iter()
            .map(|considered| considered.verdict)
            .collect();
        assert_eq!(
            verdicts,
            [
                Verdict::OtherMethod,
                Verdict::AsksGuard,
                Verdict::Takes,
                Verdict::NotAsked
            ]
        );
    }
}
