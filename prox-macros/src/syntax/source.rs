//! The source text of tokens, with one form of spacing whatever the compiler gives.

use proc_macro2::{Delimiter, Spacing, TokenTree};

use super::{ast::Target, cursor::tokens_of};

/// The text of an expression or a type, on one line.
pub(crate) fn source(tokens: &[TokenTree]) -> String {
    let mut printer = Printer::default();
    printer.tokens(tokens);
    printer.text
}

/// The source text of a target.
pub(crate) fn target_text(target: &Target) -> String {
    match target {
        Target::Url(url) => url.token.to_string(),
        Target::Expr(expr) => source(&expr.tokens),
        Target::Split(split) => {
            let arms: Vec<String> = split
                .arms
                .iter()
                .map(|arm| format!("{} => {}", arm.weight, target_text(&arm.target)))
                .collect();
            let options = split.options.as_ref();
            let options = options.map_or_else(String::new, |options| source(&options.tokens));
            format!("split {{ {} }}{options}", arms.join(", "))
        }
    }
}

#[derive(Default)]
struct Printer {
    text: String,
    before: Option<Kind>,
    angles: usize,
    in_closure_head: bool,
}

/// What the last token was, as far as spaces go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, a literal or a closing bracket, after which an operator stands apart.
    Operand,
    Keyword,
    /// A separator or an operator with a space behind it.
    Operator,
    /// What the next token follows at once.
    Tight,
}

impl Printer {
    fn tokens(&mut self, tokens: &[TokenTree]) {
        let mut rest = tokens.iter().peekable();
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Ident(ident) => self.ident(&ident.to_string()),
                TokenTree::Literal(literal) => {
                    self.space_unless_tight();
                    self.push(&literal.to_string(), Kind::Operand);
                }
                TokenTree::Group(group) => self.group(group),
                TokenTree::Punct(punct) => {
                    let mut operator = String::from(punct.as_char());
                    let mut joint = punct.spacing() == Spacing::Joint;
                    while let Some(TokenTree::Punct(next)) = rest.peek().filter(|_| joint) {
                        if !continues(&operator, next.as_char()) {
                            break;
                        }
                        operator.push(next.as_char());
                        joint = next.spacing() == Spacing::Joint;
                        rest.next();
                    }
                    self.operator(&operator);
                }
            }
        }
    }

    fn ident(&mut self, word: &str) {
        const KEYWORDS: [&str; 12] = [
            "as", "async", "await", "else", "if", "in", "let", "match", "move", "mut", "return",
            "dyn",
        ];
        self.space_unless_tight();
        let keyword = KEYWORDS.contains(&word) && !self.text.ends_with('.');
        self.push(
            word,
            if keyword {
                Kind::Keyword
            } else {
                Kind::Operand
            },
        );
    }

    fn group(&mut self, group: &proc_macro2::Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{ ", " }"),
            Delimiter::None => ("", ""),
        };
        let apart = group.delimiter() == Delimiter::Brace || self.before != Some(Kind::Operand);
        if apart {
            self.space_unless_tight();
        }
        let inner = tokens_of(group.stream());
        if inner.is_empty() {
            self.push(&format!("{}{}", open.trim(), close.trim()), Kind::Operand);
            return;
        }
        let mut printer = Self::default();
        printer.tokens(&inner);
        self.push(&format!("{open}{}{close}", printer.text), Kind::Operand);
    }

    fn operator(&mut self, operator: &str) {
        let after_operand = self.before == Some(Kind::Operand);
        let after_name = self
            .text
            .ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match operator {
            "," | ";" => self.push(operator, Kind::Operator),
            ":" => self.push(":", Kind::Operator),
            "?" => self.push("?", Kind::Operand),
            "." | ".." | "..=" if after_operand => self.push(operator, Kind::Tight),
            "::" if after_operand => self.push("::", Kind::Tight),
            "!" if after_name => self.push("!", Kind::Operand),
            "<" if self.opens_angle() => {
                self.angles += 1;
                self.push("<", Kind::Tight);
            }
            ">" if self.angles > 0 => {
                self.angles -= 1;
                self.push(">", Kind::Operand);
            }
            "|" if self.in_closure_head => {
                self.in_closure_head = false;
                self.push("|", Kind::Operator);
            }
            "||" if !after_operand => {
                self.space_unless_tight();
                self.push("||", Kind::Operator);
            }
            "|" if !after_operand => {
                self.in_closure_head = true;
                self.space_unless_tight();
                self.push("|", Kind::Tight);
            }
            "&" | "&&" | "*" | "-" | "!" | "#" | "'" | "::" | "." | ".." | "<"
                if !after_operand =>
            {
                self.space_unless_tight();
                self.push(operator, Kind::Tight);
            }
            _ => {
                self.space_unless_tight();
                self.push(operator, Kind::Operator);
            }
        }
    }

    /// `Vec<` and `::<` open a list of types; `a <` compares.
    fn opens_angle(&self) -> bool {
        let name = self
            .text
            .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        self.text.ends_with("::") || name.starts_with(|c: char| c.is_ascii_uppercase())
    }

    fn space_unless_tight(&mut self) {
        if !self.text.is_empty() && self.before != Some(Kind::Tight) {
            self.text.push(' ');
        }
    }

    fn push(&mut self, text: &str, kind: Kind) {
        self.text.push_str(text);
        self.before = Some(kind);
    }
}

/// Whether the character makes a longer operator with what stands before it.
fn continues(operator: &str, next: char) -> bool {
    const LONG: [&str; 21] = [
        "::", "=>", "->", "..", "...", "..=", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=",
        "/=", "<<", "^=", "%=", "&=", "|=",
    ];
    LONG.contains(&format!("{operator}{next}").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_those_of_rustfmt() {
        let texts = [
            "users.rewrite(\"/people/{id}\").timeout(5s)",
            "cluster(rr, [USERS_URL, \"http://10.0.0.2:8080\".weight(3)])",
            "RateLimit::per_second(RATE).burst(20)",
            "handler(|req: prox::Request| async move { hello(&req, -1).await? })",
            "make::<A, B>(vec![1, 2])[0]",
            "a && !b || c == *d",
            "if x { 1 } else { 2 }",
            "std::collections::HashMap<String, Vec<u8>>",
            "&'static str",
            "redirect(308, \"/v1\")",
            "|| 5",
            "0..10",
        ];
        for text in texts {
            let tokens = tokens_of(text.parse().unwrap());
            assert_eq!(source(&tokens), text);
        }
    }
}
