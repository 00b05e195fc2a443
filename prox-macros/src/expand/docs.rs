//! Documentation on the type of a gateway: its routes and its variables as tables.

use std::fmt::Write as _;

use super::{
    Context,
    listing::{doc_text, guard_text},
};
use crate::syntax::source::{source, target_text};

/// Longer tables would bury the rest of the page.
const MOST_ROWS: usize = 500;

/// Both tables in Markdown.
pub(super) fn tables(context: &Context<'_>) -> String {
    let mut text = String::from("\n");
    routes(context, &mut text);
    variables(context, &mut text);
    text
}

fn routes(context: &Context<'_>, text: &mut String) {
    let model = context.model;
    if model.routes.is_empty() {
        return;
    }
    let says_who = context.who.iter().any(|who| !who.is_empty());
    text.push_str(if says_who {
        "\n# Routes\n\n| host | method | path | target | who | layers |\n|---|---|---|---|---|---|\n"
    } else {
        "\n# Routes\n\n| host | method | path | target | layers |\n|---|---|---|---|---|\n"
    });
    let rows = model.routes.iter().zip(&context.who);
    for (route, who) in rows.take(MOST_ROWS) {
        let host = model
            .hosts
            .get(route.host)
            .map_or("_", |host| host.label.as_str());
        let host = if host == "_" { "every other" } else { host };
        let host = match model.on(route) {
            Some(on) => format!("on {}: {host}", on.name.value),
            None => host.to_owned(),
        };
        let method = if route.label == "*" {
            "any"
        } else {
            route.label.as_str()
        };
        let mut path = code(&route.shown_path());
        if route.exact {
            path.insert_str(0, "exact ");
        }
        if route.guard.is_some() {
            path.push_str(" if ");
            path.push_str(&code(&guard_text(route)));
        }
        let target = route
            .target
            .as_ref()
            .map_or_else(String::new, |target| code(&target_text(target)));
        let layers: Vec<String> = route
            .layers
            .iter()
            .filter_map(|layer| model.layers.get(*layer))
            .map(|layer| code(&source(&layer.tokens)))
            .collect();
        let layers = layers.join(", ");
        let (host, method) = (host.replace('|', ", "), method.replace('|', ", "));
        let who = match who {
            _ if !says_who => String::new(),
            who if who.is_empty() => String::from(" anybody |"),
            who => format!(" {} |", code(who)),
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "| {host} | {method} | {path} | {target} |{who} {layers} |"
        );
    }
    if model.routes.len() > MOST_ROWS {
        let _ = writeln!(text, "\nand {} more.", model.routes.len() - MOST_ROWS);
    }
}

fn variables(context: &Context<'_>, text: &mut String) {
    let env = &context.model.env;
    if env.is_empty() {
        return;
    }
    text.push_str("\n# Environment\n\n| variable | type | default | |\n|---|---|---|---|\n");
    for variable in env {
        let default = match &variable.default {
            Some(default) => code(&source(&default.tokens)),
            None => String::from("required"),
        };
        let doc = doc_text(variable).replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {} | {} | {default} | {doc} |",
            code(&variable.name.to_string()),
            code(&source(&variable.ty)),
        );
    }
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    format!("`` {} ``", text.replace('|', "\\|"))
}
