//! From the tokens behind `if` to what they accept. What is not understood is opaque, and left to rustc.

use std::ops::Range;

use proc_macro2::{Delimiter, Group, TokenTree};

use super::{Case, Guard, Key, Network, Set};
use crate::{
    diag::{Diagnostics, Flaw, Place, shown},
    syntax::{
        ast::Text,
        cursor::{text_of, tokens_of},
        pattern::encoded,
        words::KEYS,
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
    /// `key("name").test("value")`, or a guard in parentheses, with any number of `.and(guard)`, `.or(guard)` and `.not()`
    /// after it.
    fn guard(&mut self, tokens: &[TokenTree]) -> Guard {
        match tokens {
            [TokenTree::Group(group), rest @ ..]
                if matches!(group.delimiter(), Delimiter::Parenthesis | Delimiter::None) =>
            {
                let inner = tokens_of(group.stream());
                let guard = self.guard(&inner);
                let only_words = word_starts(&inner) || rest.is_empty();
                if only_words {
                    self.joined(guard, rest)
                } else {
                    Guard::unknown()
                }
            }
            [
                TokenTree::Ident(word),
                TokenTree::Group(name),
                TokenTree::Punct(dot),
                TokenTree::Ident(test),
                TokenTree::Group(value),
                rest @ ..,
            ] if is_call(name) && is_call(value) && dot.as_char() == '.' => {
                match self.one(&word.to_string(), name, &test.to_string(), value) {
                    Some(guard) => self.joined(guard, rest),
                    None => Guard::unknown(),
                }
            }
            _ => Guard::unknown(),
        }
    }

    fn joined(&mut self, mut guard: Guard, mut rest: &[TokenTree]) -> Guard {
        while let [
            TokenTree::Punct(dot),
            TokenTree::Ident(method),
            TokenTree::Group(other),
            more @ ..,
        ] = rest
        {
            if dot.as_char() != '.' || !is_call(other) {
                return Guard::unknown();
            }
            let tokens = tokens_of(other.stream());
            let at = Place::of(&tokens, other.span());
            guard = match method.to_string().as_str() {
                "and" => {
                    let second = self.guard(&tokens);
                    let both = guard.common(&second);
                    both.unwrap_or_else(|| {
                        self.flaw(
                            at,
                            "this guard and what comes before it never accept the same request",
                            "remove one of them; if a request repeats a key, the first value counts",
                        )
                    })
                }
                "or" => {
                    let second = self.guard(&tokens);
                    self.either(&guard, &second, at)
                }
                "not" if tokens.is_empty() => guard.not().unwrap_or_else(Guard::unknown),
                _ => return Guard::unknown(),
            };
            rest = more;
        }
        if rest.is_empty() {
            guard
        } else {
            Guard::unknown()
        }
    }

    /// The guard that accepts what either of two alternatives accepts.
    fn either(&mut self, guard: &Guard, second: &Guard, at: Place) -> Guard {
        if second.implies(guard) {
            return self.flaw(
                at,
                "this alternative adds nothing: the guard before it accepts the same requests, or more",
                "remove this alternative",
            );
        }
        if guard.implies(second) {
            return self.flaw(
                at,
                "this alternative accepts all that the guard before it accepts",
                "remove the guard before it",
            );
        }
        let either = guard.or(second);
        if either.is_everything() {
            return self.flaw(
                at,
                "this guard and what comes before it accept every request together",
                "remove the guard",
            );
        }
        either
    }

    fn flaw(&mut self, at: impl Into<Place>, message: &str, help: &str) -> Guard {
        self.flawed = true;
        self.diag.error(at, message).help(help);
        Guard::unknown()
    }

    fn one(&mut self, word: &str, name: &Group, verb: &str, value: &Group) -> Option<Guard> {
        let value = Argument::of(value);
        if word == "client_ip" {
            return match (Argument::of(name), verb, value) {
                (Argument::None, "within", Argument::Text(text)) => {
                    let network = self.network(&text)?;
                    Guard::of(Key::ClientIp, Set::within(network))
                }
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
        let (make, value): (fn(&str) -> Set, _) = match (verb, value) {
            ("exists", Argument::None) => (|_| Set::exists(), None),
            ("absent", Argument::None) => (|_| Set::absent(), None),
            ("one_of", Argument::List(values)) => return self.one_of(kind, &name, &values),
            ("is", Argument::Text(text)) => (Set::is, Some(text)),
            ("starts_with", Argument::Text(text)) => (Set::starts_with, Some(text)),
            // The value is not known, but it is there.
            ("is" | "starts_with" | "one_of", Argument::Other) => {
                let key = self.key(kind, &name)?;
                return Some(Guard::of_case(Case::of(key, Set::exists())?.opaque()));
            }
            _ => return None,
        };
        let key = self.key(kind, &name)?;
        if let (Some(text), "starts_with") = (&value, verb)
            && text.value.is_empty()
        {
            let flaw = Flaw {
                at: 0..0,
                message: String::from("every value starts with the empty string"),
                help: format!("write `{word}({}).exists()`", name.token),
            };
            self.refuse(text, Some(flaw))?;
        }
        if let Some(text) = &value {
            self.refuse(text, kind.value_flaw(&text.value, verb == "is"))?;
            self.one_cookie(&key, text, "write `cookie(\"name\").is(\"value\")`")?;
        }
        let value = value.map_or_else(String::new, |text| text.value);
        Guard::of(key, make(&value))
    }

    fn one_of(&mut self, kind: Kind, name: &Text, values: &[Text]) -> Option<Guard> {
        let key = self.key(kind, name)?;
        let mut seen: Vec<&str> = Vec::new();
        for text in values {
            self.refuse(text, kind.value_flaw(&text.value, true))?;
            if seen.contains(&text.value.as_str()) {
                let flaw = Flaw {
                    at: 0..text.value.len(),
                    message: String::from("duplicate value"),
                    help: String::from("remove one of them"),
                };
                self.refuse(text, Some(flaw))?;
            }
            seen.push(&text.value);
        }
        let Some(first) = values.first() else {
            self.flaw(
                name.span,
                "empty list of values: this guard never accepts a request",
                "write `.one_of([\"a\", \"b\"])`",
            );
            return None;
        };
        self.one_cookie(&key, first, "write `cookie(\"name\").one_of([..])`")?;
        Guard::of(key, Set::one_of(seen))
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

    /// Reports a value of the header with all cookies; goes on with any other key.
    fn one_cookie(&mut self, key: &Key, value: &Text, help: &str) -> Option<()> {
        if key.is_cookies() {
            self.flaw(
                value.span,
                "the `cookie` header contains all cookies of a request",
                help,
            );
            return None;
        }
        Some(())
    }

    fn network(&mut self, text: &Text) -> Option<Network> {
        match Network::parse(&text.value) {
            Ok(network) => Some(network),
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

fn is_call(group: &Group) -> bool {
    group.delimiter() == Delimiter::Parenthesis
}

/// Whether a guard starts with a word of the language, so that its methods are those of the language.
fn word_starts(tokens: &[TokenTree]) -> bool {
    match tokens.first() {
        Some(TokenTree::Ident(word)) => KEYS.iter().any(|key| word == key),
        Some(TokenTree::Group(group)) => word_starts(&tokens_of(group.stream())),
        _ => false,
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
                message: format!("the name of {what} is empty"),
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
            message: format!("{} is not allowed in the name of {what}", shown(character)),
            help: match self {
                Self::Query => format!("write it as clients send it: `{}`", in_query(name, true)),
                _ => String::from(
                    "a name consists of letters, digits, `-`, `_` and a few other characters",
                ),
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
                message: format!("{} is not allowed in the value of {what}", shown(character)),
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
            message: format!("spaces around the value of {what} are not part of it"),
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
