//! `.mirror(canary, 0.1)`: the share, and who gets it.

use proc_macro2::{Group, Ident, Literal, TokenTree};

use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{
        ast::Expr,
        calls::{Call, each_expr, each_option},
        cursor::tokens_of,
        expr_list,
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let is_backend = |name: &Ident| model.is_backend(name);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            each_option(&expr.tokens, &is_backend, &mut |call| {
                mirror(expr, call, diag);
            });
        });
    }
}

fn mirror(expr: &Expr, call: &Call<'_>, diag: &mut Diagnostics) {
    if call.name != "mirror" {
        return;
    }
    let args = call.args();
    if let (Some(TokenTree::Ident(first)), Some(to)) = (expr.tokens.first(), args.first())
        && let Some(to) = to.only_ident().filter(|to| *to == first)
    {
        diag.error(to, format!("`{to}` cannot be its own mirror"))
            .help("name the backend that gets the copies");
    }
    let Some(share) = args.get(1) else { return };
    let (Some(wrong), Some(first)) = (Share::of(share), share.tokens.first()) else {
        return;
    };
    let place = Place::of(&share.tokens, first.span());
    let text: String = share.tokens.iter().map(ToString::to_string).collect();
    match wrong {
        Share::Right => {}
        Share::One => {
            diag.error(place, format!("`{text}` is no share of the requests"))
                .help("write `1.0` for all of them, or `0.01` for 1 %");
        }
        Share::Percent(percent) => {
            diag.error(place, format!("`{text}` is no share of the requests"))
                .help(format!("write `{:?}` for {percent} %", percent / 100.0));
        }
        Share::Outside => {
            diag.error(place, format!("`{text}` is no share of the requests"))
                .help("write one from 0.0 to 1.0: `0.1` copies every tenth");
        }
    }
}

/// What a literal says of a share.
enum Share {
    Right,
    /// All of them, or a hundredth.
    One,
    /// A whole number, with `%` or without, for which a percentage was most likely meant.
    Percent(f64),
    Outside,
}

impl Share {
    /// None if it is no literal, and so for rustc, or for the start.
    fn of(share: &Expr) -> Option<Self> {
        let number = |literal: &Literal| literal.to_string().replace('_', "").parse::<f64>().ok();
        match share.tokens.as_slice() {
            [TokenTree::Literal(literal)] => {
                let (number, text) = (number(literal)?, literal.to_string());
                let whole = !text.contains('.');
                Some(match number {
                    _ if text == "1" => Self::One,
                    1.0..=100.0 if whole => Self::Percent(number),
                    0.0..=1.0 if !whole => Self::Right,
                    _ => Self::Outside,
                })
            }
            [TokenTree::Literal(literal), TokenTree::Punct(percent)]
                if percent.as_char() == '%' =>
            {
                Some(Self::Percent(number(literal)?))
            }
            [TokenTree::Punct(minus), TokenTree::Literal(literal)] if minus.as_char() == '-' => {
                number(literal).map(|_| Self::Outside)
            }
            _ => None,
        }
    }
}

/// Whether something of these arguments has been reported; `before` is the chain up to them.
pub(crate) fn is_wrong(option: &Ident, before: &[TokenTree], group: &Group) -> bool {
    if option != "mirror" {
        return false;
    }
    let args = arguments(group);
    let again = before.windows(2).any(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Group(earlier)] => {
            name == option && to(&arguments(earlier)) == to(&args)
        }
        _ => false,
    });
    let itself = match (before.first(), args.first().and_then(Expr::only_ident)) {
        (Some(TokenTree::Ident(first)), Some(to)) => to == first,
        _ => false,
    };
    let share = args.get(1).and_then(Share::of);
    again || itself || share.is_some_and(|share| !matches!(share, Share::Right))
}

/// Who gets the copies, as it is written.
pub(super) fn to(args: &[Expr]) -> Option<String> {
    let to = args.first()?;
    Some(to.tokens.iter().map(ToString::to_string).collect())
}

fn arguments(group: &Group) -> Vec<Expr> {
    expr_list(&tokens_of(group.stream()), group.span_close())
}
