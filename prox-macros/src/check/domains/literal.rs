//! What an argument says that is one literal.

use proc_macro2::{Literal, TokenTree};

use crate::syntax::{
    cursor::text_of,
    units::{Unit, unit},
};

/// The value of a literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Whole(u128),
    Fraction(f64),
    Text(String),
    /// A time in milliseconds.
    Millis(u64),
    /// A size in bytes, as `16KiB`.
    Size(u64),
    /// A unit or an amount that has been reported.
    Malformed,
}

/// An argument that is a literal, perhaps behind a minus or before a `%`.
pub(super) struct Written<'t> {
    pub(super) negative: bool,
    pub(super) percent: bool,
    pub(super) literal: &'t Literal,
    pub(super) value: Value,
}

impl<'t> Written<'t> {
    /// None if the argument is anything else, which rustc or the start of the gateway checks.
    pub(super) fn of(argument: &'t [TokenTree]) -> Option<Self> {
        let (negative, literal, percent) = match argument {
            [TokenTree::Literal(literal)] => (false, literal, false),
            [TokenTree::Punct(minus), TokenTree::Literal(literal)] if minus.as_char() == '-' => {
                (true, literal, false)
            }
            [TokenTree::Literal(literal), TokenTree::Punct(sign)] if sign.as_char() == '%' => {
                (false, literal, true)
            }
            _ => return None,
        };
        Some(Self {
            negative,
            percent,
            literal,
            value: value(literal)?,
        })
    }
}

fn value(literal: &Literal) -> Option<Value> {
    match unit(literal) {
        Some(Ok(Unit::Millis(millis))) => return Some(Value::Millis(millis)),
        Some(Ok(Unit::Bytes(bytes))) => return Some(Value::Size(bytes)),
        Some(Err(_)) => return Some(Value::Malformed),
        None => {}
    }
    if let Some(text) = text_of(&TokenTree::Literal(literal.clone())) {
        return Some(Value::Text(text.value));
    }
    let text = literal.to_string().replace('_', "");
    whole(&text).map(Value::Whole).or_else(|| {
        let number = text.strip_suffix("f64").or(text.strip_suffix("f32"));
        number.unwrap_or(&text).parse().ok().map(Value::Fraction)
    })
}

/// `100`, `0x64`, `100u32`.
fn whole(text: &str) -> Option<u128> {
    let radix = match text.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    let digits = if radix == 10 { text } else { text.get(2..)? };
    let end = digits.find(['u', 'i']).unwrap_or(digits.len());
    u128::from_str_radix(digits.get(..end)?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_all_forms_have_their_value() {
        for (text, wanted) in [
            ("100", Some(Value::Whole(100))),
            ("1_000u32", Some(Value::Whole(1_000))),
            ("0xff", Some(Value::Whole(255))),
            ("0b11u8", Some(Value::Whole(3))),
            ("0o17", Some(Value::Whole(15))),
            ("0.5", Some(Value::Fraction(0.5))),
            ("1e3", Some(Value::Fraction(1_000.0))),
            ("2f64", Some(Value::Fraction(2.0))),
            ("5s", Some(Value::Millis(5_000))),
            ("16KiB", Some(Value::Size(16_384))),
            ("5sec", Some(Value::Malformed)),
            ("\"a\"", Some(Value::Text("a".into()))),
            ("'a'", None),
            ("b\"a\"", None),
        ] {
            assert_eq!(value(&text.parse().unwrap()), wanted, "{text}");
        }
    }
}
