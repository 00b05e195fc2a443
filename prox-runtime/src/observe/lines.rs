//! What lines of logs are made of: JSON, words of text, times.

use std::{
    fmt::{self, Write},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use crate::civil::Rfc3339;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Names of Prox, as JSON.
    Json,
    /// For people.
    Text,
    /// The names of the Elastic Common Schema, as JSON.
    Ecs,
    /// What Google Cloud's logging reads, as JSON.
    Gcp,
}

/// The form that `LOG_FORMAT` has chosen for the process, if a server has read it.
static CHOSEN: OnceLock<Form> = OnceLock::new();

/// Takes a form for all lines of the process that the code does not choose one for. The first one stays.
pub(crate) fn choose(form: Form) {
    // A process with two servers has one environment.
    let _ = CHOSEN.set(form);
}

/// Who chooses a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The code.
    Made(Form),
    /// `LOG_FORMAT`, else what the output is: text for a terminal, JSON for anything else.
    Open { terminal: bool },
}

impl Choice {
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Made(form) => form,
            Self::Open { terminal } => {
                let by_output = if terminal { Form::Text } else { Form::Json };
                CHOSEN.get().copied().unwrap_or(by_output)
            }
        }
    }
}

/// The version of the Elastic Common Schema that is written.
const ECS: &str = "8.11.0";

impl Form {
    const ALL: [(&'static str, Self); 4] = [
        ("json", Self::Json),
        ("text", Self::Text),
        ("ecs", Self::Ecs),
        ("gcp", Self::Gcp),
    ];

    /// What a variable says.
    ///
    /// # Errors
    ///
    /// What it should say.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|(name, _)| *name == text);
        known
            .map(|(_, form)| form)
            .ok_or_else(|| format!("expected `json`, `text`, `ecs` or `gcp`, found `{text}`"))
    }

    /// A line of JSON that begins with its time.
    pub(crate) fn object(self, time: SystemTime, capacity: usize) -> Object {
        let mut line = Object::new(capacity);
        match self {
            Self::Ecs => {
                line.text("@timestamp", Rfc3339(time));
                line.text("ecs.version", ECS);
            }
            Self::Json | Self::Text | Self::Gcp => line.text("time", Rfc3339(time)),
        }
        line
    }

    /// The line that says how many lines were lost.
    pub(crate) fn lost(self, time: SystemTime, lines: u64) -> String {
        if self == Self::Text {
            return format!("{} lost_lines={lines}\n", Rfc3339(time));
        }
        let mut line = self.object(time, 64);
        line.raw("lost_lines", lines);
        line.line()
    }
}

/// A JSON object (RFC 8259) in the making. Writing to a `String` cannot fail, so its results are not looked at.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(String::with_capacity(capacity))
    }

    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        let _ = write!(Escaped(&mut self.0), "{name}");
        self.0.push_str("\":");
    }

    pub(crate) fn raw(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    pub(crate) fn text(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        self.0.push('"');
        let _ = write!(Escaped(&mut self.0), "{value}");
        self.0.push('"');
    }

    pub(crate) fn some(&mut self, name: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as it is written inside of another.
    pub(crate) fn close(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }

    /// The object as a line.
    pub(crate) fn line(self) -> String {
        let mut line = self.close();
        line.push('\n');
        line
    }
}

/// Escapes what goes through it, as JSON does it; a terminal is as safe from it as a parser.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_special) {
            let (plain, from) = rest.split_at(at);
            self.0.push_str(plain);
            let mut chars = from.chars();
            match chars.next() {
                Some('"') => self.0.push_str("\\\""),
                Some('\\') => self.0.push_str("\\\\"),
                Some('\n') => self.0.push_str("\\n"),
                Some('\r') => self.0.push_str("\\r"),
                Some('\t') => self.0.push_str("\\t"),
                Some(other) => write!(self.0, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// None of them takes more than four hexadecimal digits.
fn is_special(char: char) -> bool {
    matches!(char, '"' | '\\' | '\u{2028}' | '\u{2029}') || char.is_control()
}

/// A value of a line of text: escaped, and in quotes if it would else look like several or like none.
pub(crate) struct Word<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut word = String::new();
        write!(Escaped(&mut word), "{}", self.0)?;
        if word.is_empty() || word.contains(|char: char| char == '"' || char.is_whitespace()) {
            write!(f, "\"{word}\"")
        } else {
            f.write_str(&word)
        }
    }
}

/// Milliseconds with three digits after the point.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn every_control_character_is_escaped() {
        let mut line = Object::new(0);
        line.text("x", "\0\u{1f}\u{7f}\n\r\u{2028}é😀");
        assert_eq!(
            line.0.as_str(),
            "{\"x\":\"\\u0000\\u001f\\u007f\\n\\r\\u2028é😀\""
        );
    }

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Rfc3339(time).to_string(), date);
        }
    }

    #[test]
    fn a_form_is_read_by_its_name() {
        assert_eq!(Form::read("gcp"), Ok(Form::Gcp));
        assert_eq!(
            Form::read("JSON").unwrap_err(),
            "expected `json`, `text`, `ecs` or `gcp`, found `JSON`"
        );
    }

    #[test]
    fn the_line_of_lost_lines_has_the_time_of_its_form() {
        for (form, begins) in [
            (Form::Json, "{\"time\":"),
            (Form::Gcp, "{\"time\":"),
            (Form::Ecs, "{\"@timestamp\":"),
            (Form::Text, "1970-"),
        ] {
            let line = form.lost(UNIX_EPOCH, 2);
            assert!(line.starts_with(begins), "{line}");
        }
    }
}
