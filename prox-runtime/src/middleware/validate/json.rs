//! JSON of strangers: no name twice in an object, not deep, and where it is wrong.

use std::{cell::Cell, collections::HashSet, fmt};

use serde_core::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};

/// How deep values may stand in each other.
const DEEPEST: usize = 64;

/// What is wrong with a text, and where. It has nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    pub(crate) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Both count from 1.
    Line(usize, usize),
    /// A JSON pointer (RFC 6901), and the keyword of the schema.
    #[cfg(feature = "json-schema")]
    Pointer(String, String),
}

/// Reads a value of a type out of a text that is well-formed and has no name twice.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Wrong> {
    check(text)?;
    serde_json::from_slice(text).map_err(|error| wrong(&error, "type"))
}

/// Whether a text is JSON without a name twice in one object.
///
/// # Errors
///
/// What is wrong with it.
fn check(text: &[u8]) -> Result<(), Wrong> {
    let found = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Value {
        depth: 0,
        found: &found,
    };
    let read = value.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| wrong(&error, found.get().unwrap_or("syntax")))
}

fn wrong(error: &serde_json::Error, what: &'static str) -> Wrong {
    Wrong {
        what,
        place: Place::Line(error.line(), error.column()),
    }
}

#[derive(Clone, Copy)]
struct Value<'f> {
    depth: usize,
    /// What is wrong beyond the syntax.
    found: &'f Cell<Option<&'static str>>,
}

impl Value<'_> {
    fn fail<T, E: Error>(self, what: &'static str) -> Result<T, E> {
        self.found.set(Some(what));
        Err(E::custom(what))
    }

    fn deeper<E: Error>(mut self) -> Result<Self, E> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail("depth");
        }
        Ok(self)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = pairs.next_key::<String>()? {
            if !names.insert(name) {
                return self.fail("duplicate");
            }
            pairs.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &[u8]) -> Option<&'static str> {
        check(text).err().map(|wrong| wrong.what)
    }

    #[test]
    fn only_json_without_duplicates_is_taken() {
        for right in [
            "1",
            "null",
            "\"a\"",
            "[]",
            " {\"a\":1,\"A\":{\"a\":[{},{}]}} \n",
            "-1.5e3",
        ] {
            assert_eq!(what(right.as_bytes()), None, "{right}");
        }
        for wrong in [
            "",
            " ",
            "{",
            "{}x",
            "01",
            "NaN",
            "'a'",
            "{a:1}",
            "[1,]",
            "\"\\ud800\"",
            "\u{feff}{}",
            "// a\n1",
            "1e999",
            "\"\t\"",
        ] {
            assert_eq!(what(wrong.as_bytes()), Some("syntax"), "{wrong}");
        }
        assert_eq!(what(b"\"\xff\""), Some("syntax"));
        for wrong in [
            "{\"a\":1,\"a\":1}",
            "[{\"b\":{\"a\":1,\"c\":2,\"a\":3}}]",
            "{\"a\":1,\"\\u0061\":1}",
        ] {
            assert_eq!(what(wrong.as_bytes()), Some("duplicate"), "{wrong}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(what(nested(64).as_bytes()), None);
        for depth in [65, 128, 100_000] {
            assert_eq!(what(nested(depth).as_bytes()), Some("depth"));
        }
    }

    #[test]
    fn an_error_says_where_and_nothing_of_the_text() {
        let wrong = read::<Vec<u8>>(b"[1,\n \"secret\"]").unwrap_err();
        assert_eq!((wrong.what, &wrong.place), ("type", &Place::Line(2, 9)));
        assert_eq!(read::<Vec<u8>>(b"[1, 2]"), Ok(vec![1, 2]));
    }
}
