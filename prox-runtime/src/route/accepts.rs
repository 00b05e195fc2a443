//! What a guard asks of a request, as data: for `explain` of a gateway that is not made, and to compare two tables.

use std::{fmt::Write as _, net::IpAddr};

use super::{GuardFn, RequestKey, client_ip, cookie, header, query};
use crate::{coding::quoted, network::Network};

/// What a guard accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Accepts {
    /// What all of these accept.
    All(Vec<Self>),
    /// What any of these accepts.
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Key, Test),
    /// Only a real request can tell; the source text.
    Opaque(String),
}

/// A part of a request; of one that a request repeats the first counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// In lower case.
    Header(String),
    Query(String),
    Cookie(String),
    /// The address of the client.
    Client,
}

/// What a part of a request has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    Exists,
    Absent,
    Is(String),
    StartsWith(String),
    OneOf(Vec<String>),
    /// In this network, for the address of a client.
    Within(String),
}

impl Key {
    /// What it is of a request, and its name.
    pub(super) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Header(name) => ("header", name),
            Self::Query(name) => ("query", name),
            Self::Cookie(name) => ("cookie", name),
            Self::Client => ("client", ""),
        }
    }

    /// The key of this name, if a request can have it.
    pub(super) fn named(word: &str, name: &str) -> Option<Self> {
        Some(match word {
            "header" if header(name).problem().is_none() => Self::Header(name.to_ascii_lowercase()),
            "query" if query(name).problem().is_none() => Self::Query(name.to_owned()),
            "cookie" if cookie(name).problem().is_none() => Self::Cookie(name.to_owned()),
            _ => return None,
        })
    }
}

impl Test {
    /// Whether a value passes; none is one that is absent.
    pub(super) fn takes(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (_, None) => false,
            (Self::Exists, Some(_)) => true,
            (Self::Is(wanted), Some(value)) => wanted == value,
            (Self::StartsWith(start), Some(value)) => value.starts_with(start.as_str()),
            (Self::OneOf(wanted), Some(value)) => wanted.iter().any(|wanted| wanted == value),
            (Self::Within(network), Some(value)) => {
                let ip: Option<IpAddr> = value.parse().ok();
                let network = Network::parse(network);
                ip.zip(network)
                    .is_some_and(|(ip, network)| network.contains(ip))
            }
        }
    }
}

impl Accepts {
    /// The guard; none if only a real request can tell.
    pub(super) fn guard(&self) -> Option<GuardFn> {
        let joined = |all: &[Self], join: fn(GuardFn, GuardFn) -> GuardFn| {
            let mut guards = all.iter().map(Self::guard);
            let first = guards.next()??;
            guards.try_fold(first, |guard, next| Some(join(guard, next?)))
        };
        match self {
            Self::All(all) => joined(all, GuardFn::and),
            Self::Any(any) => joined(any, GuardFn::or),
            Self::Not(inner) => inner.guard().map(GuardFn::not),
            Self::Test(Key::Header(name), test) => tested(header(name), test),
            Self::Test(Key::Query(name), test) => tested(query(name), test),
            Self::Test(Key::Cookie(name), test) => tested(cookie(name), test),
            Self::Test(Key::Client, Test::Within(network)) => Some(client_ip().within(network)),
            Self::Test(Key::Client, _) | Self::Opaque(_) => None,
        }
    }

    /// Shows every test.
    pub(super) fn each<'a>(&'a self, seen: &mut dyn FnMut(&'a Key, &'a Test)) {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.each(seen)),
            Self::Not(inner) => inner.each(seen),
            Self::Test(key, test) => seen(key, test),
            Self::Opaque(_) => {}
        }
    }

    /// The source text of a guard that only a real request can decide.
    pub(super) fn opaque(&self) -> Option<&str> {
        match self {
            Self::Opaque(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a request with these values is accepted; none of a guard that only a real request can decide.
    pub(super) fn decides(&self, value: &dyn Fn(&Key) -> Option<String>) -> Option<bool> {
        Some(match self {
            Self::All(inner) => {
                let mut all = true;
                for one in inner {
                    all &= one.decides(value)?;
                }
                all
            }
            Self::Any(inner) => {
                let mut any = false;
                for one in inner {
                    any |= one.decides(value)?;
                }
                any
            }
            Self::Not(inner) => !inner.decides(value)?,
            Self::Test(key, test) => test.takes(value(key).as_deref()),
            Self::Opaque(_) => return None,
        })
    }

    /// As the row of a route has it in JSON.
    pub(super) fn to_json(&self) -> String {
        match self {
            Self::Opaque(text) => format!("{{\"opaque\":{}}}", quoted(text)),
            Self::All(_) => self.inner_json(),
            one => format!("{{\"all\":[{}]}}", one.inner_json()),
        }
    }

    fn inner_json(&self) -> String {
        let list = |word: &str, inner: &[Self]| {
            let inner: Vec<String> = inner.iter().map(Self::inner_json).collect();
            format!("{{\"{word}\":[{}]}}", inner.join(","))
        };
        match self {
            Self::All(inner) => list("all", inner),
            Self::Any(inner) => list("any", inner),
            Self::Not(inner) => format!("{{\"not\":{}}}", inner.inner_json()),
            Self::Test(key, test) => {
                let (on, name) = key.words();
                let mut json = format!("{{\"on\":\"{on}\"");
                if *key != Key::Client {
                    let _ = write!(json, ",\"name\":{}", quoted(name));
                }
                let _ = match test {
                    Test::Exists => write!(json, ",\"exists\":true"),
                    Test::Absent => write!(json, ",\"exists\":false"),
                    Test::Is(value) => write!(json, ",\"is\":{}", quoted(value)),
                    Test::StartsWith(start) => write!(json, ",\"starts_with\":{}", quoted(start)),
                    Test::Within(network) => write!(json, ",\"within\":{}", quoted(network)),
                    Test::OneOf(values) => {
                        let values: Vec<String> = values.iter().map(|v| quoted(v)).collect();
                        write!(json, ",\"one_of\":[{}]", values.join(","))
                    }
                };
                json.push('}');
                json
            }
            Self::Opaque(text) => format!("{{\"opaque\":{}}}", quoted(text)),
        }
    }
}

/// What a test says of the value of a key.
fn tested<K>(key: RequestKey<K>, test: &Test) -> Option<GuardFn> {
    Some(match test {
        Test::Exists => key.exists(),
        Test::Absent => key.absent(),
        Test::Is(value) => key.is(value),
        Test::StartsWith(start) => key.starts_with(start),
        Test::OneOf(values) => key.one_of(values),
        Test::Within(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_decided_as_the_guard_decides() {
        let is = |value: &str| Test::Is(value.into());
        for (test, value, taken) in [
            (Test::Exists, Some(""), true),
            (Test::Exists, None, false),
            (Test::Absent, None, true),
            (Test::Absent, Some(""), false),
            (is("a"), Some("a"), true),
            (is("a"), Some("A"), false),
            (Test::StartsWith("a".into()), Some("ab"), true),
            (Test::OneOf(vec!["a".into(), "b".into()]), Some("b"), true),
            (Test::Within("10.0.0.0/8".into()), Some("10.1.2.3"), true),
            (Test::Within("10.0.0.0/8".into()), Some("11.1.2.3"), false),
            (Test::Within("10.0.0.0/8".into()), None, false),
        ] {
            assert_eq!(test.takes(value), taken, "{test:?} {value:?}");
        }
    }
}
