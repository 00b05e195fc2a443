//! What stands around a gateway in its file, as far as the text tells.
//!
//! A macro does not see the variables around it, and what a block imports hides them. So the words of the language are
//! nowhere imported around an expression of the user; each is written out as a path where it is a word. A policy such as
//! `weighted` stands in its place like a name, though, and a variable around the gateway may have that name. Then it is the
//! variable's. Items of the module are left to rustc, which sees those of globs and other macros, too: see
//! `expand/words.rs`.

mod bound;
mod called;
mod lex;
mod middleware;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use proc_macro2::{Span, TokenStream};

use self::lex::{Kind, Token};
#[cfg(test)]
pub(crate) use self::middleware::MIDDLEWARE;
pub(crate) use self::{
    called::{Calls, Function},
    middleware::{Exported, exported, middleware},
};

/// The names around a gateway.
#[derive(Debug, Default)]
pub(crate) struct Around {
    names: HashMap<String, Vec<Declared>>,
    /// The imported names that are surely not of `prox`.
    foreign: HashSet<String>,
    /// Whether the file was read.
    read: bool,
    /// Whether the module may have names that the text does not tell: of globs, of macros and of conditions.
    open: bool,
}

/// A declaration of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) what: What,
    /// Whether it stands in a function around the gateway, and not in its module.
    pub(crate) local: bool,
    /// Whether it stands beside the gateway itself: both are items of one module, or of one block.
    pub(crate) beside: bool,
    /// Whether it stands above the gateway.
    pub(crate) above: bool,
    /// Its line, from 1 on.
    pub(crate) line: u32,
}

/// What has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A variable.
    Variable(Calls),
    /// A constant or a static.
    Constant,
    /// A function.
    Function(Function),
    /// A struct, an enum, a trait, or another name for a type.
    Type,
    /// Something that is imported; of what kind only rustc knows.
    Import,
    /// The type of another gateway.
    Gateway,
}

impl Around {
    /// What stands around the token at this place; nothing where the file cannot be read.
    pub(crate) fn of(span: Span) -> Self {
        if !proc_macro::is_available() {
            return Self::default();
        }
        let span = span.unwrap();
        let Some((text, tokens)) = span.local_file().and_then(read) else {
            return Self::default();
        };
        // The example of a documentation has the file that it is written in, and lines of its own.
        let is_here = |offset: &usize| match (span.source_text(), text.get(*offset..)) {
            (Some(token), Some(here)) => here.starts_with(&token),
            _ => false,
        };
        offset(text, span.line(), span.column())
            .filter(is_here)
            .map(|offset| Self::at(text, tokens, offset))
            .unwrap_or_default()
    }

    /// What stands around the byte of this text.
    fn at(text: &str, tokens: &[Token<'_>], offset: usize) -> Self {
        let mut reader = Reader {
            own: None,
            offset,
            text,
            tokens,
            around: Self::default(),
            lines: (0, 1),
        };
        reader.read();
        reader.around.read = true;
        reader.around
    }

    /// The variable, the function or the constant of this name that a function around the gateway declares.
    pub(crate) fn local(&self, name: &str) -> Option<Declared> {
        self.all(name)
            .find(|found| found.local && !matches!(found.what, What::Type))
    }

    /// The function, or the closure, that has this name.
    pub(crate) fn function(&self, name: &str) -> Option<(Function, Declared)> {
        self.all(name).find_map(|found| match found.what {
            What::Function(function) | What::Variable(Calls::As(function)) => {
                Some((function, found))
            }
            _ => None,
        })
    }

    /// Notes that there may be more names than the text tells.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Whether nothing around the gateway can have the name.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.read && !self.open && !self.names.contains_key(name)
    }

    /// What has the name of a type.
    pub(crate) fn ty(&self, name: &str) -> Option<Declared> {
        self.all(name)
            .find(|found| matches!(found.what, What::Type | What::Import))
    }

    /// Whether the user has declared or imported a type of this name that is not of `prox`.
    pub(crate) fn is_own_type(&self, name: &str) -> bool {
        self.all(name).any(|found| found.what == What::Type) || self.foreign.contains(name)
    }

    /// Whether a name around the gateway can be a value: anything but a type.
    pub(crate) fn has_value(&self, name: &str) -> bool {
        self.all(name)
            .any(|found| !matches!(found.what, What::Type | What::Gateway))
    }

    /// What stands beside the gateway under the name of its type. Of two gateways it is the second that is one too many.
    pub(crate) fn beside(&self, name: &str) -> Option<Declared> {
        self.all(name).find(|found| {
            let type_ = matches!(found.what, What::Type | What::Import);
            found.beside && (type_ || found.what == What::Gateway && found.above)
        })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = Declared> {
        self.names.get(name).into_iter().flatten().copied()
    }
}

/// The names that are bound somewhere in the tokens of an expression, by whatever pattern.
pub(crate) fn bound_in(stream: TokenStream) -> Vec<String> {
    let tokens = lex::of_stream(stream);
    let mut names = Vec::new();
    let mut see = |name: &str| names.push(name.to_owned());
    for (place, token) in tokens.iter().enumerate() {
        let end = match &*token.text {
            _ if token.is(b'|') => {
                if let Some((range, _)) = bound::closure(&tokens, place) {
                    bound::parameters(&tokens, range, &mut |name, _| see(name));
                }
                continue;
            }
            _ if token.is(b'=') && tokens.get(place + 1).is_some_and(|next| next.is(b'>')) => {
                bound::pattern(&tokens, arm(&tokens, place, 0), &mut see);
                continue;
            }
            "let" => find(&tokens, place + 1..tokens.len(), |token| token.is(b'=')),
            "for" => find(&tokens, place + 1..tokens.len(), |token| {
                token.is_word("in")
            }),
            "fn" | "const" | "static" => {
                let name = tokens.get(place + 1 + usize::from(mutable(&tokens, place + 1)));
                if let Some(name) = name.filter(|name| name.kind == Kind::Ident) {
                    see(&name.text);
                }
                continue;
            }
            _ => continue,
        };
        if let Some(end) = end {
            bound::pattern(&tokens, typed(&tokens, place + 1..end), &mut see);
        }
    }
    names
}

/// The names that a pattern binds.
pub(crate) fn pattern(stream: TokenStream) -> Vec<String> {
    let tokens = lex::of_stream(stream);
    let mut names = Vec::new();
    let range = typed(&tokens, 0..tokens.len());
    bound::pattern(&tokens, range, &mut |name| names.push(name.to_owned()));
    names
}

/// The tokens that a pattern takes before its type.
fn typed(tokens: &[Token<'_>], range: Range<usize>) -> Range<usize> {
    let is = |place: usize| tokens.get(place).is_some_and(|token| token.is(b':'));
    let colon = bound::direct(tokens, range.clone())
        .find(|place| is(*place) && !is(place + 1) && !place.checked_sub(1).is_some_and(is));
    range.start..colon.unwrap_or(range.end)
}

/// The pattern of the arm whose `=>` stands there, in a group that starts at `start`.
fn arm(tokens: &[Token<'_>], arrow: usize, start: usize) -> Range<usize> {
    let mut at = arrow;
    while at > start {
        let Some(before) = tokens.get(at - 1) else {
            break;
        };
        match before.kind {
            Kind::Close(b'}')
                if tokens
                    .get(at)
                    .is_some_and(|token| token.kind != Kind::Punct(b'=')) =>
            {
                break;
            }
            Kind::Close(_) => at = before.mate.min(at - 1),
            Kind::Open(_) | Kind::Punct(b',' | b';') => break,
            _ => at -= 1,
        }
    }
    let guard = find(tokens, at..arrow, |token| token.is_word("if"));
    at..guard.unwrap_or(arrow)
}

fn find(
    tokens: &[Token<'_>],
    range: Range<usize>,
    wanted: impl Fn(&Token<'_>) -> bool,
) -> Option<usize> {
    bound::direct(tokens, range)
        .take_while(|place| {
            tokens
                .get(*place)
                .is_some_and(|token| !token.is(b';') && !matches!(token.kind, Kind::Close(_)))
        })
        .find(|place| tokens.get(*place).is_some_and(&wanted))
}

fn mutable(tokens: &[Token<'_>], place: usize) -> bool {
    tokens.get(place).is_some_and(|token| token.is_word("mut"))
}

/// What a group of tokens is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The file, or a module in it.
    Module,
    /// The body of a function, from this place of `fn` on.
    Function(usize),
    /// The body of an `impl` or a trait, whose items are no names by themselves.
    Associated,
    /// A macro of its own, whose names are where it is used.
    Macro,
    /// Statements, arguments and the like.
    Code,
}

struct Reader<'t> {
    /// Where the gateway opens, and a byte in it.
    own: Option<usize>,
    offset: usize,
    text: &'t str,
    tokens: &'t [Token<'t>],
    around: Around,
    /// A byte, and its line.
    lines: (usize, u32),
}

impl Reader<'_> {
    /// From the outermost group around the place to the innermost.
    fn read(&mut self) {
        let offset = self.offset;
        let mut opens = Vec::new();
        for (place, token) in self.tokens.iter().enumerate() {
            if token.at >= offset {
                break;
            }
            match token.kind {
                Kind::Open(_) if token.mate > place => opens.push(place),
                Kind::Close(_) if opens.last() == Some(&token.mate) => {
                    opens.pop();
                }
                _ => {}
            }
        }
        let here = self.tokens.partition_point(|token| token.at < offset);
        // The gateway itself is the innermost group.
        let gateway = opens.pop();
        self.own = gateway;
        let mut start = 0;
        let mut nature = Nature::Module;
        let mut in_function = false;
        for level in 0..=opens.len() {
            let open = opens.get(level).copied();
            let inner = open.or(gateway).unwrap_or(here);
            let end = match level.checked_sub(1).and_then(|outer| opens.get(outer)) {
                Some(outer) => self.tokens.get(*outer).map_or(inner, |token| token.mate),
                None => self.tokens.len(),
            };
            let innermost = open.is_none();
            match nature {
                Nature::Macro => {
                    // Its body is read where it is used.
                    self.around = Around {
                        open: true,
                        ..Around::default()
                    };
                    return;
                }
                Nature::Module | Nature::Code | Nature::Function(_) => {
                    self.items(start..end, in_function, innermost);
                }
                Nature::Associated => {}
            }
            self.variables(start..inner, open.is_some());
            let Some(open) = open else { return };
            nature = self.nature(start, open);
            match nature {
                Nature::Module => {
                    self.around = Around::default();
                    in_function = false;
                }
                Nature::Function(at) => {
                    // What a function does not take with it is not seen in it.
                    for found in self.around.names.values_mut() {
                        found.retain(|found| {
                            !(found.local && matches!(found.what, What::Variable(_)))
                        });
                    }
                    in_function = true;
                    self.parameters(at, open);
                }
                Nature::Associated | Nature::Code | Nature::Macro => {}
            }
            start = open + 1;
        }
    }

    /// What the group is that opens there, within the one that starts at `start`.
    fn nature(&self, start: usize, open: usize) -> Nature {
        let tokens = self.tokens;
        if !tokens.get(open).is_some_and(|token| token.is_open(b'{')) {
            return if is_macro_rules(tokens, open) {
                Nature::Macro
            } else {
                Nature::Code
            };
        }
        let mut first = start;
        for place in bound::direct(tokens, start..open) {
            let Some(token) = tokens.get(place) else {
                break;
            };
            if token.is(b';') || token.is_open(b'{') {
                first = place + 1;
            }
            if token.is_open(b'{') {
                first = token.mate + 1;
            }
        }
        let head = || {
            bound::direct(tokens, first..open).filter_map(|place| Some((place, tokens.get(place)?)))
        };
        let word = |word: &str| head().find(|(_, token)| token.is_word(word));
        if is_macro_rules(tokens, open) {
            return Nature::Macro;
        }
        let named = |place: usize| {
            tokens
                .get(place + 1)
                .is_some_and(|token| token.kind == Kind::Ident)
        };
        if let Some((place, _)) = head()
            .filter(|(place, token)| token.is_word("fn") && named(*place))
            .last()
        {
            return Nature::Function(place);
        }
        if let Some((place, _)) = word("mod")
            && place + 2 == open
        {
            return Nature::Module;
        }
        let leading = head()
            .map(|(_, token)| &*token.text)
            .find(|text| !matches!(*text, "pub" | "unsafe" | "#" | "" | "const" | "default"));
        match leading {
            Some("impl" | "trait") => Nature::Associated,
            _ => Nature::Code,
        }
    }

    /// The items of a group.
    fn items(&mut self, range: Range<usize>, local: bool, beside: bool) {
        let tokens = self.tokens;
        let places: Vec<usize> = bound::direct(tokens, range).collect();
        for place in places {
            let Some(token) = tokens.get(place).filter(|token| token.kind == Kind::Ident) else {
                continue;
            };
            if is_conditional(tokens, place) {
                self.around.open |= tokens.get(place).is_some_and(|token| {
                    [
                        "fn", "const", "static", "struct", "enum", "trait", "type", "use", "mod",
                    ]
                    .iter()
                    .any(|word| token.is_word(word))
                });
                continue;
            }
            let name_at =
                place + 1 + usize::from(token.text == "static" && mutable(tokens, place + 1));
            let name = tokens
                .get(name_at)
                .filter(|token| token.kind == Kind::Ident);
            let what = match &*token.text {
                "fn" => {
                    let Some(function) = self.function(place) else {
                        continue;
                    };
                    What::Function(function)
                }
                "const" | "static" if tokens.get(name_at + 1).is_some_and(|next| next.is(b':')) => {
                    What::Constant
                }
                "struct" | "enum" | "trait" | "type" => What::Type,
                "use" => {
                    let end = find(tokens, place + 1..tokens.len(), |token| token.is(b';'));
                    let end = bound::direct(tokens, place + 1..tokens.len())
                        .find(|place| tokens.get(*place).is_some_and(|token| token.is(b';')))
                        .or(end)
                        .unwrap_or(tokens.len());
                    self.imports(place + 1..end, local, beside);
                    continue;
                }
                _ if !local && is_unknown_macro(tokens, place) => {
                    self.around.open = true;
                    continue;
                }
                "gateway" if tokens.get(place + 1).is_some_and(|next| next.is(b'!')) => {
                    self.gateway(place + 2, local, beside);
                    continue;
                }
                _ => continue,
            };
            if let Some(name) = name {
                let (text, at) = (name.text.to_string(), name.at);
                self.declare(&text, at, what, local, beside);
            }
        }
    }

    /// The type of another gateway, whose brackets open there.
    fn gateway(&mut self, open: usize, local: bool, beside: bool) {
        let tokens = self.tokens;
        let Some(group) = tokens
            .get(open)
            .filter(|token| matches!(token.kind, Kind::Open(_)))
        else {
            return;
        };
        if self
            .own
            .is_none_or(|own| own == open || is_conditional(tokens, own))
        {
            return;
        }
        let inside = open + 1..group.mate;
        let line = bound::direct(tokens, inside).take(30).find(|place| {
            tokens
                .get(*place)
                .is_some_and(|token| token.is_word("struct"))
        });
        let name = line.and_then(|line| tokens.get(line + 1));
        if let Some(name) = name.filter(|name| name.kind == Kind::Ident) {
            let (text, at) = (name.text.to_string(), name.at);
            self.declare(&text, at, What::Gateway, local, beside);
        }
    }

    /// The names that a `use` brings.
    fn imports(&mut self, range: Range<usize>, local: bool, beside: bool) {
        let tokens = self.tokens;
        let first = tokens.get(range.start);
        let mut ours = first.is_some_and(|token| token.is_word("prox"));
        for place in range.clone() {
            ours |= tokens
                .get(place)
                .is_some_and(|token| token.is_word("middleware"));
            if tokens.get(place).is_some_and(|token| token.is(b'*')) {
                self.glob(range.clone(), local, beside);
            }
            let Some(token) = tokens.get(place).filter(|token| token.kind == Kind::Ident) else {
                continue;
            };
            let next = tokens.get(place + 1).filter(|_| place + 1 < range.end);
            let last = next.is_none_or(|next| next.is(b',') || matches!(next.kind, Kind::Close(_)));
            if last && token.text != "self" && token.text != "_" {
                let (text, at) = (token.text.to_string(), token.at);
                if !ours {
                    self.around.foreign.insert(text.clone());
                }
                self.declare(&text, at, What::Import, local, beside);
            }
        }
    }

    /// The names that a `*` brings.
    fn glob(&mut self, range: Range<usize>, local: bool, beside: bool) {
        let tokens = self.tokens;
        let at = range.start;
        let path: String = tokens
            .get(range)
            .into_iter()
            .flatten()
            .map(|token| &*token.text)
            .collect();
        let known = match path.as_str() {
            "prox::middleware::*" => middleware::names(),
            path if path.starts_with("std::") || path.starts_with("core::") => Vec::new(),
            _ => {
                self.around.open = true;
                return;
            }
        };
        let at = tokens.get(at).map_or(0, |token| token.at);
        for known in known {
            self.declare(known, at, What::Import, local, beside);
        }
    }

    /// How the function is called whose `fn` stands there.
    fn function(&self, place: usize) -> Option<Function> {
        let tokens = self.tokens;
        let name = tokens.get(place + 1)?;
        let open = bound::direct(tokens, place + 2..tokens.len()).find(|place| {
            tokens
                .get(*place)
                .is_some_and(|token| matches!(token.kind, Kind::Open(_)))
        })?;
        let group = tokens.get(open)?;
        if name.kind != Kind::Ident || !group.is_open(b'(') {
            return None;
        }
        let before = place.checked_sub(1).and_then(|before| tokens.get(before));
        Some(Function {
            arguments: bound::parameters(tokens, open + 1..group.mate, &mut |_, _| ()),
            is_async: before.is_some_and(|before| before.is_word("async")),
        })
    }

    /// The parameters of the function whose `fn` stands there.
    fn parameters(&mut self, place: usize, body: usize) {
        let tokens = self.tokens;
        let open = bound::direct(tokens, place + 2..body)
            .find(|place| tokens.get(*place).is_some_and(|token| token.is_open(b'(')));
        let Some((open, group)) = open.and_then(|open| Some((open, tokens.get(open)?))) else {
            return;
        };
        let mut names = Vec::new();
        bound::parameters(tokens, open + 1..group.mate, &mut |name, ty| {
            names.push((name.to_owned(), called::of_type(tokens, ty)));
        });
        let at = group.at;
        for (name, calls) in names {
            self.declare(&name, at, What::Variable(calls), true, false);
        }
    }

    /// The variables of a group that are seen where the next group opens, or at its end.
    fn variables(&mut self, range: Range<usize>, opens: bool) {
        let tokens = self.tokens;
        let places: Vec<usize> = bound::direct(tokens, range.clone()).collect();
        let has = |from: usize, wanted: &dyn Fn(&Token<'_>) -> bool| {
            places
                .iter()
                .filter(|place| **place > from)
                .any(|place| tokens.get(*place).is_some_and(wanted))
        };
        let block = |token: &Token<'_>| token.is_open(b'{');
        let mut found: Vec<(String, usize, Calls)> = Vec::new();
        for (number, place) in places.iter().copied().enumerate() {
            let Some(token) = tokens.get(place) else {
                break;
            };
            let mut bind = |names: Range<usize>, calls: Calls| {
                bound::pattern(tokens, names, &mut |name| {
                    found.push((name.to_owned(), token.at, calls));
                });
            };
            if token.is_word("let") {
                let Some(equals) = find(tokens, place + 1..range.end, |token| token.is(b'='))
                else {
                    continue;
                };
                let before = number
                    .checked_sub(1)
                    .and_then(|before| tokens.get(*places.get(before)?));
                let condition = before.is_some_and(|before| {
                    before.is_word("if") || before.is_word("while") || before.is(b'&')
                });
                let seen = if condition {
                    opens && !has(equals, &block)
                } else {
                    has(equals, &|token| token.is(b';'))
                };
                if seen {
                    let names = typed(tokens, place + 1..equals);
                    let ty = (names.end + 1).min(equals)..equals;
                    let calls = if condition || !ty.is_empty() {
                        called::of_type(tokens, ty)
                    } else {
                        called::of_value(tokens, equals + 1..range.end)
                    };
                    bind(names, calls);
                }
            } else if token.is_word("for") {
                let end = find(tokens, place + 1..range.end, |token| token.is_word("in"));
                if let Some(end) = end.filter(|end| opens && !has(*end, &block)) {
                    bind(place + 1..end, Calls::Maybe);
                }
            } else if token.is(b'|') {
                let Some((names, body)) = bound::closure(tokens, place) else {
                    continue;
                };
                let ended = has(body.saturating_sub(1), &|token| {
                    token.is(b',') || token.is(b';')
                });
                if body <= range.end && !ended {
                    let at = token.at;
                    bound::parameters(tokens, names, &mut |name, ty| {
                        found.push((name.to_owned(), at, called::of_type(tokens, ty)));
                    });
                }
            } else if token.is(b'=') && tokens.get(place + 1).is_some_and(|next| next.is(b'>')) {
                let ended = has(place, &|token| token.is(b',')) || (has(place, &block));
                if !ended {
                    bind(arm(tokens, place, range.start), Calls::Maybe);
                }
            }
        }
        for (name, at, calls) in found {
            self.declare(&name, at, What::Variable(calls), true, false);
        }
    }

    fn declare(&mut self, name: &str, at: usize, what: What, local: bool, beside: bool) {
        let (from, line) = self.lines;
        let (from, line) = if from <= at { (from, line) } else { (0, 1) };
        let passed = self.text.as_bytes().get(from..at).unwrap_or_default();
        let ends = passed.split(|byte| *byte == b'\n').count() - 1;
        let line = line + u32::try_from(ends).unwrap_or(0);
        self.lines = (at, line);
        let found = Declared {
            what,
            local,
            beside,
            above: at < self.offset,
            line,
        };
        self.around
            .names
            .entry(name.to_owned())
            .or_default()
            .push(found);
    }
}

/// Whether a `#[cfg(..)]` stands before the item that this token belongs to.
fn is_conditional(tokens: &[Token<'_>], place: usize) -> bool {
    let mut at = place;
    while let Some(before) = at.checked_sub(1).and_then(|before| tokens.get(before)) {
        match before.kind {
            Kind::Ident | Kind::Punct(b':' | b'!' | b'#') => at -= 1,
            // `pub(crate)`
            Kind::Close(b')') => at = before.mate.min(at - 1),
            Kind::Close(b']') => {
                let open = before.mate.min(at - 1);
                if tokens.get(open + 1).is_some_and(|word| word.is_word("cfg")) {
                    return true;
                }
                at = open;
            }
            _ => return false,
        }
    }
    false
}

/// Whether a macro is called there that may declare anything.
fn is_unknown_macro(tokens: &[Token<'_>], place: usize) -> bool {
    let group = tokens
        .get(place + 2)
        .is_some_and(|token| matches!(token.kind, Kind::Open(_)));
    let called = tokens.get(place + 1).is_some_and(|next| next.is(b'!')) && group;
    called
        && !tokens
            .get(place)
            .is_some_and(|token| token.is_word("gateway"))
}

/// Whether the group is a part of `macro_rules! name { .. }`.
fn is_macro_rules(tokens: &[Token<'_>], open: usize) -> bool {
    let word = |back: usize, word: &str| {
        open.checked_sub(back)
            .and_then(|place| tokens.get(place))
            .is_some_and(|token| token.is_word(word))
    };
    word(3, "macro_rules")
}

/// The byte of a line and a column, both from 1 on, the column in characters.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let rest = text.get(start..)?;
    let (bytes, _) = rest.char_indices().nth(column.checked_sub(1)?)?;
    Some(start + bytes)
}

/// A file as text and as tokens.
type File = (&'static str, &'static [Token<'static>]);

/// A file, which is read once and kept for the rest of the compiler's run.
fn read(file: PathBuf) -> Option<File> {
    static READ: Mutex<Option<HashMap<PathBuf, Option<File>>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let read = read.get_or_insert_default();
    if let Some(known) = read.get(&file) {
        return *known;
    }
    let text = std::fs::read_to_string(&file).ok();
    let known = text.map(|text| {
        let text: &'static str = text.leak();
        (text, &*lex::of_text(text).leak())
    });
    read.insert(file, known);
    known
}

#[cfg(test)]
pub(crate) mod tests;
