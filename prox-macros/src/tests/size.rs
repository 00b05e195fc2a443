//! How the expansion grows.

#![expect(
    clippy::disallowed_types,
    reason = "there is no clock of tokio's in a macro"
)]

use std::time::Instant;

fn gateway(routes: usize) -> String {
    let mut text = String::from(
        "prox pub struct Big; backend users = \"http://127.0.0.1:9000\"; with [a, b];\n",
    );
    for route in 0..routes {
        let (method, path) = match route % 3 {
            0 => (
                "GET",
                format!("/service{}/items/{{id}}/part{route}", route / 40),
            ),
            1 => (
                "POST",
                format!("/service{}/users/{{id}}/{{other}}/x{route}", route / 40),
            ),
            _ => ("", format!("/service{}/things{route}", route / 40)),
        };
        let line = format!("{method} \"{path}\" => users.timeout(3s) with [auth],\n");
        text.push_str(&line);
    }
    text
}

#[test]
fn the_expansion_grows_with_the_routes_and_not_faster() {
    let mut sizes = Vec::new();
    for routes in [1_000, 10_000] {
        let input = gateway(routes).parse().unwrap();
        let start = Instant::now();
        let output = crate::expand(input);
        let elapsed = start.elapsed();
        sizes.push(count(output));
        println!(
            "{routes} routes: {elapsed:?}, {} tokens",
            sizes.last().unwrap()
        );
    }
    assert!(sizes[1] < 12 * sizes[0], "{sizes:?}");
}

fn count(stream: proc_macro2::TokenStream) -> usize {
    stream
        .into_iter()
        .map(|token| match token {
            proc_macro2::TokenTree::Group(group) => 1 + count(group.stream()),
            _ => 1,
        })
        .sum()
}

/// Each `let` is a scope within that of the `let` before it, and the compiler descends into all of them: some thousands overflow its
/// stack when it writes information for debuggers.
#[test]
fn scopes_do_not_pile_up_with_the_layers() {
    let routes = (0..1_000).map(|route| {
        format!(
            "\"/a{route}\" => respond(200, \"\") with [RateLimit::per_second({route}), auth],\n"
        )
    });
    let text = format!("prox pub struct Big;\n{}", routes.collect::<String>());
    let most = most_lets(crate::expand(text.parse().unwrap()));
    assert!(most < 500, "{most}");
}

/// The most `let`s of one block of what the compiler reads.
fn most_lets(stream: proc_macro2::TokenStream) -> usize {
    let (mut here, mut deeper, mut for_editors) = (0, 0, false);
    for token in stream {
        match token {
            proc_macro2::TokenTree::Group(group) => {
                let is_block = group.delimiter() == proc_macro2::Delimiter::Brace;
                if is_block && std::mem::take(&mut for_editors) {
                    continue;
                }
                for_editors |= !is_block && group.to_string() == "[cfg (rust_analyzer)]";
                deeper = deeper.max(most_lets(group.stream()));
            }
            proc_macro2::TokenTree::Ident(word) if word == "let" => here += 1,
            _ => {}
        }
    }
    here.max(deeper)
}
