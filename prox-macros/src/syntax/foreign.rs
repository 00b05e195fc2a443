//! What other gateways and other languages call the things of this one.

use crate::vocab::{self, Slot};

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
    vocab::by_other_name(&[Slot::Item], word).map(|word| word.text)
}

pub(super) fn foreign(word: &str) -> Option<Foreign> {
    let help = match word {
        "route" | "routes" | "location" | "path" | "handle" | "handle_path" | "prefix"
        | "scope" | "group" | "nest" | "mount" | "resource" => {
            return Some(Foreign::Route);
        }
        "Host" | "HostRegexp" | "PathPrefix" | "Path" | "Method" => return Some(Foreign::Matcher),
        "proxy_pass" | "reverse_proxy" | "proxy" | "forward" | "to" => {
            "a target comes after the path: `\"/api\" => \"http://127.0.0.1:8080\",`"
        }
        "listen" | "bind" | "port" | "address" | "entrypoints" => {
            "the listening address is set on the server: `HOST` and `PORT` in the environment, or `prox::Server`; routes for one listener are in `on \"internal\" { .. }`"
        }
        "tls" | "ssl" | "cert" | "certificate" | "ssl_certificate" | "acme" => {
            "certificates are set on the server: `prox::Server`, with the feature `tls`"
        }
        "timeout" | "retry" | "retries" | "health" | "connect_timeout" | "proxy_read_timeout" => {
            "options come after a target: `users.timeout(5s)`"
        }
        "rewrite" | "strip_prefix" => {
            "a rewrite is an option of a target: `\"/users/{id}\" => users.rewrite(\"/people/{id}\")`"
        }
        "redirect" | "respond" | "return" => {
            "an answer comes after its path: `\"/old\" => redirect(308, \"/new\"),`"
        }
        "default" | "default_service" | "fallback" | "not_found" | "otherwise" | "else" | "_" => {
            "write `\"/\" => target,`, which matches every path that no other route matches"
        }
        "log" | "access_log" | "cors" | "auth" | "rate_limit" | "limit_req" => {
            "layers go in `with [..]`: `with [AccessLog::json()];`"
        }
        "if" | "when" | "match" => {
            "a guard comes after its path: `\"/users\" if header(\"x-beta\").is(\"1\") => target,`"
        }
        "split" => "a split is a target: `\"/users\" => split { 95 => users, 5 => canary },`",
        "import" | "include" => "write `use ..;` above `prox::gateway!`",
        "name" | "gateway" => "the name of a gateway is in its first line: `pub struct Edge;`",
        _ => return None,
    };
    Some(Foreign::Other(help))
}

/// A line with the word, as it is written.
pub(super) fn form(word: &str) -> &'static str {
    vocab::find(Slot::Item, word).map_or("pub struct Edge;", |word| word.example)
}
