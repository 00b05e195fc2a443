//! An event as a line.

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use tracing::{
    Level,
    field::{Field, Visit},
};

use crate::{
    civil::Rfc3339,
    observe::lines::{Form, Object, Word},
};

/// The most bytes of a value that are written.
const LONGEST: usize = 2048;

/// Names that a line has by itself.
const TAKEN: [&str; 10] = [
    "time",
    "level",
    "target",
    "message",
    "severity",
    "@timestamp",
    "log.level",
    "log.logger",
    "ecs.version",
    "lost_lines",
];

/// What an event says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) rest: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
pub(super) enum Value {
    /// A number, `true` or `false`.
    Raw(String),
    Text(String),
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            let (Value::Raw(text) | Value::Text(text)) = value;
            self.message = text;
        } else {
            self.rest.push((field.name(), value));
        }
    }
}

/// As much of a text as is written.
fn cut(mut text: String) -> Value {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    Value::Text(text)
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, cut(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, cut(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Raw(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Raw(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Raw(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        self.add(
            field,
            if value.is_finite() {
                Value::Raw(text)
            } else {
                Value::Text(text)
            },
        );
    }
}

/// Where lines go, and how they look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) form: Form,
    /// Whether levels have colours.
    pub(super) colours: bool,
}

impl Style {
    /// The line of an event, with its end.
    pub(super) fn line(
        self,
        time: SystemTime,
        level: Level,
        target: &str,
        fields: &Fields,
    ) -> String {
        match self.form {
            Form::Text => self.text(time, level, target, fields),
            form => json(form, time, level, target, fields),
        }
    }

    fn text(self, time: SystemTime, level: Level, target: &str, fields: &Fields) -> String {
        let mut line = format!("{} ", Rfc3339(time));
        // Writing to a `String` cannot fail.
        let _ = match colour(level).filter(|_| self.colours) {
            Some(colour) => write!(line, "\u{1b}[{colour}m{level:>5}\u{1b}[0m"),
            None => write!(line, "{level:>5}"),
        };
        if target != "prox" {
            let _ = write!(line, " {target}:");
        }
        let _ = write!(line, " {}", Plain(&fields.message));
        for (name, value) in &fields.rest {
            let (Value::Raw(value) | Value::Text(value)) = value;
            let _ = write!(line, " {name}={}", Word(value));
        }
        line.push('\n');
        line
    }
}

/// A message, with what would be another line escaped.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                write!(f, "{}", char.escape_default())
            }
            char => f.write_char(char),
        })
    }
}

/// The colour of a level, as terminals number them.
fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        _ => None,
    }
}

fn json(form: Form, time: SystemTime, level: Level, target: &str, fields: &Fields) -> String {
    let mut line = form.object(time, 256);
    match form {
        Form::Ecs => {
            line.text("log.level", level.as_str().to_ascii_lowercase());
            line.text("log.logger", target);
            line.text("message", &fields.message);
            let mut labels = Object::new(128);
            write(&mut labels, fields);
            if !fields.rest.is_empty() {
                line.raw("labels", labels.close());
            }
        }
        Form::Gcp => {
            line.text("severity", severity(level));
            line.text("target", target);
            line.text("message", &fields.message);
            write(&mut line, fields);
        }
        Form::Json | Form::Text => {
            line.text("level", level);
            line.text("target", target);
            line.text("message", &fields.message);
            write(&mut line, fields);
        }
    }
    line.line()
}

/// Adds the fields. A field with a name that the line has by itself gets a `field.` before it.
fn write(line: &mut Object, fields: &Fields) {
    for (name, value) in &fields.rest {
        let renamed;
        let name = if TAKEN.contains(name) {
            renamed = format!("field.{name}");
            renamed.as_str()
        } else {
            name
        };
        match value {
            Value::Raw(value) => line.raw(name, value),
            Value::Text(value) => line.text(name, value),
        }
    }
}

/// The names of levels in Google Cloud's logging.
fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn line(form: Form, colours: bool, target: &str) -> String {
        let fields = Fields {
            message: "endpoint ejected\nERROR forged".into(),
            rest: vec![
                ("backend", Value::Text("users".into())),
                ("reason", Value::Text("a \"b\"\u{1b}".into())),
                ("times", Value::Raw("2".into())),
                ("level", Value::Text("mine".into())),
            ],
        };
        let time = UNIX_EPOCH + Duration::from_millis(1_785_233_096_789);
        Style { form, colours }.line(time, Level::WARN, target, &fields)
    }

    #[test]
    fn a_line_of_each_form() {
        assert_eq!(
            line(Form::Text, false, "prox"),
            "2026-07-28T10:04:56.789Z  WARN endpoint ejected\\nERROR forged backend=users reason=\"a \\\"b\\\"\\u001b\" times=2 level=mine\n"
        );
        assert!(line(Form::Text, true, "shop").contains("\u{1b}[33m WARN\u{1b}[0m shop: endpoint"));
        assert_eq!(
            line(Form::Json, false, "prox"),
            "{\"time\":\"2026-07-28T10:04:56.789Z\",\"level\":\"WARN\",\"target\":\"prox\",\
             \"message\":\"endpoint ejected\\nERROR forged\",\"backend\":\"users\",\
             \"reason\":\"a \\\"b\\\"\\u001b\",\"times\":2,\"field.level\":\"mine\"}\n"
        );
        assert_eq!(
            line(Form::Gcp, false, "prox"),
            "{\"time\":\"2026-07-28T10:04:56.789Z\",\"severity\":\"WARNING\",\"target\":\"prox\",\
             \"message\":\"endpoint ejected\\nERROR forged\",\"backend\":\"users\",\
             \"reason\":\"a \\\"b\\\"\\u001b\",\"times\":2,\"field.level\":\"mine\"}\n"
        );
        assert_eq!(
            line(Form::Ecs, false, "prox"),
            "{\"@timestamp\":\"2026-07-28T10:04:56.789Z\",\"ecs.version\":\"8.11.0\",\
             \"log.level\":\"warn\",\"log.logger\":\"prox\",\
             \"message\":\"endpoint ejected\\nERROR forged\",\"labels\":{\"backend\":\"users\",\
             \"reason\":\"a \\\"b\\\"\\u001b\",\"times\":2,\"field.level\":\"mine\"}}\n"
        );
    }
}
