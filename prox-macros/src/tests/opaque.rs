//! A model without anything that only rustc understands.

use crate::{
    model::Model,
    syntax::{
        ast::{Expr, Setup, Target, Weight},
        cursor::tokens_of,
        marks::Mark,
    },
};

/// Puts `()` and the like in place of the user's expressions, patterns and types.
pub(crate) fn make_opaque(model: &mut Model) {
    let plain = |text: &str| tokens_of(text.parse().unwrap());
    for env in &mut model.env {
        env.ty = plain("T");
        env.default = env.default.take().map(|_| opaque());
    }
    for setup in &mut model.setup {
        match setup {
            Setup::Let(binding) => {
                binding.pattern = plain("x");
                binding.value = opaque();
            }
            Setup::Backend(backend) => opaque_target(&mut backend.target),
        }
    }
    for layer in &mut model.layers {
        *layer = opaque();
    }
    for route in &mut model.routes {
        opaque_target(&mut route.target);
        route.guard = route.guard.take().map(|_| opaque());
    }
    for field in model.named.iter_mut().flat_map(|named| &mut named.fields) {
        field.ty = plain("T");
    }
    for mark in &mut model.marks {
        match mark {
            Mark::Env { ty, .. } => *ty = plain("T"),
            Mark::Let { pattern, value, .. } => {
                *pattern = plain("x");
                *value = value.take().map(|_| opaque());
            }
            Mark::Value(_, expr) | Mark::Expr(expr) => *expr = opaque(),
            Mark::Word(..) => {}
        }
    }
}

fn opaque_target(target: &mut Option<Target>) {
    if let Some(target) = target {
        opaque_one(target);
    }
}

fn opaque_one(target: &mut Target) {
    match target {
        Target::Expr(expr) => *expr = opaque(),
        Target::Split(split) => {
            for arm in &mut split.arms {
                if let Weight::Value(value) = &mut arm.weight {
                    *value = opaque();
                }
                opaque_one(&mut arm.target);
            }
            if split.options.is_some() {
                split.options = Some(opaque());
            }
        }
        Target::Url(_) => {}
    }
}

fn opaque() -> Expr {
    Expr {
        tokens: tokens_of("()".parse().unwrap()),
    }
}
