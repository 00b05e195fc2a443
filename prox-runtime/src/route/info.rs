//! The constant tables of a gateway: its routes and the variables of the environment that it reads.

use std::{fmt, ops::Deref};

use crate::columns::Columns;

/// One route, as it is written in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The name of the listener that alone has the route; empty for a route on every listener.
    pub listener: &'static str,
    /// The hosts as written, joined by `|`; `_` for a route that serves every other host.
    pub host: &'static str,
    /// The whole pattern, scopes included: `/v1/users/{id}`.
    pub path: &'static str,
    /// Whether the path is taken only as it stands, with nothing below it.
    pub exact: bool,
    /// The methods as written, joined by `|`; `*` for any.
    pub methods: &'static str,
    /// The source text of the guard, or nothing.
    pub guard: &'static str,
    /// The source text of the target.
    pub target: &'static str,
    /// The source texts of the layers, outermost first.
    pub layers: &'static [&'static str],
    /// Who may enter, as far as the source tells: `public`, or the source texts of the layers that decide; empty if
    /// `require auth` does not hold and no such word is there.
    pub who: &'static str,
    /// The name of the backend that the target is, perhaps with options of the route's own; empty for any other target.
    pub backend: &'static str,
    /// The source texts of the `backend` and `let` lines that the guard, the target and the layers are made of, in the order of
    /// the source.
    pub made: &'static [&'static str],
    /// The order in which routes are asked that take the same path, a lower number first.
    pub rank: u64,
    /// The file in which the gateway is written.
    pub file: &'static str,
    /// The line of the route in that file; 0 if the compiler did not say.
    pub line: u32,
}

/// What a route matches, without its host: `GET exact /v1 if header("x").exists()`.
impl fmt::Display for RouteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.methods != "*" {
            write!(f, "{} ", self.methods)?;
        }
        f.write_str(&self.pattern())
    }
}

impl RouteInfo {
    /// A row that says nothing.
    pub(super) const NOTHING: Self = Self {
        listener: "",
        host: "",
        path: "",
        exact: false,
        methods: "",
        guard: "",
        target: "",
        layers: &[],
        who: "",
        backend: "",
        made: &[],
        rank: 0,
        file: "",
        line: 0,
    };

    /// A row of nothing, of which to make others.
    #[cfg(test)]
    pub(crate) const EMPTY: Self = Self {
        host: "_",
        path: "/",
        methods: "*",
        ..Self::NOTHING
    };

    /// The hosts, with the listener that alone has them.
    pub(crate) fn place(&self) -> String {
        match self.listener {
            "" => self.host.to_owned(),
            listener => format!("on {listener}: {}", self.host),
        }
    }

    fn pattern(&self) -> String {
        let exact = if self.exact { "exact " } else { "" };
        let guard = if self.guard.is_empty() { "" } else { " if " };
        format!("{exact}{}{guard}{}", self.path, self.guard)
    }
}

/// The routes of a gateway in the order of its source; prints as an aligned table. Layers that all of several routes share are printed
/// once, above it, and each row has the route's own. With a precision, as in `{:.60}`, long targets are cut.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RouteInfo, Routes};
///
/// const ROUTES: Routes = Routes::new(&[RouteInfo {
///     listener: "",
///     host: "_",
///     path: "/api",
///     exact: false,
///     methods: "GET",
///     guard: "",
///     target: "users",
///     layers: &["auth"],
///     who: "auth",
///     backend: "users",
///     made: &[r#"backend users = cluster(rr, ["http://10.0.0.1:80"])"#],
///     rank: 0,
///     file: "src/main.rs",
///     line: 7,
/// }]);
/// assert_eq!(ROUTES.len(), 1);
/// assert_eq!(
///     ROUTES.to_string(),
///     "HOST  METHOD  PATH  TARGET  WHO   LAYERS\n_     GET     /api  users   auth  auth\n",
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Routes(pub &'static [RouteInfo]);

impl Routes {
    /// The table of these routes.
    pub const fn new(routes: &'static [RouteInfo]) -> Self {
        Self(routes)
    }
}

impl Routes {
    /// How many of the outermost layers all routes share, if there are several routes.
    fn shared(&self) -> usize {
        let [first, others @ ..] = self.0 else {
            return 0;
        };
        let common = |route: &RouteInfo| {
            let pairs = first.layers.iter().zip(route.layers);
            pairs.take_while(|(one, other)| one == other).count()
        };
        others.iter().map(common).min().unwrap_or(0)
    }
}

impl Deref for Routes {
    type Target = [RouteInfo];

    fn deref(&self) -> &[RouteInfo] {
        self.0
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared();
        if shared > 0 {
            let layers = self.0.first().map_or(&[][..], |route| route.layers);
            let layers = layers.get(..shared).unwrap_or_default();
            writeln!(f, "every route: {}\n", layers.join(", "))?;
        }
        let row = |route: &RouteInfo| {
            let layers = route.layers.get(shared..).unwrap_or_default().join(", ");
            let (host, methods) = (route.place(), route.methods.to_owned());
            (
                host,
                methods,
                route.pattern(),
                route.target.to_owned(),
                layers,
            )
        };
        if self.0.iter().all(|route| route.who.is_empty()) {
            let mut columns = Columns::new(["HOST", "METHOD", "PATH", "TARGET", "LAYERS"]);
            for (host, methods, pattern, target, layers) in self.0.iter().map(row) {
                columns.row([host, methods, pattern, target, layers]);
            }
            return columns.fmt(f);
        }
        let mut columns = Columns::new(["HOST", "METHOD", "PATH", "TARGET", "WHO", "LAYERS"]);
        for route in self.0 {
            let (host, methods, pattern, target, layers) = row(route);
            let who = if route.who.is_empty() {
                "anybody"
            } else {
                route.who
            };
            columns.row([host, methods, pattern, target, who.to_owned(), layers]);
        }
        columns.fmt(f)
    }
}

/// One variable of the environment that a gateway reads when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvInfo {
    /// The name of the variable.
    pub name: &'static str,
    /// The source text of its type.
    pub ty: &'static str,
    /// The source text of its default; none if the variable is required.
    pub default: Option<&'static str>,
    /// The documentation comment on it, or nothing.
    pub doc: &'static str,
    /// What of the gateway uses it, separated by commas.
    pub needed_by: &'static str,
}

impl EnvInfo {
    /// A row that says nothing.
    pub(super) const NOTHING: Self = Self {
        name: "",
        ty: "",
        default: None,
        doc: "",
        needed_by: "",
    };

    /// Whether its value must not be shown, and may be in a file, by its type.
    pub(crate) fn is_secret(&self) -> bool {
        let innermost = self.ty.rsplit(['<', ':']).next();
        innermost.is_some_and(|name| name.trim_matches([' ', '>']) == "Secret")
    }

    /// Whether it may be missing, by its type.
    pub(crate) const fn is_optional(&self) -> bool {
        let (ty, word) = (self.ty.as_bytes(), b"Option<");
        let mut start = 0;
        while start + word.len() <= ty.len() {
            let before = start == 0 || ty[start - 1] == b':';
            let mut at = 0;
            while at < word.len() && ty[start + at] == word[at] {
                at += 1;
            }
            if before && at == word.len() {
                return true;
            }
            start += 1;
        }
        false
    }
}

/// The variables of a gateway; prints as an aligned table.
#[derive(Clone, Copy, Debug)]
pub struct Variables(pub &'static [EnvInfo]);

impl Variables {
    /// The table of these variables.
    pub const fn new(variables: &'static [EnvInfo]) -> Self {
        Self(variables)
    }
}

impl Deref for Variables {
    type Target = [EnvInfo];

    fn deref(&self) -> &[EnvInfo] {
        self.0
    }
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut columns = Columns::new(["NAME", "TYPE", "DEFAULT", "NEEDED BY", "ABOUT"]);
        for variable in self.0 {
            let unset = if variable.is_optional() {
                "(optional)"
            } else {
                "(required)"
            };
            columns.row([
                variable.name.to_owned(),
                variable.ty.to_owned(),
                variable.default.unwrap_or(unset).to_owned(),
                variable.needed_by.to_owned(),
                variable.doc.replace('\n', " "),
            ]);
        }
        columns.fmt(f)
    }
}

/// The rows of [`Routes`] from flat lists, which are cheap to compile: seven texts (host, path, methods, guard, target, who may
/// enter, the backend) and five numbers (whether it is exact, which of the lists of layers, the line, which of the lists of what it
/// is made of, its rank) for each route.
pub const fn routes<const N: usize>(
    text: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
    made: &'static [&'static [&'static str]],
    numbers: &[u32],
    file: &'static str,
) -> [RouteInfo; N] {
    let mut routes = [RouteInfo {
        file,
        ..RouteInfo::NOTHING
    }; N];
    let mut n = 0;
    while n < N {
        routes[n].host = text[n * 7];
        routes[n].path = text[n * 7 + 1];
        routes[n].methods = text[n * 7 + 2];
        routes[n].guard = text[n * 7 + 3];
        routes[n].target = text[n * 7 + 4];
        routes[n].who = text[n * 7 + 5];
        routes[n].backend = text[n * 7 + 6];
        routes[n].exact = numbers[n * 5] != 0;
        routes[n].layers = layers[numbers[n * 5 + 1] as usize];
        routes[n].line = numbers[n * 5 + 2];
        routes[n].made = made[numbers[n * 5 + 3] as usize];
        routes[n].rank = numbers[n * 5 + 4] as u64;
        n += 1;
    }
    routes
}

/// The same rows, of which those from the first number to the one before the second are for the listener of this name alone.
pub const fn on_listeners<const N: usize>(
    mut routes: [RouteInfo; N],
    listeners: &[(usize, usize, &'static str)],
) -> [RouteInfo; N] {
    let mut at = 0;
    while at < listeners.len() {
        let (mut n, end, name) = listeners[at];
        while n < end {
            routes[n].listener = name;
            n += 1;
        }
        at += 1;
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_listener_have_its_name() {
        const ROWS: [RouteInfo; 3] =
            on_listeners([RouteInfo::EMPTY; 3], &[(1, 2, "internal"), (2, 3, "http")]);
        assert_eq!(ROWS.map(|row| row.listener), ["", "internal", "http"]);
        let table = Routes::new(&ROWS).to_string();
        assert!(table.contains("\non internal: _  *       /\n"), "{table}");
    }

    #[test]
    fn rows_come_from_flat_lists() {
        const ROWS: [RouteInfo; 2] = routes(
            &[
                "_", "/a", "*", "", "one", "", "one", "b.c", "/", "GET", "g", "two", "x", "",
            ],
            &[&[], &["x", "y"]],
            &[&[], &["backend one = a"]],
            &[0, 0, 3, 1, 1, 1, 1, 4, 0, 0],
            "src/edge.rs",
        );
        assert_eq!(ROWS[0].to_string(), "/a");
        assert_eq!(ROWS[1].to_string(), "GET exact / if g");
        assert_eq!(ROWS[1].layers, ["x", "y"]);
        assert_eq!((ROWS[0].who, ROWS[1].who), ("", "x"));
        assert_eq!((ROWS[1].file, ROWS[1].line), ("src/edge.rs", 4));
        assert_eq!((ROWS[0].backend, ROWS[1].backend), ("one", ""));
        assert_eq!((ROWS[0].made, ROWS[0].rank), (&["backend one = a"][..], 1));
        assert!(ROWS[1].made.is_empty());
    }

    #[test]
    fn layers_that_all_routes_share_are_listed_once() {
        const LONG: &str = "RateLimit::per_second(100).burst(20).key(|parts| parts.param(\"tenant\").map(str::to_owned))";
        const ROWS: [RouteInfo; 2] = [
            RouteInfo {
                path: "/a",
                target: "one",
                layers: &["log", "recover"],
                ..RouteInfo::EMPTY
            },
            RouteInfo {
                path: "/b",
                target: "two",
                layers: &["log", "recover", "auth", LONG],
                ..RouteInfo::EMPTY
            },
        ];
        let table = Routes::new(&ROWS).to_string();
        assert_eq!(
            table,
            format!(
                "every route: log, recover\n\nHOST  METHOD  PATH  TARGET  LAYERS\n_     *       /a    one\n_     *       /b    two     auth, {LONG}\n"
            )
        );
    }

    #[test]
    fn an_optional_type_is_known_by_its_text() {
        for (ty, optional) in [
            ("Option<u16>", true),
            ("std::option::Option<u16>", true),
            ("MyOption<u16>", false),
            ("u16", false),
            ("Option", false),
            ("", false),
        ] {
            let info = EnvInfo {
                ty,
                ..EnvInfo::NOTHING
            };
            assert_eq!(info.is_optional(), optional, "{ty}");
        }
    }

    #[test]
    fn a_required_variable_says_so() {
        let variables = Variables::new(&[EnvInfo {
            name: "URL",
            ty: "Endpoint",
            default: None,
            doc: "Where the\nusers live",
            needed_by: "backend users",
        }]);
        assert_eq!(
            variables.to_string(),
            "NAME  TYPE      DEFAULT     NEEDED BY      ABOUT\n\
             URL   Endpoint  (required)  backend users  Where the users live\n"
        );
    }
}
