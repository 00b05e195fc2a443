//! `.mirror(canary, 0.1)`: which backend gets the copies.

use proc_macro2::{Group, Ident, TokenTree};

use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        ast::Expr,
        calls::{Call, each_expr, each_option},
        cursor::tokens_of,
        expr_list,
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let is_backend = |name: &Ident| model.takes_options(name);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            each_option(&expr.tokens, &is_backend, &mut |call| {
                mirror(expr, call, diag);
            });
        });
    }
}

fn mirror(expr: &Expr, call: &Call<'_>, diag: &mut Diagnostics) {
    let args = call.args();
    let argument = args.first().map_or(&[][..], |to| &to.tokens);
    if let [TokenTree::Ident(to)] = argument
        && is_itself(call.name, expr.tokens.first(), argument)
    {
        diag.error(to, format!("`{to}` cannot be its own mirror"))
            .help("name the backend that gets the copies");
    }
}

/// Whether the argument of `mirror` is the mirrored backend; `first` is the first name of the chain.
fn is_itself(option: &Ident, first: Option<&TokenTree>, argument: &[TokenTree]) -> bool {
    match (first, argument) {
        (Some(TokenTree::Ident(first)), [TokenTree::Ident(to)]) => {
            option == "mirror" && to == first
        }
        _ => false,
    }
}

/// Whether something of the backend in these arguments has been reported; `before` is the chain up to them.
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
    let first = args.first().map_or(&[][..], |to| &to.tokens);
    again || is_itself(option, before.first(), first)
}

/// Who gets the copies, as it is written.
pub(super) fn to(args: &[Expr]) -> Option<String> {
    let to = args.first()?;
    Some(to.tokens.iter().map(ToString::to_string).collect())
}

fn arguments(group: &Group) -> Vec<Expr> {
    expr_list(&tokens_of(group.stream()), group.span_close())
}
