//! What the server itself is set to: the part of `/config` that does not change while it runs.

use std::time::Duration;

use crate::{
    inspect::{Value, Variable},
    server::{Options, ServerVariables, listener::Line, variables::is_secret},
};

/// What a server was started with.
#[derive(Debug)]
pub(in crate::server) struct Config {
    pub(super) listeners: Vec<String>,
    pub(super) limits: Vec<(&'static str, String)>,
    pub(super) variables: Vec<Variable>,
}

/// The optional parts of the runtime that were compiled in.
pub(super) fn features() -> Vec<&'static str> {
    let all = [
        ("auth", cfg!(feature = "auth")),
        ("cache", cfg!(feature = "cache")),
        ("compression", cfg!(feature = "compression")),
        ("dns", cfg!(feature = "dns")),
        ("handover", cfg!(feature = "handover")),
        ("http2", cfg!(feature = "http2")),
        ("json-schema", cfg!(feature = "json-schema")),
        ("jwt", cfg!(feature = "jwt")),
        ("otel", cfg!(feature = "otel")),
        ("redis", cfg!(feature = "redis")),
        ("tls", cfg!(feature = "tls")),
        ("validate", cfg!(feature = "validate")),
    ];
    let on = all.into_iter().filter(|(_, is_on)| *is_on);
    on.map(|(name, _)| name).collect()
}

impl Config {
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self {
            listeners: Vec::new(),
            limits: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// What these options and variables say. `names` are the variables that this server reads; `has_token` says whether the listener has
    /// a token.
    pub(in crate::server) fn new(
        lines: &[Line],
        options: &Options,
        variables: &ServerVariables,
        names: &[&str],
        has_token: bool,
    ) -> Self {
        let time = |time: Duration| match time {
            Duration::ZERO => String::from("0s"),
            time => format!("{time:?}"),
        };
        let connections = options.connections.limit();
        Self {
            listeners: lines.iter().map(Line::to_string).collect(),
            limits: vec![
                ("header_timeout", time(options.header_timeout)),
                ("keep_alive", time(options.keep_alive)),
                ("idle_timeout", time(options.idle_timeout)),
                ("shutdown_delay", time(options.shutdown_delay)),
                ("drain_idle", time(options.drain_idle)),
                ("drain_timeout", time(options.drain_timeout)),
                ("max_header_size", options.max_header_size.to_string()),
                ("max_headers", options.max_headers.to_string()),
                (
                    "max_connections",
                    connections.map_or("none".into(), |limit| limit.to_string()),
                ),
            ],
            variables: names
                .iter()
                .map(|name| Variable {
                    name: (*name).to_owned(),
                    value: match variables.text(name) {
                        Ok(Some(text)) => Value::shown(name, is_secret(name), &text),
                        _ if *name == "ADMIN_TOKEN" && has_token => Value::Secret,
                        _ if is_secret(name)
                            && variables.secret(name).is_ok_and(|it| it.is_some()) =>
                        {
                            Value::Secret
                        }
                        Ok(None) | Err(_) => Value::Missing,
                    },
                })
                .collect(),
        }
    }
}
