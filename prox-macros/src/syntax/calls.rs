//! Finds calls of known words inside of expressions that are otherwise left to rustc.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenTree};

use super::{
    ast::{Expr, Target, Weight},
    cursor::{text_of, tokens_of},
    expr::list,
    words::CHECKS,
};
use crate::vocab::{self, Slot};

/// `name(..)` or `.name(..)`.
pub(crate) struct Call<'a> {
    pub(crate) name: &'a Ident,
    /// Whether a `.` stands before it.
    pub(crate) method: bool,
    pub(crate) group: &'a Group,
}

impl Call<'_> {
    /// The arguments, split at their commas.
    pub(crate) fn args(&self) -> Vec<Expr> {
        list(&tokens_of(self.group.stream()), self.group.span_close())
    }

    /// The only argument, if it is a literal.
    pub(crate) fn only_literal(&self) -> Option<Literal> {
        let mut tokens = self.group.stream().into_iter();
        match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Literal(literal)), None) => Some(literal),
            _ => None,
        }
    }
}

/// Shows every call in the tokens, those in its arguments and blocks included, in the order of the source. What stands at the
/// end of a path, as `other::cluster(..)`, is none of the words of the language.
pub(crate) fn each_call(tokens: &[TokenTree], seen: &mut dyn FnMut(&Call<'_>)) {
    for (place, token) in tokens.iter().enumerate() {
        let before = tokens.get(..place).unwrap_or_default();
        if let (TokenTree::Ident(name), Some(TokenTree::Group(group))) =
            (token, tokens.get(place + 1))
            && group.delimiter() == Delimiter::Parenthesis
            && !is_in_path(before)
        {
            seen(&Call {
                name,
                method: is_method(before),
                group,
            });
        }
        if let TokenTree::Group(group) = token {
            each_call(&tokens_of(group.stream()), seen);
        }
    }
}

/// Shows the options of a target: the methods behind a backend or a cluster, and those of the settings in their arguments. The
/// methods of any other value may have the same names, and mean something else.
pub(crate) fn each_option(
    tokens: &[TokenTree],
    is_backend: &dyn Fn(&Ident) -> bool,
    seen: &mut dyn FnMut(&Call<'_>),
) {
    if has_options(tokens, is_backend) {
        options(tokens, seen);
    }
}

fn options(tokens: &[TokenTree], seen: &mut dyn FnMut(&Call<'_>)) {
    for (place, token) in tokens.iter().enumerate() {
        let before = tokens.get(..place).unwrap_or_default();
        // `SlowStart::over(30s)` is one like a method of it.
        if let (true, TokenTree::Ident(name), Some(TokenTree::Group(group))) = (
            is_method(before) || is_in_path(before),
            token,
            tokens.get(place + 1),
        ) && group.delimiter() == Delimiter::Parenthesis
        {
            seen(&Call {
                name,
                method: true,
                group,
            });
            let inner = tokens_of(group.stream());
            if is_settings(&inner) {
                options(&inner, seen);
            }
        }
    }
}

/// Whether the methods behind the first of these tokens are the options of a target.
pub(crate) fn has_options(tokens: &[TokenTree], is_backend: &dyn Fn(&Ident) -> bool) -> bool {
    match tokens {
        [TokenTree::Ident(name), TokenTree::Group(_), ..] => name == "cluster",
        [TokenTree::Ident(name), dot, ..] => {
            is_backend(name) && ends_with(std::slice::from_ref(dot), '.')
        }
        _ => false,
    }
}

/// Whether the tokens are a health check of ours, with its own options behind it.
pub(crate) fn is_health_check(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Ident(name), TokenTree::Group(_), ..] => {
            CHECKS.iter().any(|check| name == check)
        }
        _ => false,
    }
}

/// Whether the tokens are a value of ours with options of its own: a health check, or `RetryOptions::new(2)` and the like.
pub(crate) fn is_settings(tokens: &[TokenTree]) -> bool {
    let is_type = |word: &Ident| {
        let word = word.to_string();
        word.ends_with("Options") || word == "SlowStart" || word == "Sticky"
    };
    let path = tokens
        .iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_)));
    is_health_check(tokens)
        || path.zip(tokens.iter().skip(1)).any(|(word, colon)| {
            matches!(word, TokenTree::Ident(word) if is_type(word))
                && is_in_path(std::slice::from_ref(colon))
        })
}

/// Whether what follows these tokens is a method, a field or a range's end.
pub(crate) fn is_method(before: &[TokenTree]) -> bool {
    ends_with(before, '.')
}

/// Whether what follows these tokens is the next part of a path.
pub(crate) fn is_in_path(before: &[TokenTree]) -> bool {
    ends_with(before, ':')
}

fn ends_with(tokens: &[TokenTree], character: char) -> bool {
    matches!(tokens.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

/// Shows every literal in the tokens.
pub(crate) fn each_literal(tokens: &[TokenTree], seen: &mut dyn FnMut(&Literal)) {
    for token in tokens {
        match token {
            TokenTree::Literal(literal) => seen(literal),
            TokenTree::Group(group) => each_literal(&tokens_of(group.stream()), seen),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Whether one of the tokens is this name, as a variable would be named.
pub(crate) fn mentions(tokens: &[TokenTree], name: &Ident) -> bool {
    let name = name.to_string();
    let mut found = false;
    each_name(tokens, &mut |other| found |= plain(other) == plain(&name));
    found
}

/// Shows every name in the tokens that can be that of a variable, those in the texts of macros as `format!` included.
pub(crate) fn each_name(tokens: &[TokenTree], seen: &mut dyn FnMut(&str)) {
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) => {
                if !is_method(tokens.get(..place).unwrap_or_default()) {
                    seen(&ident.to_string());
                }
            }
            TokenTree::Group(group) => {
                let inner = tokens_of(group.stream());
                each_name(&inner, seen);
                if is_macro(tokens.get(..place).unwrap_or_default()) {
                    for text in inner.iter().filter_map(text_of) {
                        for name in captures(&text.value) {
                            seen(name);
                        }
                    }
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Shows every name in the tokens that can be that of a backend: no word that is called, and no policy of a cluster.
pub(crate) fn each_backend(tokens: &[TokenTree], seen: &mut dyn FnMut(&str)) {
    for (place, token) in tokens.iter().enumerate() {
        let before = tokens.get(..place).unwrap_or_default();
        match token {
            TokenTree::Ident(name) if !is_method(before) => {
                let called = matches!(
                    tokens.get(place + 1),
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis
                );
                let text = name.to_string();
                if !called || vocab::called(&text).is_none() {
                    seen(&text);
                }
            }
            TokenTree::Group(group) => {
                let inner = tokens_of(group.stream());
                let cluster =
                    matches!(before.last(), Some(TokenTree::Ident(word)) if word == "cluster");
                let policy = match inner.as_slice() {
                    [TokenTree::Ident(name), rest @ ..] if cluster => {
                        let alone =
                            rest.is_empty() || ends_with(rest.get(..1).unwrap_or_default(), ',');
                        alone && vocab::is(Slot::Policy, &name.to_string())
                    }
                    _ => false,
                };
                each_backend(inner.get(usize::from(policy)..).unwrap_or_default(), seen);
                if is_macro(before) {
                    for text in inner.iter().filter_map(text_of) {
                        for name in captures(&text.value) {
                            seen(name);
                        }
                    }
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// A name without the `r#` that makes a name of a keyword.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Whether what follows these tokens are the arguments of a macro.
fn is_macro(before: &[TokenTree]) -> bool {
    matches!(
        before,
        [.., TokenTree::Ident(_), TokenTree::Punct(punct)] if punct.as_char() == '!'
    )
}

/// The variables that a text of formatting names: `{name}`, `{name:?}`, `{name:width$.digits$}`.
fn captures(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        if let Some(escaped) = behind.strip_prefix('{') {
            rest = escaped;
            continue;
        }
        let Some((argument, behind)) = behind.split_once('}') else {
            break;
        };
        let (name, form) = argument.split_once(':').unwrap_or((argument, ""));
        names.push(name.trim());
        // What stands before a `$` is a name as well, behind whatever is no part of it.
        let mut counts: Vec<&str> = form.split('$').collect();
        counts.pop();
        for count in counts {
            let name = count.rsplit(|c| !is_part(c)).next().unwrap_or_default();
            names.push(name.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        rest = behind;
    }
    names.retain(|name| {
        name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(is_part)
    });
    names
}

fn is_part(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Shows every expression of a target: itself, or those of its arms and what stands behind them.
pub(crate) fn each_expr<'a>(target: &'a Target, seen: &mut dyn FnMut(&'a Expr)) {
    match target {
        Target::Url(_) => {}
        Target::Expr(expr) => seen(expr),
        Target::Split(split) => {
            for arm in &split.arms {
                if let Weight::Value(value) = &arm.weight {
                    seen(value);
                }
                each_expr(&arm.target, seen);
            }
            if let Some(options) = &split.options {
                seen(options);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_formatting_name_variables() {
        let cases: [(&str, &[&str]); 9] = [
            ("{RATE}", &["RATE"]),
            ("a {a} {b:?} {{c}} {}", &["a", "b"]),
            ("{0} {1:?} {} {:>5}", &[]),
            ("{x:>width$.digits$}", &["x", "width", "digits"]),
            ("{:05} {:0w$}", &["w"]),
            ("{:>w$}", &["w"]),
            ("{{{x}}}", &["x"]),
            ("{x", &[]),
            ("{a b} {x-y} {ä }", &["ä"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(captures(text), wanted, "{text}");
        }
    }

    #[test]
    fn only_the_texts_of_macros_name_variables() {
        let source = r#"format!("{a}"), f("{b}"), x.map(|y| m::write!(w, "{c:?}")), p! { r"{d}" }"#;
        let tokens = tokens_of(source.parse().unwrap());
        for (name, wanted) in [("a", true), ("b", false), ("c", true), ("d", true)] {
            let name = Ident::new(name, proc_macro2::Span::call_site());
            assert_eq!(mentions(&tokens, &name), wanted, "{name}");
        }
    }
}
