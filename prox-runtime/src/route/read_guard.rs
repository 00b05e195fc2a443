//! Guards from their source text, for `explain` of a gateway that is not made: the words with literals, joined by `.and(..)`,
//! `.or(..)` and `.not()`.

use super::{
    Guard as _, GuardFn,
    accepts::{Accepts, Key, Test},
};
use crate::network::Network;

/// A guard that was read, and whether it asks for nothing but the query.
pub(super) struct Read {
    pub(super) guard: GuardFn,
    pub(super) only_query: bool,
}

/// The guard of this text; none if it is more than words with literals, which only a request can tell.
pub(super) fn read(text: &str) -> Option<Read> {
    let accepts = accepts(text)?;
    let mut only_query = true;
    accepts.each(&mut |key, _| only_query &= matches!(key, Key::Query(_)));
    let guard = accepts.guard().filter(|guard| guard.check().is_ok())?;
    Some(Read { guard, only_query })
}

/// What the guard of this text accepts; none if it is more than words with literals.
pub(super) fn accepts(text: &str) -> Option<Accepts> {
    let mut rest = Rest(text);
    let read = rest.guard()?;
    rest.0.trim().is_empty().then_some(read)
}

struct Rest<'t>(&'t str);

impl Rest<'_> {
    fn guard(&mut self) -> Option<Accepts> {
        let mut read = if self.take("(") {
            let inner = self.guard()?;
            self.expect(")")?;
            inner
        } else {
            self.one()?
        };
        while self.take(".") {
            let word = ["and", "or", "not"]
                .into_iter()
                .find(|word| self.take(word))?;
            self.expect("(")?;
            if word == "not" {
                self.expect(")")?;
                read = Accepts::Not(Box::new(read));
                continue;
            }
            let other = self.guard()?;
            self.take(",");
            self.expect(")")?;
            read = match word {
                "and" => Accepts::All(vec![read, other]),
                _ => Accepts::Any(vec![read, other]),
            };
        }
        Some(read)
    }

    fn one(&mut self) -> Option<Accepts> {
        let words = ["header", "query", "cookie", "client_ip"];
        let word = words.into_iter().find(|word| self.take(word))?;
        self.expect("(")?;
        let name = if word == "client_ip" {
            String::new()
        } else {
            self.literal()?
        };
        self.expect(")")?;
        self.expect(".")?;
        let verbs = ["exists", "absent", "starts_with", "is", "one_of", "within"];
        let verb = verbs.into_iter().find(|verb| self.take(verb))?;
        self.expect("(")?;
        let mut values = Vec::new();
        let list = verb == "one_of" && self.take("[");
        let bare = matches!(verb, "exists" | "absent");
        while !(bare || list && self.take("]")) {
            values.push(self.literal()?);
            if !list {
                break;
            }
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        self.expect(")")?;
        let value = values.pop();
        let test = match verb {
            "exists" => Test::Exists,
            "absent" => Test::Absent,
            "is" => Test::Is(value?),
            "starts_with" => Test::StartsWith(value?),
            "one_of" => {
                values.extend(value);
                Test::OneOf(values)
            }
            _ => Test::Within(value?),
        };
        let key = match (word, &test) {
            ("client_ip", Test::Within(network)) => Network::parse(network).map(|_| Key::Client)?,
            ("client_ip", _) | (_, Test::Within(_)) => return None,
            (word, _) => Key::named(word, &name)?,
        };
        Some(Accepts::Test(key, test))
    }

    /// A literal of a string, without escapes but those of quotes and backslashes.
    fn literal(&mut self) -> Option<String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = self.0.get(at + 1..)?;
                    return Some(text);
                }
                '\\' => text.push(
                    characters
                        .next()
                        .map(|(_, c)| c)
                        .filter(|c| "\"\\".contains(*c))?,
                ),
                character => text.push(character),
            }
        }
        None
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.take(text).then_some(())
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{Parts, Request},
    };

    fn parts() -> Parts {
        let (mut parts, _) = Request::new(Body::empty()).into_parts();
        parts.uri = "/x?v=2".parse().unwrap();
        parts.headers.insert("x-beta", "a\"b".parse().unwrap());
        parts
    }

    #[test]
    fn words_with_literals_are_read() {
        for (text, accepts, only_query) in [
            ("query(\"v\").is(\"2\")", true, true),
            ("query(\"v\").is(\"1\")", false, true),
            ("header(\"x-beta\").is(\"a\\\"b\")", true, false),
            (
                "header(\"X-Beta\") . starts_with(\"a\").and(query(\"v\").exists())",
                true,
                false,
            ),
            (
                "header(\"x-beta\").exists().and(cookie(\"c\").exists())",
                false,
                false,
            ),
            ("client_ip().within(\"10.0.0.0/8\")", false, false),
            ("query(\"v\").one_of([\"1\", \"2\"])", true, true),
            ("query(\"v\").one_of([\"1\",])", false, true),
            ("query(\"w\").absent()", true, true),
            ("header(\"x-beta\").absent()", false, false),
            (
                "query(\"v\").is(\"1\").or(query(\"v\").is(\"2\"))",
                true,
                true,
            ),
            ("query(\"v\").is(\"2\").not()", false, true),
            (
                "(query(\"v\").is(\"1\").or(header(\"x-beta\").exists())).and(query(\"v\").exists())",
                true,
                false,
            ),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.guard.accepts(&parts()), accepts, "{text}");
            assert_eq!(read.only_query, only_query, "{text}");
        }
    }

    #[test]
    fn what_only_a_request_can_tell_is_left() {
        for text in [
            "",
            "guard",
            "|req| true",
            "header(NAME).exists()",
            "header(\"x\").is(\"\\u{41}\")",
            "header(\"x\").is(\"1\").or(g)",
            "header(\"x\").is(\"1\").not(g)",
            "header(\"x\").is(\"1\").xor(query(\"v\").exists())",
            "header(\"x\").is(\"1\") && true",
            "header(\"no name\").exists()",
            "query(\"v\").within(\"10.0.0.0/8\")",
            "header(\"x\").is(\"1",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
