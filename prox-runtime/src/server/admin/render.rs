//! What is known, as JSON for programs and as tables for people.

use std::time::SystemTime;

use super::config::{Config, features};
use crate::{
    civil::Rfc3339,
    coding::quoted,
    columns::Columns,
    inspect::{Backend, Endpoint, Inspection, Value, Variable},
};

/// The backends and their endpoints as JSON.
pub(super) fn endpoints_json(backends: &[Backend]) -> String {
    let endpoint = |endpoint: &Endpoint| {
        let last_error = match &endpoint.last_error {
            None => String::from("null"),
            Some((reason, time)) => format!(
                "{{\"reason\":{},\"time\":\"{}\"}}",
                quoted(reason),
                Rfc3339(*time)
            ),
        };
        format!(
            "\n    {{\"address\":{},\"condition\":{},\"weight\":{},\"priority\":{},\"active\":{},\"waiting\":{},\"idle\":{},\"last_error\":{last_error}}}",
            quoted(&endpoint.address),
            quoted(endpoint.condition),
            endpoint.weight,
            endpoint.priority,
            endpoint.active,
            endpoint.waiting,
            endpoint.idle,
        )
    };
    let backends = backends.iter().map(|backend| {
        let endpoints: Vec<String> = backend.endpoints.iter().map(endpoint).collect();
        format!(
            "\n  {{\"name\":{},\"required\":{},\"ready\":{},\"endpoints\":[{}]}}",
            quoted(&backend.name),
            backend.is_required,
            backend.is_ready,
            endpoints.join(",")
        )
    });
    format!(
        "{{\"backends\":[{}\n]}}\n",
        backends.collect::<Vec<_>>().join(",")
    )
}

/// The endpoints as a table.
pub(super) fn endpoints_table(backends: &[Backend], now: SystemTime) -> String {
    let mut columns = Columns::new([
        "BACKEND",
        "ENDPOINT",
        "CONDITION",
        "WEIGHT",
        "ACTIVE",
        "WAITING",
        "IDLE",
        "LAST ERROR",
    ]);
    for backend in backends {
        if backend.endpoints.is_empty() {
            let mut row: [String; 8] = std::array::from_fn(|_| "-".into());
            row[0].clone_from(&backend.name);
            columns.row(row);
        }
        for endpoint in &backend.endpoints {
            columns.row([
                backend.name.clone(),
                endpoint.address.clone(),
                endpoint.condition.into(),
                endpoint.weight.to_string(),
                endpoint.active.to_string(),
                endpoint.waiting.to_string(),
                endpoint.idle.to_string(),
                endpoint
                    .last_error
                    .as_ref()
                    .map_or("-".into(), |(reason, time)| {
                        let ago = now.duration_since(*time).unwrap_or_default();
                        format!("{} ({} s ago)", printable(reason), ago.as_secs())
                    }),
            ]);
        }
    }
    columns.to_string()
}

/// The configuration as JSON.
pub(super) fn config_json(gateway: &Inspection, config: &Config) -> String {
    let list = |texts: &[String]| texts.join(",");
    let listeners: Vec<String> = config.listeners.iter().map(|text| quoted(text)).collect();
    let features: Vec<String> = features().into_iter().map(quoted).collect();
    let limits = config.limits.iter();
    let limits: Vec<String> = limits
        .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
        .collect();
    let variables: Vec<String> = variables(gateway, config)
        .into_iter()
        .map(|Variable { name, value }| {
            let (value, from) = match value {
                Value::Missing => ("null".into(), "missing"),
                Value::Secret => ("\"set\"".into(), "environment"),
                Value::Default(text) => (quoted(text), "default"),
                Value::Set(text) => (quoted(text), "environment"),
            };
            format!(
                "\n    {{\"name\":{},\"value\":{value},\"from\":\"{from}\"}}",
                quoted(name)
            )
        })
        .collect();
    format!(
        "{{\n  \"version\":{},\n  \"features\":[{}],\n  \"routes\":{},\n  \"table\":{},\n  \"listeners\":[{}],\n  \"limits\":{{{}}},\n  \"variables\":[{}\n  ]\n}}\n",
        quoted(env!("CARGO_PKG_VERSION")),
        list(&features),
        gateway.routes,
        quoted(&gateway.table),
        list(&listeners),
        list(&limits),
        list(&variables),
    )
}

/// The configuration as a table.
pub(super) fn config_table(gateway: &Inspection, config: &Config) -> String {
    let mut columns = Columns::bare();
    let mut row = |name: &str, value: String| columns.row([name.to_owned(), value]);
    row("version", env!("CARGO_PKG_VERSION").into());
    row("features", features().join(" "));
    row("routes", gateway.routes.to_string());
    row("table", gateway.table.clone());
    for at in &config.listeners {
        row("listener", at.clone());
    }
    for (name, value) in &config.limits {
        row(name, value.clone());
    }
    for Variable { name, value } in variables(gateway, config) {
        let value = match value {
            Value::Missing => "-".into(),
            Value::Secret => "set".into(),
            Value::Default(text) => format!("{} (default)", printable(text)),
            Value::Set(text) => printable(text),
        };
        row(name, value);
    }
    columns.to_string()
}

/// The variables of the gateway and its server, each once.
fn variables<'v>(gateway: &'v Inspection, config: &'v Config) -> Vec<&'v Variable> {
    let mut all: Vec<&Variable> = gateway.variables.iter().collect();
    for variable in &config.variables {
        if !all.iter().any(|known| known.name == variable.name) {
            all.push(variable);
        }
    }
    all
}

/// A text on one line.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn backends(time: SystemTime) -> Vec<Backend> {
        let endpoint = |address: &str, last_error| Endpoint {
            address: address.into(),
            condition: "healthy",
            weight: 1,
            priority: 0,
            active: 2,
            waiting: 3,
            idle: 4,
            last_error,
        };
        vec![
            Backend {
                name: "users".into(),
                is_required: true,
                is_ready: false,
                endpoints: vec![
                    endpoint("http://10.0.0.1:8080", None),
                    endpoint("http://10.0.0.2:8080", Some(("say \"no\"\n".into(), time))),
                ],
            },
            Backend {
                name: "found".into(),
                is_required: false,
                is_ready: false,
                endpoints: Vec::new(),
            },
        ]
    }

    #[test]
    fn endpoints_are_told_with_their_last_error() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(
            endpoints_json(&backends(time)),
            r#"{"backends":[
  {"name":"users","required":true,"ready":false,"endpoints":[
    {"address":"http://10.0.0.1:8080","condition":"healthy","weight":1,"priority":0,"active":2,"waiting":3,"idle":4,"last_error":null},
    {"address":"http://10.0.0.2:8080","condition":"healthy","weight":1,"priority":0,"active":2,"waiting":3,"idle":4,"last_error":{"reason":"say \"no\"\n","time":"1970-01-01T00:00:01.500Z"}}]},
  {"name":"found","required":false,"ready":false,"endpoints":[]}
]}
"#
        );
        assert_eq!(
            endpoints_table(&backends(time), time + Duration::from_secs(7)),
            "\
BACKEND  ENDPOINT              CONDITION  WEIGHT  ACTIVE  WAITING  IDLE  LAST ERROR
users    http://10.0.0.1:8080  healthy    1       2       3        4     -
users    http://10.0.0.2:8080  healthy    1       2       3        4     say \"no\"  (7 s ago)
found    -                     -          -       -       -        -     -
"
        );
    }

    #[test]
    fn a_variable_of_both_is_shown_once() {
        let variable = |name: &str, value| Variable {
            name: name.into(),
            value,
        };
        let gateway = Inspection {
            variables: vec![
                variable("PORT", Value::Default("81".into())),
                variable("DB", Value::Secret),
            ],
            ..Inspection::default()
        };
        let config = Config {
            listeners: vec!["http://0.0.0.0:81".into()],
            limits: vec![("header_timeout", "10s".into())],
            variables: vec![
                variable("PORT", Value::Missing),
                variable("HOST", Value::Missing),
            ],
        };
        let json = config_json(&gateway, &config);
        assert_eq!(json.matches("PORT").count(), 1, "{json}");
        for part in [
            r#"{"name":"PORT","value":"81","from":"default"}"#,
            r#"{"name":"DB","value":"set","from":"environment"}"#,
            r#"{"name":"HOST","value":null,"from":"missing"}"#,
            r#""limits":{"header_timeout":"10s"}"#,
            r#""listeners":["http://0.0.0.0:81"]"#,
        ] {
            assert!(json.contains(part), "{part}: {json}");
        }
        let text = config_table(&gateway, &config);
        assert!(text.contains("\nPORT            81 (default)\n"), "{text}");
        assert!(text.ends_with("\nHOST            -\n"), "{text}");
    }
}
