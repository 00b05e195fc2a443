//! Layers: `with [..]`.

use proc_macro2::{Delimiter, Span, TokenTree};

use super::{
    Parser,
    ast::Expr,
    cursor::{Cursor, tokens_of},
    expr::list,
    marks::Mark,
    source::source,
    words::starts_line,
};
use crate::diag::{Place, line};

impl Parser<'_> {
    /// `with [..]`, from the word on.
    pub(super) fn with(&mut self, c: &mut Cursor<'_>) -> Vec<Expr> {
        let word = c.span();
        self.doubled(c);
        c.bump();
        if let Some(group) = c.group(0, Delimiter::Bracket) {
            c.bump();
            let tokens = tokens_of(group.stream());
            self.doubled_comma(&tokens);
            let layers = list(&tokens, group.span_close());
            let written = layers.len();
            let layers = self.layers(layers);
            self.gateway.lost_layers |= layers.len() < written;
            return layers;
        }
        let mut tokens = Vec::new();
        while let Some(token) = c.peek(0) {
            let block = c.group(0, Delimiter::Brace);
            let ends = c.is_punct(0, ';')
                || (c.is_punct(0, ',') && !is_another(c))
                || c.is_arrow(0)
                || block.is_some_and(|block| !tokens.is_empty() || is_block(block))
                || starts_line(c);
            if ends {
                break;
            }
            tokens.push(token.clone());
            c.bump();
        }
        self.gateway.lost_layers = true;
        if tokens.is_empty() && self.is_cut_off(c) {
            return Vec::new();
        }
        let error = self.diag.error(
            Place::of(&tokens, word),
            "expected a list of layers in `[..]` after `with`",
        );
        let inner = match tokens.as_slice() {
            [] => {
                error.help("write `with [auth, RateLimit::per_second(100)]`");
                return Vec::new();
            }
            // Other brackets around the list.
            [TokenTree::Group(group)] => tokens_of(group.stream()),
            tokens => tokens.to_vec(),
        };
        error.help(format!("write `with [{}]`", source(&inner)));
        self.layers(list(&inner, word))
    }

    /// The end of a line of layers. Without its `;` they may have been meant for what stands around them.
    pub(super) fn end_of_layers(&mut self, c: &mut Cursor<'_>, word: Span, behind: Option<bool>) {
        if behind == Some(true) && line(word) > 0 || behind.is_some() && !c.is_punct(0, ';') {
            self.diag
                .error(word, "the layers of a host or a scope must come before its `{`")
                .help("write `host \"api.example.com\" with [..] { .. }`, or `\"/v1\" with [..] { .. }`")
                .help("for layers of the whole gateway, write a line `with [..];`");
            let _ = c.eat_punct(';') || c.eat_punct(',');
            return;
        }
        let same_line = line(c.span()) == line(c.span_before());
        if same_line && !c.is_end() && starts_line(c) && !c.is_word(0, "with") {
            self.diag
                .error(word, "the layers of a route must come after its target")
                .help("write `\"/path\" => target with [..],`")
                .help("for layers of all routes here, write a line `with [..];`");
            return;
        }
        self.semicolon(c, "the layers");
    }

    /// Lists of which each was meant to be a part of one.
    pub(super) fn more_layers(&mut self, c: &mut Cursor<'_>, layers: &mut Vec<Expr>) {
        while c.is_word(0, "with") {
            let again = c.span();
            let more = self.with(c);
            let all: Vec<String> = layers
                .iter()
                .chain(&more)
                .map(|layer| source(&layer.tokens))
                .collect();
            self.diag
                .error(again, "duplicate `with`")
                .help(format!("write `with [{}]`", all.join(", ")));
            layers.extend(more);
        }
    }

    /// Reports a `,` that nothing stands before.
    fn doubled_comma(&mut self, tokens: &[TokenTree]) {
        let comma =
            |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        let second = tokens.windows(2).find(|pair| pair.iter().all(comma));
        let first = tokens.first().filter(|first| comma(first));
        if let Some(comma) = first.or(second.and_then(|pair| pair.last())) {
            self.diag
                .error(comma.span(), "unexpected `,`")
                .help("remove it");
        }
    }

    pub(super) fn layers(&mut self, layers: Vec<Expr>) -> Vec<Expr> {
        let mut all = Vec::new();
        for layer in layers {
            self.mark(Mark::Expr(layer.clone()));
            all.extend(self.sound_layers(layer));
        }
        all
    }
}

/// The block of a host or a scope that ends right before, if one does: whether it ends on the same line as what follows.
pub(super) fn behind_block(c: &Cursor<'_>) -> Option<bool> {
    let Some(TokenTree::Group(block)) = c.previous() else {
        return None;
    };
    if block.delimiter() != Delimiter::Brace {
        return None;
    }
    let (end, here) = (line(block.span_close()), line(c.span()));
    Some(end == here)
}

/// Whether a layer follows the `,`, and no line.
fn is_another(c: &Cursor<'_>) -> bool {
    let mut next = c.clone();
    next.bump();
    let behind = next.peek(1).is_none_or(|token| {
        !matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_))
            && !matches!(token, TokenTree::Punct(punct) if matches!(punct.as_char(), '=' | '|'))
    });
    next.ident(0).is_some() && behind && !starts_line(&next)
}

/// Whether braces are those of routes, and not of layers.
fn is_block(block: &proc_macro2::Group) -> bool {
    let tokens = tokens_of(block.stream());
    tokens.is_empty() || starts_line(&Cursor::new(&tokens, block.span_close()))
}
