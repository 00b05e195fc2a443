//! From the tokens behind `if` to what they accept. What is not understood is opaque, and left to rustc.

use std::ops::Range;

use proc_macro2::{Delimiter, Group, TokenTree};

use super::{Guard, Key, Network, Test};
use crate::{
    diag::{Diagnostics, Flaw, Place, shown},
    syntax::{
        ast::Text,
        cursor::{text_of, tokens_of},
        pattern::encoded,
    },
};

/// Reads a guard, and reports literals in it that no request can have.
pub(crate) fn read(tokens: &[TokenTree], diag: &mut Diagnostics) -> Guard {
    let mut reader = Reader {
        diag,
        flawed: false,
    };
    let guard = reader.guard(tokens);
    if reader.flawed {
        return Guard::hole();
    }
    guard
}

/// What is wrong with the name of a header, if anything is.
pub(crate) fn header_flaw(name: &str) -> Option<Flaw> {
    Kind::Header.name_flaw(name)
}

/// What is wrong with the name of a parameter of the query, if anything is.
pub(crate) fn query_flaw(name: &str) -> Option<Flaw> {
    Kind::Query.name_flaw(name)
}

/// What is wrong with the name of a cookie, if anything is.
pub(crate) fn cookie_flaw(name: &str) -> Option<Flaw> {
    Kind::Cookie.name_flaw(name)
}

struct Reader<'d> {
    diag: &'d mut Diagnostics,
    flawed: bool,
}

impl Reader<'_> {
    /// `key("name").test("value")`, with any number of `.and(guard)` behind it.
    fn guard(&mut self, tokens: &[TokenTree]) -> Guard {
        let [
            TokenTree::Ident(word),
            TokenTree::Group(name),
            TokenTree::Punct(dot),
            TokenTree::Ident(test),
            TokenTree::Group(value),
            rest @ ..,
        ] = tokens
        else {
            return Guard::unknown();
        };
        let called = name.delimiter() == Delimiter::Parenthesis
            && value.delimiter() == Delimiter::Parenthesis;
        if !called || dot.as_char() != '.' {
            return Guard::unknown();
        }
        let (word, test) = (word.to_string(), test.to_string());
        let Some(guard) = self.one(&word, name, &test, value) else {
            return Guard::unknown();
        };
        self.and(guard, rest)
    }

    fn and(&mut self, mut guard: Guard, mut rest: &[TokenTree]) -> Guard {
        while let [
            TokenTree::Punct(dot),
            TokenTree::Ident(and),
            TokenTree::Group(other),
            more @ ..,
        ] = rest
        {
            if dot.as_char() != '.' || and != "and" || other.delimiter() != Delimiter::Parenthesis {
                return Guard::unknown();
            }
            let tokens = tokens_of(other.stream());
            let second = self.guard(&tokens);
            guard = if let Some(both) = guard.common(&second) {
                both
            } else {
                self.flawed = true;
                self.diag
                    .error(
                        Place::of(&tokens, other.span()),
                        "no request is accepted by this guard and by what stands before it",
                    )
                    .help("remove one of them; of what a request repeats the first counts");
                Guard::unknown()
            };
            rest = more;
        }
        if rest.is_empty() {
            guard
        } else {
            Guard::unknown()
        }
    }

    fn one(&mut self, word: &str, name: &Group, verb: &str, value: &Group) -> Option<Guard> {
        let value = Argument::of(value);
        if word == "client_ip" {
            return match (Argument::of(name), verb, value) {
                (Argument::None, "within", Argument::Text(text)) => self.network(&text),
                _ => None,
            };
        }
        let Argument::Text(name) = Argument::of(name) else {
            return None;
        };
        let kind = match word {
            "header" => Kind::Header,
            "query" => Kind::Query,
            "cookie" => Kind::Cookie,
            _ => return None,
        };
        let (make, value): (fn(String) -> Test, _) = match (verb, value) {
            ("exists", Argument::None) => (|_| Test::Exists, None),
            ("absent", Argument::None) => (|_| Test::Absent, None),
            ("one_of", Argument::List(values)) => return self.one_of(kind, &name, &values),
            ("is", Argument::Text(text)) => (Test::Is, Some(text)),
            ("starts_with", Argument::Text(text)) => (Test::StartsWith, Some(text)),
            // The value is not known, but it is there.
            ("is" | "starts_with" | "one_of", Argument::Other) => {
                let key = self.key(kind, &name)?;
                let mut guard = Guard::of(key, Test::Exists);
                guard.opaque = true;
                return Some(guard);
            }
            _ => return None,
        };
        let key = self.key(kind, &name)?;
        if let (Some(text), "starts_with") = (&value, verb)
            && text.value.is_empty()
        {
            let flaw = Flaw {
                at: 0..0,
                message: String::from("every value starts with an empty string"),
                help: format!("write `{word}({}).exists()`", name.token),
            };
            self.refuse(text, Some(flaw))?;
        }
        if let Some(text) = &value {
            self.refuse(text, kind.value_flaw(&text.value, verb == "is"))?;
            if key == super::cookies() {
                self.flawed = true;
                self.diag
                    .error(
                        text.span,
                        "the header `cookie` has all cookies of a request in one text",
                    )
                    .help("write `cookie(\"name\").is(\"value\")`");
                return None;
            }
        }
        let value = value.map_or_else(String::new, |text| text.value);
        Some(Guard::of(key, make(value)))
    }

    fn one_of(&mut self, kind: Kind, name: &Text, values: &[Text]) -> Option<Guard> {
        let key = self.key(kind, name)?;
        let mut seen: Vec<&str> = Vec::new();
        for text in values {
            self.refuse(text, kind.value_flaw(&text.value, true))?;
            if seen.contains(&text.value.as_str()) {
                let flaw = Flaw {
                    at: 0..text.value.len(),
                    message: String::from("this value is there twice"),
                    help: String::from("remove one of them"),
                };
                self.refuse(text, Some(flaw))?;
            }
            seen.push(&text.value);
        }
        let Some(test) = Test::one_of(values.iter().map(|text| text.value.clone()).collect())
        else {
            self.flawed = true;
            self.diag
                .error(
                    name.span,
                    "this guard has no value, so it accepts no request",
                )
                .help("write `.one_of([\"a\", \"b\"])`");
            return None;
        };
        if let (true, Some(first)) = (key == super::cookies(), values.first()) {
            self.flawed = true;
            self.diag
                .error(
                    first.span,
                    "the header `cookie` has all cookies of a request in one text",
                )
                .help("write `cookie(\"name\").one_of([..])`");
            return None;
        }
        Some(Guard::of(key, test))
    }

    fn key(&mut self, kind: Kind, name: &Text) -> Option<Key> {
        self.refuse(name, kind.name_flaw(&name.value))?;
        let name = name.value.clone();
        Some(match kind {
            Kind::Header => Key::Header(name.to_ascii_lowercase()),
            Kind::Query => Key::Query(name),
            Kind::Cookie => Key::Cookie(name),
        })
    }

    fn network(&mut self, text: &Text) -> Option<Guard> {
        match Network::parse(&text.value) {
            Ok(network) => Some(Guard::of(Key::ClientIp, Test::Within(network))),
            Err(flaw) => {
                self.refuse(text, Some(flaw));
                None
            }
        }
    }

    /// Reports a flaw; goes on if there is none.
    fn refuse(&mut self, text: &Text, flaw: Option<Flaw>) -> Option<()> {
        let Some(flaw) = flaw else {
            return Some(());
        };
        self.flawed = true;
        self.diag.flaw(text, flaw);
        None
    }
}

/// What stands between the parentheses of a call.
enum Argument {
    None,
    Text(Text),
    /// `["a", "b"]`, of strings alone.
    List(Vec<Text>),
    Other,
}

impl Argument {
    fn of(group: &Group) -> Self {
        match tokens_of(group.stream()).as_slice() {
            [] => Self::None,
            [TokenTree::Group(list)] if list.delimiter() == Delimiter::Bracket => {
                let tokens = tokens_of(list.stream());
                let values = tokens
                    .iter()
                    .enumerate()
                    .filter_map(|(at, token)| match token {
                        TokenTree::Punct(comma) if at % 2 == 1 && comma.as_char() == ',' => None,
                        token => Some(text_of(token)),
                    });
                values
                    .collect::<Option<Vec<Text>>>()
                    .map_or(Self::Other, Self::List)
            }
            [only] => text_of(only).map_or(Self::Other, Self::Text),
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Header,
    Query,
    Cookie,
}

impl Kind {
    fn name_flaw(self, name: &str) -> Option<Flaw> {
        let (what, example) = match self {
            Self::Header => ("a header", "header(\"x-beta\")"),
            Self::Query => ("a parameter", "query(\"v\")"),
            Self::Cookie => ("a cookie", "cookie(\"session\")"),
        };
        if name.is_empty() {
            return Some(Flaw {
                at: 0..0,
                message: format!("the name of {what} is not empty"),
                help: format!("write `{example}`"),
            });
        }
        let bad = match self {
            Self::Header | Self::Cookie => name.find(|c| !is_token(c)),
            Self::Query => name.find(|c| c == '=' || is_not_in_query(c)),
        };
        let at = bad?;
        let character = name.get(at..)?.chars().next()?;
        Some(Flaw {
            at: at..at + character.len_utf8(),
            message: format!("{} cannot be in the name of {what}", shown(character)),
            help: match self {
                Self::Query => format!("write it as clients send it: `{}`", in_query(name, true)),
                _ => String::from("a name has letters, digits, `-`, `_` and the like"),
            },
        })
    }

    /// What of a value can be in no request; `whole` if it is not only the start of one.
    fn value_flaw(self, value: &str, whole: bool) -> Option<Flaw> {
        let bad = |c: char| match self {
            Self::Header => c.is_control() && c != '\t',
            Self::Query => is_not_in_query(c),
            Self::Cookie => c == ';' || c.is_control(),
        };
        let what = match self {
            Self::Header => "a header",
            Self::Query => "a query",
            Self::Cookie => "a cookie",
        };
        if let Some(at) = value.find(bad) {
            let character = value.get(at..)?.chars().next()?;
            return Some(Flaw {
                at: at..at + character.len_utf8(),
                message: format!("{} cannot be in the value of {what}", shown(character)),
                help: match self {
                    Self::Query => {
                        format!("write it as clients send it: `{}`", in_query(value, false))
                    }
                    _ => String::from("remove it"),
                },
            });
        }
        let trimmed = if whole {
            value.trim_ascii()
        } else {
            value.trim_ascii_start()
        };
        let blank: Range<usize> = if value.starts_with(trimmed) {
            trimmed.len()..value.len()
        } else {
            0..value.len() - value.trim_ascii_start().len()
        };
        (trimmed != value).then(|| Flaw {
            at: blank,
            message: format!("the blanks around the value of {what} are not part of it"),
            help: format!("write `\"{trimmed}\"`"),
        })
    }
}

/// A character of a token (RFC 9110, 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_not_in_query(c: char) -> bool {
    !c.is_ascii_graphic() || matches!(c, '&' | '#')
}

fn in_query(text: &str, name: bool) -> String {
    encoded(text, if name { "&#=" } else { "&#" })
}
