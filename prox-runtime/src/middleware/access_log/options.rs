//! What the lines of an access log have, and which requests have a line.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderName, Request, header};

use crate::secret;

/// Fields that are secrets, or hold some.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
];

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) principals: bool,
    pub(super) path: bool,
    pub(super) query: Vec<String>,
    pub(super) headers: Vec<HeaderName>,
    /// The project of Google Cloud.
    pub(super) project: Option<Arc<str>>,
    /// One in so many requests has a line.
    pub(super) sample: u64,
    pub(super) slow: Duration,
    count: Arc<AtomicU64>,
    pub(super) problems: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            principals: false,
            path: true,
            query: Vec::new(),
            headers: Vec::new(),
            project: None,
            sample: 1,
            slow: Duration::from_secs(1),
            count: Arc::default(),
            problems: Vec::new(),
        }
    }
}

impl Options {
    pub(super) fn query(&mut self, name: &str) {
        if secret::is_named(name) {
            self.problems.push(format!(
                "`AccessLog::query`: `{name}` names a secret, which must not be in a log: remove it"
            ));
        } else {
            self.query.push(name.to_owned());
        }
    }

    pub(super) fn header(&mut self, name: &str) {
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => self.problems.push(format!(
                "`AccessLog::header`: {name:?} is not a name of a header"
            )),
            Ok(name) if CREDENTIALS.contains(&name) || secret::is_named(name.as_str()) => {
                self.problems.push(format!(
                    "`AccessLog::header`: `{name}` names a secret, which must not be in a log: remove it"
                ));
            }
            Ok(name) => self.headers.push(name),
        }
    }

    pub(super) fn sample(&mut self, one_in: u64) {
        if one_in == 0 {
            self.problems
                .push("`AccessLog::sample(0)` writes no line: write at least 1".to_owned());
        }
        self.sample = one_in.max(1);
    }

    /// Whether this request is the one in so many.
    pub(super) fn is_sampled(&self) -> bool {
        self.sample == 1 || self.count.fetch_add(1, Relaxed).is_multiple_of(self.sample)
    }

    /// The fields of a request that are written by name, the first of each.
    pub(super) fn fields<B>(&self, req: &Request<B>) -> http::HeaderMap {
        let named = self.headers.iter();
        let found = named.filter_map(|name| Some((name.clone(), req.headers().get(name)?.clone())));
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cannot_be_named() {
        let mut options = Options::default();
        for name in [
            "authorization",
            "Cookie",
            "x-api-key",
            "X-Auth-Token",
            "a b",
        ] {
            options.header(name);
        }
        for name in ["access_token", "client_secret", "Password"] {
            options.query(name);
        }
        options.sample(0);
        assert_eq!(options.problems.len(), 9, "{:?}", options.problems);
        assert!(options.headers.is_empty() && options.query.is_empty());
        options.header("x-tenant");
        options.query("page");
        assert_eq!(options.problems.len(), 9);
        assert_eq!(options.headers, ["x-tenant"]);
    }

    #[test]
    fn one_in_so_many_is_sampled() {
        let mut options = Options::default();
        assert!((0..9).all(|_| options.is_sampled()));
        options.sample(3);
        let sampled = (0..9).filter(|_| options.is_sampled());
        assert_eq!(sampled.count(), 3);
    }
}
