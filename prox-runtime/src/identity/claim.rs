//! One thing that is known of a caller.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Write},
};

/// One thing that is known of a caller: a value of JSON.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Claim {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Claim>),
    /// Values by their names.
    Object(BTreeMap<String, Claim>),
}

impl Claim {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The value, if it is `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value at a path of names with `.` between them; a whole name comes first.
    pub fn get(&self, path: &str) -> Option<&Self> {
        match self {
            Self::Object(values) => at(values, path),
            _ => None,
        }
    }

    /// Whether it is this text, or a list that has it.
    pub fn has(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own == text,
            Self::List(list) => list.iter().any(|item| item.as_text() == Some(text)),
            _ => false,
        }
    }

    /// The value as JSON of ASCII alone.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut json);
        json
    }

    /// The text of a text, and the JSON of anything else; nothing for `null`.
    pub(crate) fn shown(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(Cow::Borrowed(text)),
            claim => Some(Cow::Owned(claim.to_json())),
        }
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(out, "{value}"),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Number(number) if number.is_finite() => write!(out, "{number}"),
            // JSON has no number that is not finite.
            Self::Null | Self::Number(_) => out.write_str("null"),
            Self::Text(text) => quoted(text, out),
            Self::List(list) => {
                out.push('[');
                for (place, item) in list.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out)?;
                }
                out.push(']');
                Ok(())
            }
            Self::Object(values) => {
                out.push('{');
                for (place, (name, value)) in values.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    quoted(name, out)?;
                    out.push(':');
                    value.write(out)?;
                }
                out.push('}');
                Ok(())
            }
        }
    }
}

/// The value at a path of names with `.` between them; a whole name comes first.
pub(super) fn at<'v>(values: &'v BTreeMap<String, Claim>, path: &str) -> Option<&'v Claim> {
    if let Some(value) = values.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    values.get(first)?.get(rest)
}

/// A string of JSON in ASCII (RFC 8259, 7).
fn quoted(text: &str, out: &mut String) -> fmt::Result {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.push('"');
    Ok(())
}

impl From<&str> for Claim {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Claim {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Claim {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Claim {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<C: Into<Claim>> From<Vec<C>> for Claim {
    fn from(list: Vec<C>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_has_no_control_characters() {
        let claim = Claim::Object(BTreeMap::from([
            ("ä\"".to_owned(), Claim::from("a\r\n\u{7f}\u{1f600}")),
            ("list".to_owned(), Claim::from(vec!["x", "\\"])),
            ("n".to_owned(), Claim::Number(1.5)),
            ("nan".to_owned(), Claim::Number(f64::NAN)),
            ("z".to_owned(), Claim::Null),
        ]));
        let json = claim.to_json();
        assert_eq!(
            json,
            r#"{"list":["x","\\"],"n":1.5,"nan":null,"z":null,"\u00e4\"":"a\u000d\u000a\u007f\ud83d\ude00"}"#
        );
        assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }

    #[test]
    fn a_list_has_its_texts_to_the_letter() {
        let list = Claim::from(vec!["admin", "dev"]);
        assert!(list.has("dev") && !list.has("de") && !list.has("ADMIN"));
        assert!(Claim::from("dev").has("dev") && !Claim::Integer(1).has("1"));
    }
}
