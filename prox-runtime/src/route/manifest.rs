//! The table of variables in the forms in which they are set: a `.env` file, and in Kubernetes the `env:` of a container or a
//! `ConfigMap`.

use std::fmt::Write as _;

use super::{EnvInfo, Variables};
use crate::coding::quoted;

impl Variables {
    /// A `.env` file: each variable with what is known of it as comments, `NAME=` if it has to be filled in.
    ///
    /// A default that is a literal is written as the value. Of any other, and of a variable that may be missing, the value is
    /// left empty, which counts as not set.
    pub fn to_dotenv(&self) -> String {
        let mut text = String::new();
        for variable in self.iter() {
            if !text.is_empty() {
                text.push('\n');
            }
            comments(&mut text, variable, "");
            let value = variable.plain_default().and_then(|value| in_dotenv(&value));
            let _ = writeln!(text, "{}={}", variable.name, value.unwrap_or_default());
        }
        text
    }

    /// The list `env:` of a container in Kubernetes, as YAML; values as in [`to_dotenv`](Self::to_dotenv). A variable of the type `Secret`
    /// is the key of its name in a Secret that is called `gateway`.
    pub fn to_kubernetes(&self) -> String {
        if self.is_empty() {
            return String::from("env: []\n");
        }
        let mut text = String::from("env:\n");
        for variable in self.iter() {
            comments(&mut text, variable, "  ");
            let _ = writeln!(text, "  - name: {}", quoted(variable.name));
            if variable.is_secret() {
                text.push_str("    valueFrom:\n      secretKeyRef:\n        name: gateway\n");
                let _ = writeln!(text, "        key: {}", quoted(variable.name));
                if variable.is_optional() {
                    text.push_str("        optional: true\n");
                }
                continue;
            }
            let value = variable.plain_default().unwrap_or_default();
            let _ = writeln!(text, "    value: {}", quoted(&value));
        }
        text
    }

    /// A `ConfigMap` of Kubernetes that is called `gateway`, as YAML, for `envFrom:` of a container; values as in
    /// [`to_dotenv`](Self::to_dotenv). A variable of the type `Secret` is a comment: it belongs into a Secret.
    pub fn to_configmap(&self) -> String {
        let mut text =
            String::from("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gateway\n");
        let (secrets, plain): (Vec<_>, Vec<_>) =
            self.iter().partition(|variable| variable.is_secret());
        text.push_str(if plain.is_empty() {
            "data: {}\n"
        } else {
            "data:\n"
        });
        for variable in plain {
            comments(&mut text, variable, "  ");
            let value = variable.plain_default().unwrap_or_default();
            let _ = writeln!(text, "  {}: {}", quoted(variable.name), quoted(&value));
        }
        for secret in secrets {
            let _ = writeln!(
                text,
                "  # {} is a secret: put it into a Secret",
                secret.name
            );
        }
        text
    }
}

/// The documentation, then the type, whether it must be set, and what needs it.
fn comments(text: &mut String, variable: &EnvInfo, indent: &str) {
    for line in variable.doc.lines() {
        let _ = writeln!(text, "{indent}# {}", on_one_line(line.trim()));
    }
    let set = match variable.default {
        Some(default) => format!("default {default}"),
        None if variable.is_optional() => String::from("optional"),
        None => String::from("required"),
    };
    let _ = write!(text, "{indent}# {}, {}", variable.ty, on_one_line(&set));
    if !variable.needed_by.is_empty() {
        let _ = write!(text, "; needed by {}", on_one_line(variable.needed_by));
    }
    text.push('\n');
}

fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl EnvInfo {
    /// The text that would read as the default, if that is a literal.
    pub(crate) fn plain_default(&self) -> Option<String> {
        let default = self.default?;
        if let Some(text) = literal_text(default) {
            return Some(text.to_owned());
        }
        if matches!(default, "true" | "false") {
            return Some(default.to_owned());
        }
        let number = default.replace('_', "");
        let digits = number.strip_prefix('-').unwrap_or(&number);
        if self.ty.ends_with("Duration") {
            let unit = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            let known = unit.len() < digits.len() && matches!(unit, "ms" | "s" | "m" | "h");
            return known.then_some(number);
        }
        let number = number.strip_suffix(self.ty).unwrap_or(&number);
        (number.parse::<f64>().is_ok() && number.contains(|c: char| c.is_ascii_digit()))
            .then(|| number.to_owned())
    }
}

/// The text of a string literal without escapes, as it stands or made into the variable's type.
fn literal_text(source: &str) -> Option<&str> {
    let inner = match source.strip_prefix("String::from(") {
        Some(inner) => inner.strip_suffix(')')?,
        None => source,
    };
    let (text, behind) = inner.strip_prefix('"')?.split_once('"')?;
    let made = [
        "",
        ".into()",
        ".to_owned()",
        ".to_string()",
        ".parse().unwrap()",
    ];
    (made.contains(&behind) && !text.contains('\\')).then_some(text)
}

/// The value as every reader of such files understands it, if there is a way.
fn in_dotenv(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:,@%+-=?".contains(c);
    if value.chars().all(plain) {
        Some(value.to_owned())
    } else if value.contains('\'') || value.contains(char::is_control) {
        None
    } else {
        Some(format!("'{value}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(ty: &'static str, default: Option<&'static str>, doc: &'static str) -> EnvInfo {
        EnvInfo {
            name: "NAME",
            ty,
            default,
            doc,
            needed_by: "",
        }
    }

    #[test]
    fn only_literals_are_written_as_values() {
        let cases = [
            ("u32", "100", Some("100")),
            ("u32", "1_000u32", Some("1000")),
            ("i8", "-1", Some("-1")),
            ("f64", "0.5", Some("0.5")),
            ("bool", "true", Some("true")),
            ("Duration", "5s", Some("5s")),
            ("std::time::Duration", "250ms", Some("250ms")),
            ("Duration", "1.5s", None),
            ("Duration", "s", None),
            ("u64", "16KiB", None),
            ("String", "\"a b\".to_owned()", Some("a b")),
            ("String", "String::from(\"a\")", Some("a")),
            ("String", "\"a\\n\".to_owned()", None),
            (
                "Endpoint",
                "\"http://a\".parse().unwrap()",
                Some("http://a"),
            ),
            ("u32", "f(1)", None),
            ("f64", "inf", None),
        ];
        for (ty, default, wanted) in cases {
            let found = info(ty, Some(default), "").plain_default();
            assert_eq!(found.as_deref(), wanted, "{ty} {default}");
        }
    }

    #[test]
    fn a_dotenv_file_says_what_each_is_for() {
        let rows = vec![
            EnvInfo {
                needed_by: "backend users",
                ..info("Endpoint", None, "Where the\nusers live.")
            },
            info("String", Some("\"it is\".into()"), ""),
            info("Option<String>", None, ""),
            info("u32", Some("cores()"), ""),
        ];
        assert_eq!(
            Variables::new(rows.leak()).to_dotenv(),
            "# Where the\n# users live.\n# Endpoint, required; needed by backend users\nNAME=\n\n\
             # String, default \"it is\".into()\nNAME='it is'\n\n\
             # Option<String>, optional\nNAME=\n\n\
             # u32, default cores()\nNAME=\n"
        );
    }

    #[test]
    fn a_secret_is_the_key_of_a_secret() {
        for (ty, is_secret, is_optional) in [
            ("Secret", true, false),
            ("prox::Secret", true, false),
            ("Option<Secret>", true, true),
            ("std::option::Option<prox::Secret>", true, true),
            ("String", false, false),
            ("SecretName", false, false),
            ("Option<String>", false, true),
            ("Vec<Secret>", true, false),
            ("Option<Vec<prox::Secret>>", true, true),
            ("Vec<String>", false, false),
        ] {
            let row = info(ty, None, "");
            assert_eq!(row.is_secret(), is_secret, "{ty}");
            let text = Variables::new(vec![row].leak()).to_kubernetes();
            let key = "secretKeyRef:\n        name: gateway\n        key: \"NAME\"\n";
            assert_eq!(text.contains(key), is_secret, "{text}");
            let optional = text.contains("        optional: true\n");
            assert_eq!(optional, is_secret && is_optional, "{text}");
            assert_eq!(text.contains("value: \"\""), !is_secret, "{text}");
        }
    }

    #[test]
    fn a_config_map_has_all_but_secrets() {
        let empty = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gateway\ndata: {}\n";
        assert_eq!(Variables::new(&[]).to_configmap(), empty);
        let key = EnvInfo {
            name: "KEY",
            ..info("Secret", None, "What opens it.")
        };
        let only = vec![EnvInfo { ..key }];
        let text = Variables::new(only.leak()).to_configmap();
        assert_eq!(
            text,
            format!("{empty}  # KEY is a secret: put it into a Secret\n")
        );
        let rows = vec![info("u32", Some("100"), "Requests."), key];
        assert_eq!(
            Variables::new(rows.leak()).to_configmap(),
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gateway\ndata:\n  # Requests.\n  # u32, default 100\n  \
             \"NAME\": \"100\"\n  # KEY is a secret: put it into a Secret\n"
        );
    }

    #[test]
    fn a_manifest_is_yaml_whatever_the_values_are() {
        assert_eq!(Variables::new(&[]).to_kubernetes(), "env: []\n");
        let rows = vec![info("u32", Some("100"), "Requests\u{7} a second.")];
        assert_eq!(
            Variables::new(rows.leak()).to_kubernetes(),
            "env:\n  # Requests  a second.\n  # u32, default 100\n  - name: \"NAME\"\n    value: \"100\"\n"
        );
    }
}
