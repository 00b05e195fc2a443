//! The first word of a line: one of ours, or what other gateways and other languages write there.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};

use super::{
    Parser,
    ast::{Attr, Backend, Setup},
    cursor::Cursor,
    foreign::{Foreign, foreign, form, synonym},
    skip_line,
    source::source,
    words::{
        ITEMS, METHODS, is_host_variable, is_keyword, is_listener, is_method, nearest, starts_line,
    },
};
use crate::diag::Diagnostic;

impl Parser<'_> {
    /// The word that was written, or the one that was meant; none if the line is none of ours and was passed over. What is
    /// wrong with it is reported.
    #[expect(clippy::too_many_lines, reason = "one form after the other")]
    pub(super) fn first_word(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) -> Option<String> {
        let ident = c.ident(0)?;
        let word = ident.to_string();
        if matches!(&*word, "const" | "static") && !c.is_word(1, "fn") {
            self.diag
                .error(ident, format!("`{word}` is not allowed inside a gateway"))
                .help("write `let name = value;`, or move it above `prox::gateway!`");
            return Some(String::from("let"));
        }
        if self.other_item(c) {
            return None;
        }
        if let Some(name) = rust_item(c) {
            self.stray_item(c, attrs, &name);
            return None;
        }
        self.doubled(c);
        let known = ITEMS.contains(&word.as_str()) || matches!(&*word, "pub" | "struct" | "exact");
        if known || is_method(&word) {
            return Some(word);
        }
        if c.is_punct(1, ':') && c.is_string(2) && matches!(foreign(&word), Some(Foreign::Route)) {
            let help = route(c);
            self.unknown(ident).help(help);
            c.skip(2);
            return Some(String::from("GET"));
        }
        if c.is_punct(1, ':') && c.text(2).is_some_and(|text| text.value.starts_with('/')) {
            self.diag
                .error(ident, "unexpected name of a route")
                .help(format!(
                    "write {} => target,`",
                    c.text(2)
                        .map_or_else(String::new, |text| format!("`{}", text.token))
                ));
            c.skip(2);
            return Some(String::from("GET"));
        }
        let answered =
            c.is_arrow(2) || c.is_word(2, "if") || c.group(2, Delimiter::Brace).is_some();
        if let (true, false, Some(Foreign::Other(help))) =
            (c.is_string(1), answered, foreign(&word))
        {
            self.unknown(ident).help(help);
            skip_line(c);
            return None;
        }
        let meant = nearest(&word, ITEMS.into_iter().chain(["struct"])).or_else(|| synonym(&word));
        if meant == Some("expect") && fits("expect", c) {
            self.unknown(ident).help("write `expect`");
            return Some(String::from("expect"));
        }
        if is_method_position(c) {
            // A method that is none is reported with the route.
            if matches!(foreign(&word), Some(Foreign::Route)) && c.is_string(1) {
                let path = c
                    .text(1)
                    .map_or_else(String::new, |text| text.token.to_string());
                let help = if c.group(2, Delimiter::Brace).is_some() {
                    format!("a scope starts with its path: `{path} {{ .. }}`")
                } else {
                    format!("a route starts with its method or its path: `GET {path} => target,`")
                };
                self.unknown(ident).help(help);
                c.bump();
            }
            return Some(String::from("GET"));
        }
        if let Some(meant) = meant.filter(|meant| fits(meant, c)) {
            self.unknown(ident).help(format!("write `{meant}`"));
            return Some(meant.to_owned());
        }
        let help = match (foreign(&word), meant) {
            (None, Some("host")) if !c.is_string(1) && c.group(1, Delimiter::Brace).is_none() => {
                String::from(
                    "the endpoints of a backend are in its list: `backend users = cluster(rr, [\"http://10.0.0.1:8080\"]);`",
                )
            }
            (Some(Foreign::Route), _) => route(c),
            (Some(Foreign::Matcher), _) => matchers(c),
            (Some(Foreign::Other(help)), _) => help.to_owned(),
            _ if METHODS.contains(&&*word.to_ascii_uppercase()) => {
                let method = word.to_ascii_uppercase();
                format!("methods are written in upper case: `{method} \"/users\" => target,`")
            }
            (None, Some("with")) if c.group(1, Delimiter::Parenthesis).is_some() => {
                let layers = c
                    .group(1, Delimiter::Parenthesis)
                    .map(|group| source(&super::cursor::tokens_of(group.stream())));
                format!("write `with [{}];`", layers.unwrap_or_default())
            }
            (None, Some("backend")) if c.group(2, Delimiter::Brace).is_some() => {
                let name = c.ident(1).filter(|name| is_free(name));
                let name = name.map_or_else(|| String::from("users"), ToString::to_string);
                format!("write `{}`", form("backend").replace("users", &name))
            }
            (None, Some(meant)) => format!("write `{}`", form(meant)),
            (None, None) => String::from(
                "a line must start with a path, a method, `env`, `let`, `backend`, `with`, `host`, `on` or `expect`",
            ),
        };
        self.unknown(ident).help(help);
        // What the block declares is there.
        if let (Some("backend"), Some(name), Some(_)) =
            (meant, c.ident(1), c.group(2, Delimiter::Brace))
            && is_free(name)
        {
            self.gateway.setup.push(Setup::Backend(Backend {
                attrs: Vec::new(),
                name: name.clone(),
                target: None,
            }));
        }
        skip_line(c);
        None
    }

    fn unknown(&mut self, ident: &Ident) -> &mut Diagnostic {
        self.diag.error(
            ident,
            format!("unknown word `{ident}` at the start of a line"),
        )
    }

    /// Passes over the same word again.
    pub(super) fn doubled(&mut self, c: &mut Cursor<'_>) {
        let Some(word) = c.ident(0).map(ToString::to_string) else {
            return;
        };
        if !ITEMS.contains(&word.as_str()) && word != "exact" {
            return;
        }
        while let Some(again) = c.ident(1).filter(|again| **again == *word) {
            // A name, which is reported as such.
            if c.is_punct(2, '=') || c.is_punct(2, ':') {
                return;
            }
            self.diag
                .error(again, format!("duplicate `{word}`"))
                .help("remove one of them");
            c.bump();
        }
    }

    /// Passes over an item of Rust, and keeps it for the expansion, so that what it declares is there.
    fn stray_item(&mut self, c: &mut Cursor<'_>, attrs: &[Attr], name: &str) {
        let place = c.span();
        let mut tokens: Vec<TokenTree> = attrs.iter().flat_map(|a| a.tokens.clone()).collect();
        while let Some(token) = c.bump() {
            tokens.push(token.clone());
            let block =
                matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            let end = matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';');
            // The braces of `use a::{b, c};` end nothing.
            if end || (block && name != "use") {
                break;
            }
        }
        let error = self.diag.error(
            place,
            format!("`{name}` is not allowed inside a gateway: of Rust, only `let` is"),
        );
        match name {
            "const" | "static" => {
                error.help("write `let name = value;`, or move it above `prox::gateway!`")
            }
            _ => error.help("move it above `prox::gateway!`"),
        };
        // Where items stand, so that a gateway was to have a name.
        let public = matches!(tokens.first(), Some(TokenTree::Ident(word)) if word == "pub");
        self.gateway.without_name |= public && !self.started && self.gateway.named.is_none();
        self.gateway.strays.extend(tokens);
    }

    /// What is no word at the start of a line.
    pub(super) fn unexpected(&mut self, c: &mut Cursor<'_>) {
        const WORDS: &str = "a line must start with a path in quotes, a method, `env`, `let`, `backend`, `with`, `host`, `on` or `expect`";
        let Some(token) = c.peek(0) else {
            if self.is_cut_off(c) {
                return;
            }
            self.diag
                .error(c.span_before(), "expected an item after the attribute")
                .help("write an item below it, or remove it");
            return;
        };
        let place = c.span();
        let separated = matches!(c.previous(), Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), ';' | ','));
        if let (true, Some(call)) = (c.is_punct(0, '.'), c.ident(1))
            && let Some(help) = router_call(c, &call.to_string())
        {
            self.diag
                .error(
                    call,
                    format!("unexpected `.{call}(..)`: a gateway consists of lines"),
                )
                .help(help);
            c.skip(3);
            return;
        }
        if c.is_punct(0, '-') && c.ident(1).is_some() && c.is_punct(2, ':') {
            let path = c.rest().iter().find_map(path_in);
            let path = path.unwrap_or_else(|| String::from("\"/users\""));
            self.diag
                .error(place, "expected a route, found YAML")
                .help(format!("write `{path} => \"http://127.0.0.1:8080\",`"));
            c.bump();
            while !c.is_end() && !starts_line(c) {
                c.bump();
            }
            return;
        }
        if let (true, true, Some(option)) = (separated, c.is_punct(0, '.'), c.ident(1)) {
            self.diag
                .error(option, format!("unexpected separator before `.{option}`"))
                .help("remove the separator before it");
            return skip_line(c);
        }
        if c.is_punct(0, '/') {
            let path = bare_path(c, 0);
            self.diag
                .error(place, "expected quotes around the path")
                .help(format!("write `\"{path}\" => target,`"));
            return skip_line(c);
        }
        let shown = match token {
            TokenTree::Group(group) => opening(group).to_owned(),
            token => token.to_string(),
        };
        let mut next = c.clone();
        next.bump();
        let alone = matches!(token, TokenTree::Punct(_)) && (next.is_end() || starts_line(&next));
        if let (TokenTree::Group(group), Some(path)) = (token, c.text(1))
            && let Some(methods) = methods_in(group)
        {
            self.diag
                .error(place, "unexpected brackets around methods")
                .help(format!("write `{methods} {} => target,`", path.token));
            return skip_line(c);
        }
        let help = if c.is_punct(0, '*') && c.is_string(1) {
            "remove it: a route without a method accepts every method"
        } else if c.is_punct(0, '*') && c.is_arrow(1) {
            "write `\"/\" => target,`, which matches every path that no other route matches"
        } else if c.is_punct(0, '#') {
            "a comment starts with `//`"
        } else if alone {
            "remove it"
        } else {
            WORDS
        };
        self.diag
            .error(
                place,
                format!("unexpected `{shown}` at the start of a line"),
            )
            .help(help);
        skip_line(c);
    }
}

/// What to write for a method of the routers of axum, if this is one.
fn router_call(c: &Cursor<'_>, name: &str) -> Option<String> {
    let group = c.group(2, Delimiter::Parenthesis)?;
    let args = super::expr_list(
        &super::cursor::tokens_of(group.stream()),
        group.span_close(),
    );
    let shown = |at: usize| args.get(at).map(|arg| source(&arg.tokens));
    match (name, shown(0), shown(1)) {
        ("route", Some(path), Some(methods)) if path.starts_with('"') => {
            // `get(hello)`
            let (method, function) = methods.split_once('(').unwrap_or(("", "f)"));
            let method = method
                .rsplit(':')
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let method = if is_method(&method) {
                method + " "
            } else {
                String::new()
            };
            let function = function.trim_end_matches(')');
            Some(format!("write `{method}{path} => handler({function}),`"))
        }
        ("nest" | "nest_service" | "route_service", Some(path), Some(service)) => {
            Some(format!("write `{path} => service({service}),`"))
        }
        ("layer" | "route_layer", Some(layer), None) => Some(format!("write `with [{layer}];`")),
        ("fallback", Some(handler), None) => Some(format!("write `\"/\" => handler({handler}),`")),
        _ => None,
    }
}

/// The first path in a token.
fn path_in(token: &TokenTree) -> Option<String> {
    if let TokenTree::Group(group) = token {
        return group.stream().into_iter().find_map(|token| path_in(&token));
    }
    let text = super::cursor::text_of(token)?;
    text.value.starts_with('/').then(|| text.token.to_string())
}

/// `[GET, POST]` as it is written here.
fn methods_in(group: &Group) -> Option<String> {
    let tokens = super::cursor::tokens_of(group.stream());
    let words = tokens.iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string().to_ascii_uppercase()),
        _ => None,
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty() && words.iter().all(|word| is_method(word))).then(|| words.join(" | "))
}

fn opening(group: &Group) -> &'static str {
    match group.delimiter() {
        Delimiter::Brace => "{",
        Delimiter::Bracket => "[",
        _ => "(",
    }
}

/// Whether a backend may have the name.
fn is_free(name: &Ident) -> bool {
    !is_keyword(name) && !ITEMS.contains(&&*name.to_string())
}

/// Whether what follows the word is what follows the method of a route.
fn is_method_position(c: &Cursor<'_>) -> bool {
    let path = |ahead| {
        c.text(ahead)
            .is_some_and(|text| text.value.starts_with('/'))
    };
    path(1)
        || (c.is_word(1, "exact") && c.is_string(2))
        || (c.is_punct(1, '|') && (c.ident(2).is_some() || (c.is_string(2) && c.is_string(3))))
        || (c
            .ident(1)
            .is_some_and(|method| is_method(&method.to_string()))
            && path(2))
}

/// Whether what follows a word is what follows the word that was meant.
fn fits(meant: &str, c: &Cursor<'_>) -> bool {
    let named = c.ident(1).is_some_and(|name| !is_keyword(name));
    let then = |characters: &[char]| characters.iter().any(|character| c.is_punct(2, *character));
    match meant {
        "host" => c.is_string(1) || c.is_word(1, "_") || is_host_variable(c),
        "on" => is_listener(c),
        "with" => c.group(1, Delimiter::Bracket).is_some(),
        "require" => c.is_word(1, "auth"),
        "expect" => {
            c.ident(1).is_some_and(|word| is_method(&word.to_string()))
                || (c.is_string(1) && c.is_string(2))
        }
        "backend" | "let" => named && then(&['=', ':']),
        "env" => named && then(&['=', ':', ';']),
        _ => named,
    }
}

/// The first word of an item of Rust, if one starts here.
fn rust_item(c: &Cursor<'_>) -> Option<String> {
    const WORDS: [&str; 12] = [
        "async", "const", "enum", "extern", "fn", "impl", "mod", "static", "trait", "type",
        "unsafe", "use",
    ];
    let mut at = 0;
    if c.is_word(0, "pub") {
        at = 1 + usize::from(c.group(1, Delimiter::Parenthesis).is_some());
    }
    let word = c.ident(at)?.to_string();
    let item = WORDS.contains(&word.as_str()) && !c.is_arrow(at + 1)
        || word == "macro_rules" && c.is_punct(at + 1, '!');
    item.then_some(if word == "async" || word == "unsafe" {
        format!("{word} fn")
    } else {
        word
    })
}

/// `/api/v1` as it was written without quotes.
fn bare_path(c: &Cursor<'_>, from: usize) -> String {
    let rest = c.rest().iter().enumerate().skip(from);
    rest.take_while(|(at, token)| {
        let word = matches!(token, TokenTree::Ident(word) if word == "if" || word == "with");
        let separator = c.is_punct(*at, ',') || c.is_punct(*at, ';') || c.is_arrow(*at);
        !word && !separator && c.group(*at, Delimiter::Brace).is_none()
    })
    .map(|(_, token)| token.to_string())
    .collect()
}

/// The form of a route, with the path that was written if there is one.
fn route(c: &Cursor<'_>) -> String {
    let bare = bare_path(c, 1);
    let text = c.text(1).or_else(|| text_in(c, 1)).or_else(|| c.text(2));
    let path = match text {
        Some(text) if text.value.starts_with('/') => text.value,
        _ if bare.starts_with('/') => bare.trim_end_matches(['*', '/']).to_owned(),
        _ => String::from("/api"),
    };
    let path = if path.is_empty() { "/" } else { &path };
    format!("write a route: `\"{path}\" => \"http://127.0.0.1:8080\",`")
}

/// The form of a route for `Host("a") && PathPrefix("/b")`.
fn matchers(c: &Cursor<'_>) -> String {
    let value = |word: &str| {
        let at = (0..c.rest().len()).find(|at| c.is_word(*at, word))?;
        text_in(c, at + 1)
    };
    let host = value("Host");
    let path = value("PathPrefix").or_else(|| value("Path"));
    let path = path.map_or_else(|| String::from("/"), |text| text.value);
    match host {
        Some(host) => format!("write `host \"{}\" {{ \"{path}\" => target }}`", host.value),
        None => format!("write `\"{path}\" => target,`"),
    }
}

/// The text in `("text")`.
fn text_in(c: &Cursor<'_>, at: usize) -> Option<super::ast::Text> {
    let group = c.group(at, Delimiter::Parenthesis)?;
    let first = group.stream().into_iter().next()?;
    super::cursor::text_of(&first)
}
