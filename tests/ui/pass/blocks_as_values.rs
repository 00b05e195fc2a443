//! Blocks and other expressions with braces, wherever an expression may stand.

use prox::middleware::Recover;

prox::gateway! {
    pub struct Shop;

    env LIMIT: u16 = { 5 + 5 };

    let both = {
        let one = 1;
        one + LIMIT
    };

    backend users = {
        let users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);
        users.timeout(5s)
    };

    with [{ Recover::new() }];

    "/a" => { let status = 418; respond(status, "x") },
    "/b" => {
        let limit = both + 1;
        respond(200, format!("{limit}"))
    }
    "/c" => if LIMIT < 5 { respond(200, "x") } else { respond(500, "y") },
    "/d" => match LIMIT {
        1 => respond(200, "x"),
        _ => respond(500, "y"),
    },
    "/e" if { |parts: &prox::Parts| parts.headers.len() < 5 } => { match LIMIT { 1 => users, _ => users.retry(2) } }
    "/e" => split { 1 => { respond(200, "x") }, 2 => users },
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
