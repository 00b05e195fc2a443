//! Which route would take a request, and why.

use std::fmt;

use super::{
    Guard as _, Hosts,
    info::{RouteInfo, Routes},
    methods::Methods,
    mount::Place,
    read_guard::read,
    table::{Candidate, Table},
};
use crate::{error::Failure, handler::Parts};

/// Which route would take a request, and why the others would not: what `explain` of a gateway gives.
///
/// It is decided without a request, so a guard, which looks at one, is only named, unless it asks for nothing but the query. With
/// [headers and a client](crate::Description::explain_with) guards are decided, but for closures.
#[derive(Clone, Debug)]
pub struct Explanation {
    method: String,
    /// The name of the listener, if it has routes of its own.
    listener: Option<&'static str>,
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
    /// Its guard does not accept the request.
    GuardRefuses,
    /// It takes the path, but its target takes no encoded slash: the answer is `400`.
    RefusesSlash,
    /// It is for other methods.
    OtherMethod,
    /// It is not asked, since a more specific route takes the request.
    NotAsked,
}

/// What is known of a request.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Its head; of an unknown one only the URL counts.
    pub(crate) parts: &'a Parts,
    /// Whether its headers and its client are known.
    pub(crate) whole: bool,
    /// Whether the path has an encoded slash.
    pub(crate) slashes: bool,
    /// The listener that it comes to, if that has routes of its own.
    pub(crate) listener: Option<&'static str>,
    /// The hosts of the tables that have others than they were written with.
    pub(crate) hosts: Option<&'a Hosts>,
}

/// Whether the guard accepts the request; none if only a real request can tell.
fn accepts(guard: &str, known: Known<'_>) -> Option<bool> {
    let read = read(guard)?;
    (known.whole || read.only_query).then(|| read.guard.accepts(known.parts))
}

fn considered(
    table: &Table,
    candidates: &[Candidate],
    routes: Routes,
    method: Methods,
    known: Known<'_>,
) -> Vec<Considered> {
    let mut taken = false;
    let mut considered = Vec::new();
    for candidate in candidates {
        let Some(route) = routes.0.get(candidate.route as usize) else {
            continue;
        };
        let verdict = match candidate {
            _ if taken => Verdict::NotAsked,
            Candidate { methods, .. } if !methods.contains(method) => Verdict::OtherMethod,
            Candidate { guarded: true, .. } => match accepts(route.guard, known) {
                Some(true) => Verdict::Takes,
                Some(false) => Verdict::GuardRefuses,
                None => Verdict::AsksGuard,
            },
            Candidate { .. } => Verdict::Takes,
        };
        let verdict = match verdict {
            Verdict::Takes if known.slashes && !table.takes_slashes(candidate.route) => {
                Verdict::RefusesSlash
            }
            verdict => verdict,
        };
        taken |= matches!(verdict, Verdict::Takes | Verdict::RefusesSlash);
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
        table: &Table,
        known: Known<'_>,
    ) -> Self {
        let place = Place::new(host, path).among(known.hosts).on(known.listener);
        let found = table.of_listener(known.listener);
        let first = found.map_or(&[][..], |(_, own)| own.at(place));
        let mut candidates = first.to_vec();
        if !Table::is_decided(first) {
            candidates.extend(table.at(place));
        }
        let candidates = table.with_mounted(&candidates, place).list;
        let candidates = candidates.as_ref();
        let own = table.own_methods();
        let considered = considered(table, candidates, routes, methods, known);
        // As in the gateway: what no guard accepts has no method either.
        let refuses = |place: usize| {
            considered
                .get(place)
                .is_some_and(|c| c.verdict == Verdict::GuardRefuses)
        };
        let allowed = candidates
            .iter()
            .enumerate()
            .filter(|(place, _)| !refuses(*place))
            .fold(Methods::NONE, |all, (_, candidate)| {
                all.union(candidate.methods)
            });
        let allowed: Vec<&str> = allowed.names_with(own).collect();
        Self {
            method: method.to_owned(),
            listener: known.listener,
            host: host.to_owned(),
            path: path.to_owned(),
            considered,
            allowed: allowed.join(", "),
            refused: None,
        }
    }

    /// A request that is refused before any route is looked for.
    pub(crate) fn refused(method: &str, url: &str, failure: Failure) -> Self {
        Self {
            method: method.to_owned(),
            listener: None,
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
        } else if self.has(Verdict::RefusesSlash) {
            Some(http::StatusCode::BAD_REQUEST)
        } else if self
            .considered
            .iter()
            .all(|considered| considered.verdict == Verdict::GuardRefuses)
        {
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
        write!(f, "{method} {path} on {host}")?;
        match self.listener {
            Some(listener) => writeln!(f, " at the listener {listener}")?,
            None => writeln!(f)?,
        }
        for Considered { route, verdict } in &self.considered {
            writeln!(
                f,
                "  {route} => {} ({}:{}): {verdict}",
                route.target, route.file, route.line
            )?;
            let takes = matches!(verdict, Verdict::Takes | Verdict::AsksGuard);
            if takes && !route.layers.is_empty() {
                writeln!(f, "    through {}", route.layers.join(", "))?;
            }
        }
        match self.status() {
            Some(http::StatusCode::NOT_FOUND) => writeln!(f, "  404: no route takes this path"),
            Some(http::StatusCode::BAD_REQUEST) => writeln!(
                f,
                "  400: the target takes no encoded slash; `.encoded_slashes()` lets it"
            ),
            Some(_) if self.has(Verdict::AsksGuard) => {
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
    fn has(&self, verdict: Verdict) -> bool {
        self.considered
            .iter()
            .any(|considered| considered.verdict == verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Takes => "takes it",
            Self::AsksGuard => "takes it if the guard accepts",
            Self::GuardRefuses => "its guard does not accept",
            Self::RefusesSlash => "refuses it with 400, since it takes no encoded slash",
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
            listener: "",
            host: "_",
            path,
            exact: false,
            methods: "*",
            guard: "",
            target,
            layers: &[],
            who: "",
            backend: "",
            made: &[],
            rank: 0,
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
        let (parts, _) = crate::handler::Request::new(crate::body::Body::empty()).into_parts();
        let known = Known {
            parts: &parts,
            whole: false,
            slashes: false,
            listener: None,
            hosts: None,
        };
        let table = Table::new("", &[], &[], &[], &[], &[]);
        let verdicts: Vec<_> = considered(&table, &list, routes, Methods::of(&Method::GET), known)
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
