//! The table of routes for machines: JSON, and a diagram in Mermaid.

use std::fmt::Write as _;

use super::{RouteInfo, Routes, accepts::Accepts, read_guard};
use crate::coding::quoted;

impl Routes {
    /// The table as JSON: an array with an object for each route, in the order of the source, one a line.
    ///
    /// | key | value |
    /// |---|---|
    /// | `hosts` | the hosts as written; `["_"]` for every host that no block names |
    /// | `path` | the whole pattern, scopes included |
    /// | `exact` | whether the path is taken only as it stands |
    /// | `methods` | the methods as written; `["*"]` for any |
    /// | `guard` | the source text of the guard, or `null` |
    /// | `accepts` | what the guard asks of a request, see below, or `null` |
    /// | `target` | the source text of the target |
    /// | `backend` | the name of the backend that the target is, or `null` |
    /// | `made` | the source texts of the `backend` and `let` lines that guard, target and layers are made of |
    /// | `layers` | the source texts of the layers, outermost first |
    /// | `who` | who may enter, as far as the source tells, or `null` |
    /// | `file`, `line` | where the route is written |
    /// | `listener` | the name of the listener that alone has the route, or `null` |
    /// | `rank` | a number: of the routes that take the same path, the one with the lowest is asked first |
    ///
    /// Keys may be added; these stay. [`Routes::diff`] reads it back.
    ///
    /// A guard of words with literals is `{"all":[..]}`, of tests such as `{"on":"header","name":"x-beta","is":"1"}`. A test is on a
    /// `header`, `query` or `cookie` with `is`, `starts_with`, `one_of` or `exists`, or on the `client` with `within`. Among them
    /// stand `{"any":[..]}`, `{"all":[..]}` and `{"not":..}`. A guard that only a real request can decide, a closure above all, is
    /// `{"opaque":"source text"}`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{RouteInfo, Routes};
    ///
    /// const ROUTES: Routes = Routes::new(&[RouteInfo {
    ///     listener: "internal",
    ///     host: "a.example.com|b.example.com",
    ///     path: "/api",
    ///     exact: false,
    ///     methods: "GET",
    ///     guard: r#"header("x-beta").is("1")"#,
    ///     target: "users",
    ///     layers: &["auth"],
    ///     who: "",
    ///     backend: "users",
    ///     made: &["backend users = cluster(rr, [URL])"],
    ///     rank: 0,
    ///     file: "src/main.rs",
    ///     line: 7,
    /// }]);
    /// assert_eq!(
    ///     ROUTES.to_json(),
    ///     r#"[
    ///   {"hosts":["a.example.com","b.example.com"],"path":"/api","exact":false,"methods":["GET"],"guard":"header(\"x-beta\").is(\"1\")","target":"users","layers":["auth"],"who":null,"file":"src/main.rs","line":7,"listener":"internal","accepts":{"all":[{"on":"header","name":"x-beta","is":"1"}]},"backend":"users","made":["backend users = cluster(rr, [URL])"],"rank":0}
    /// ]
    /// "#,
    /// );
    /// ```
    pub fn to_json(&self) -> String {
        let rows: Vec<String> = self.iter().map(json).collect();
        if rows.is_empty() {
            return String::from("[]\n");
        }
        format!("[\n  {}\n]\n", rows.join(",\n  "))
    }

    /// The table as a flowchart in Mermaid, from hosts over routes to targets; layers stand on the arrows.
    ///
    /// GitHub and most wikis draw it from a code block that is marked as `mermaid`.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        let mut hosts = Nodes::default();
        let mut targets = Nodes::default();
        for (place, route) in self.iter().enumerate() {
            let host = match route.host {
                "_" => String::from("every other host"),
                host => host.replace('|', ", "),
            };
            let host = match route.listener {
                "" => host,
                listener => format!("on {listener}: {host}"),
            };
            let (host, declared) = hosts.number(&host);
            if let Some(name) = declared {
                line(&mut text, format_args!("h{host}([{}])", label(&name)));
            }
            let (target, declared) = targets.number(route.target);
            if let Some(name) = declared {
                line(&mut text, format_args!("t{target}[[{}]]", label(&name)));
            }
            line(
                &mut text,
                format_args!("h{host} --> r{place}[{}]", label(&route.to_string())),
            );
            let layers = match route.layers {
                [] => String::new(),
                layers => format!("|{}|", label(&layers.join(", "))),
            };
            line(&mut text, format_args!("r{place} -->{layers} t{target}"));
        }
        text
    }
}

fn json(route: &RouteInfo) -> String {
    let or_null = |text| match text {
        "" => String::from("null"),
        text => quoted(text),
    };
    let (guard, who) = (or_null(route.guard), or_null(route.who));
    let (listener, backend) = (or_null(route.listener), or_null(route.backend));
    let accepts = accepts_of(route).map_or(String::from("null"), |accepts| accepts.to_json());
    format!(
        "{{\"hosts\":{},\"path\":{},\"exact\":{},\"methods\":{},\"guard\":{guard},\"target\":{},\"layers\":{},\"who\":{who},\"file\":{},\"line\":{},\"listener\":{listener},\"accepts\":{accepts},\"backend\":{backend},\"made\":{},\"rank\":{}}}",
        list(route.host.split('|')),
        quoted(route.path),
        route.exact,
        list(route.methods.split('|')),
        quoted(route.target),
        list(route.layers.iter().copied()),
        quoted(route.file),
        route.line,
        list(route.made.iter().copied()),
        route.rank
    )
}

/// What the guard of a route accepts; none without a guard.
pub(super) fn accepts_of(route: &RouteInfo) -> Option<Accepts> {
    let opaque = || Accepts::Opaque(route.guard.to_owned());
    (!route.guard.is_empty()).then(|| read_guard::accepts(route.guard).unwrap_or_else(opaque))
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let texts: Vec<String> = texts.map(quoted).collect();
    format!("[{}]", texts.join(","))
}

/// The label of a node: everything that Mermaid or HTML could read as more than text is written by its number.
fn label(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            c if c.is_control() => out.push(' '),
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '|' => {
                let _ = write!(out, "#{};", u32::from(character));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "  {what}");
}

/// Names by number, each once.
#[derive(Default)]
struct Nodes(Vec<String>);

impl Nodes {
    /// The number of a name, and the name itself when it is new.
    fn number(&mut self, name: &str) -> (usize, Option<String>) {
        if let Some(number) = self.0.iter().position(|known| known == name) {
            return (number, None);
        }
        self.0.push(name.to_owned());
        (self.0.len() - 1, Some(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn info(guard: &'static str, layers: &'static [&'static str]) -> RouteInfo {
        RouteInfo {
            listener: "",
            host: "_",
            path: "/a/{id}",
            exact: true,
            methods: "GET|POST",
            guard,
            target: "users.timeout(5s)",
            layers,
            who: "",
            backend: "",
            made: &[],
            rank: 0,
            file: "src\\edge.rs",
            line: 3,
        }
    }

    #[test]
    fn json_escapes_what_it_must() {
        assert_eq!(Routes::new(&[]).to_json(), "[]\n");
        let routes =
            Routes::new(const { &[info("a == \"\\n\u{7}\n\"", &["x", "y"]), info("", &[])] });
        assert_eq!(
            routes.to_json(),
            "[\n  {\"hosts\":[\"_\"],\"path\":\"/a/{id}\",\"exact\":true,\"methods\":[\"GET\",\"POST\"],\
             \"guard\":\"a == \\\"\\\\n\\u0007\\n\\\"\",\"target\":\"users.timeout(5s)\",\"layers\":[\"x\",\"y\"],\"who\":null,\
             \"file\":\"src\\\\edge.rs\",\"line\":3,\"listener\":null,\"accepts\":{\"opaque\":\"a == \\\"\\\\n\\u0007\\n\\\"\"},\"backend\":null,\"made\":[],\"rank\":0},\n  \
             {\"hosts\":[\"_\"],\"path\":\"/a/{id}\",\"exact\":true,\"methods\":[\"GET\",\"POST\"],\
             \"guard\":null,\"target\":\"users.timeout(5s)\",\"layers\":[],\"who\":null,\"file\":\"src\\\\edge.rs\",\"line\":3,\"listener\":null,\"accepts\":null,\"backend\":null,\"made\":[],\"rank\":0}\n]\n"
        );
    }

    #[test]
    fn a_diagram_has_each_host_and_target_once() {
        let routes = Routes::new(const { &[info("|a| a > 1", &["x", "y"]), info("", &[])] });
        assert_eq!(
            routes.to_mermaid(),
            "flowchart LR\n  \
             h0([\"every other host\"])\n  \
             t0[[\"users.timeout(5s)\"]]\n  \
             h0 --> r0[\"GET#124;POST exact /a/{id} if #124;a#124; a #62; 1\"]\n  \
             r0 -->|\"x, y\"| t0\n  \
             h0 --> r1[\"GET#124;POST exact /a/{id}\"]\n  \
             r1 --> t0\n"
        );
    }
}
