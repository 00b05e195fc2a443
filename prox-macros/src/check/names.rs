//! Names that are declared twice.

use std::collections::HashMap;

use proc_macro2::Ident;

use crate::{
    around::What,
    diag::{Diagnostics, location},
    model::Model,
    syntax::ast::{Named, Setup},
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let backends = model.setup.iter().filter_map(|setup| match setup {
        Setup::Backend(backend) => Some(&backend.name),
        Setup::Let(_) => None,
    });
    distinct("backend", backends, diag);
    distinct(
        "variable",
        model.env.iter().map(|variable| &variable.name),
        diag,
    );
    if let Some(named) = &model.named {
        beside(model, named, diag);
        distinct("field", named.fields.iter().map(|field| &field.name), diag);
    }
}

/// Names of types that something else beside the gateway has.
fn beside(model: &Model, named: &Named, diag: &mut Diagnostics) {
    let name = &named.name;
    if let Some(twin) = model.twin() {
        let message = match twin.what {
            What::Gateway => format!(
                "duplicate gateway `{name}`; the first is in line {}",
                twin.line
            ),
            _ => format!("the name `{name}` is already used in line {}", twin.line),
        };
        diag.error(name, message).help("rename one of them");
        return;
    }
    let backends = crate::model::backends_name(named);
    if let Some(found) = model.names.around().beside(&backends) {
        diag.error(
            name,
            format!(
                "the gateway generates a struct `{backends}`, but that name is already used in line {}",
                found.line
            ),
        )
        .help("rename one of them");
    }
}

fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a Ident>, diag: &mut Diagnostics) {
    let mut first: HashMap<String, &Ident> = HashMap::new();
    for name in names {
        let Some(earlier) = first.get(&name.to_string()) else {
            first.insert(name.to_string(), name);
            continue;
        };
        let here = location(name.span());
        let there = location(earlier.span());
        diag.error(
            name,
            format!("duplicate {what} `{name}`; the first is above{there}"),
        )
        .help("rename one of them");
        diag.error(
            *earlier,
            format!("the {what} `{name}` is repeated below{here}"),
        );
    }
}
