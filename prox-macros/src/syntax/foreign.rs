//! What other gateways and other languages call the things of this one.

/// What stands at the start of a line elsewhere, and has no word here.
pub(super) enum Foreign {
    /// It starts a route.
    Route,
    /// It says what a route matches, as a function.
    Matcher,
    /// It is said otherwise.
    Other(&'static str),
}

/// The word of ours that does the same.
pub(super) fn synonym(word: &str) -> Option<&'static str> {
    const SYNONYMS: [(&str, &[&str]); 6] = [
        (
            "backend",
            &["upstream", "cluster", "service", "pool", "backends"],
        ),
        (
            "host",
            &["server", "vhost", "domain", "virtual_host", "hosts", "site"],
        ),
        (
            "with",
            &[
                "layer",
                "layers",
                "middleware",
                "middlewares",
                "plugins",
                "filters",
            ],
        ),
        ("let", &["var", "set"]),
        ("expect", &["assert", "test"]),
        ("env", &["environment", "getenv"]),
    ];
    SYNONYMS
        .iter()
        .find(|(_, others)| others.contains(&word))
        .map(|(ours, _)| *ours)
}

pub(super) fn foreign(word: &str) -> Option<Foreign> {
    let help = match word {
        "route" | "routes" | "location" | "path" | "handle" | "handle_path" | "prefix"
        | "scope" | "group" | "nest" | "mount" | "resource" => {
            return Some(Foreign::Route);
        }
        "Host" | "HostRegexp" | "PathPrefix" | "Path" | "Method" => return Some(Foreign::Matcher),
        "proxy_pass" | "reverse_proxy" | "proxy" | "forward" | "to" => {
            "what answers stands behind the path: `\"/api\" => \"http://127.0.0.1:8080\",`"
        }
        "listen" | "bind" | "port" | "address" | "entrypoints" => {
            "where to listen is said when it is served: `HOST` and `PORT` of the environment, or `prox::Server`"
        }
        "tls" | "ssl" | "cert" | "certificate" | "ssl_certificate" | "acme" => {
            "certificates are given to what serves: `prox::Server`, with the feature `tls`"
        }
        "timeout" | "retry" | "retries" | "health" | "connect_timeout" | "proxy_read_timeout" => {
            "options stand behind a target: `users.timeout(5s)`"
        }
        "rewrite" | "strip_prefix" => {
            "a rewrite stands behind a target: `\"/users/{id}\" => users.rewrite(\"/people/{id}\")`"
        }
        "redirect" | "respond" | "return" => {
            "an answer stands behind its path: `\"/old\" => redirect(308, \"/new\"),`"
        }
        "default" | "default_service" | "fallback" | "not_found" | "otherwise" | "else" | "_" => {
            "write `\"/\" => target,`, which takes every path that no other route takes"
        }
        "log" | "access_log" | "cors" | "auth" | "rate_limit" | "limit_req" => {
            "layers stand in `with [..]`: `with [AccessLog::json()];`"
        }
        "if" | "when" | "match" => {
            "a guard stands behind its path: `\"/users\" if header(\"x-beta\").is(\"1\") => target,`"
        }
        "split" => "a split is a target: `\"/users\" => split { 95 => users, 5 => canary },`",
        "import" | "include" => "write `use ..;` above `prox::gateway!`",
        "name" | "gateway" => "the name of a gateway stands in its first line: `pub struct Edge;`",
        _ => return None,
    };
    Some(Foreign::Other(help))
}

/// A line with the word, as it is written.
pub(super) fn form(word: &str) -> &'static str {
    match word {
        "env" => "env USERS_URL: Endpoint;",
        "let" => "let limit = RateLimit::per_second(100);",
        "backend" => "backend users = cluster(rr, [\"http://10.0.0.1:8080\"]);",
        "with" => "with [AccessLog::json()];",
        "host" => "host \"api.example.com\" { \"/\" => target }",
        "expect" => "expect GET \"https://api.example.com/v1\" => users;",
        _ => "pub struct Edge;",
    }
}
