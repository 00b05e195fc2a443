//! What a gateway tells an operator of itself: plain data, so that what shows it knows nothing of clusters and routes.

use std::time::SystemTime;

use crate::secret;

/// A gateway as it is now.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// A hash of the table of routes.
    pub(crate) table: String,
    /// How many routes it has.
    pub(crate) routes: usize,
    pub(crate) backends: Vec<Backend>,
    pub(crate) variables: Vec<Variable>,
}

/// A backend as it is now.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: String,
    /// Whether the gateway is not ready without it.
    pub(crate) is_required: bool,
    pub(crate) is_ready: bool,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// An endpoint as it is now.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) condition: &'static str,
    pub(crate) weight: u32,
    pub(crate) priority: u8,
    pub(crate) active: usize,
    pub(crate) waiting: usize,
    /// Connections of HTTP/1.1 that wait for a request.
    pub(crate) idle: usize,
    /// What went wrong last, and when.
    pub(crate) last_error: Option<(String, SystemTime)>,
}

/// A variable of the environment, and what may be shown of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// What may be shown of the value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// It is not set, and has no default that is known.
    Missing,
    /// It is set, and not shown.
    Secret,
    /// It is not set; this is used instead.
    Default(String),
    Set(String),
}

impl Value {
    /// The value of a variable of this name, without what must not be shown.
    pub(crate) fn shown(name: &str, is_secret: bool, text: &str) -> Self {
        if is_secret || secret::is_named(name) {
            Self::Secret
        } else {
            Self::Set(without_user_info(text))
        }
    }
}

/// A change of one endpoint.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) backend: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) change: Change,
}

/// What is to become of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Drain,
    Undrain,
    Weight(u32),
}

/// A text whose URLs have no names of users and no passwords.
fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#' | ',') || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str("(secret)@");
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        for (name, is_secret) in [
            ("A", true),
            ("ADMIN_TOKEN", false),
            ("DB_PASSWORD", false),
            ("api_key", false),
        ] {
            let shown = Value::shown(name, is_secret, "hunter2");
            assert_eq!(shown, Value::Secret, "{name}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_user() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("http://a:81/x@y", "http://a:81/x@y"),
            ("redis://u:p@a:81/0", "redis://(secret)@a:81/0"),
            (
                "http://p@a,http://b , https://u:p@q@c?d=@e",
                "http://(secret)@a,http://b , https://(secret)@c?d=@e",
            ),
            ("x://", "x://"),
        ] {
            let wanted = Value::Set(wanted.into());
            assert_eq!(Value::shown("UPSTREAM", false, text), wanted, "{text}");
        }
    }
}
