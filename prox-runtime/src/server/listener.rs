//! One of several places on which a server listens, with a name and options of its own.

use std::{fmt, io, net::TcpListener, path::PathBuf, sync::Arc};

use super::{
    Options, ServerVariables,
    accept::Source,
    good,
    place::{self, Place},
};
use crate::{
    client::Trust,
    error::{Error, Result},
    tls::{Termination, Tls},
};

/// The end of the name of the variable that says where a listener listens.
const VARIABLE: &str = "_LISTEN";

/// One of several places on which a [`Server`](crate::Server) listens: public and internal, clear text and TLS, TCP and Unix.
///
/// What a listener does not say is what the server says. All listeners serve one gateway, share its backends and its limits of
/// [connections](crate::Server::max_connections), and drain together. A block `on "internal" { .. }` of the gateway has routes
/// for the listeners of this name alone; several listeners may share a name.
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// use prox::{Listener, Server};
///
/// // In the gateway: on "internal" { "/metrics" => "http://127.0.0.1:9100" }
/// Server::new(gateway)
///     .listener(Listener::new("public")) // `PUBLIC_LISTEN`, else `HOST` and `PORT`
///     .listener(Listener::new("internal").bind("127.0.0.1:9000"))
///     .run()
/// # }
/// ```
#[must_use = "a listener does nothing until a server is given it"]
pub struct Listener {
    name: Option<Arc<str>>,
    at: At,
    speaks: Speaks,
    unix_mode: Option<u32>,
    trusted: Option<Result<Trust, Vec<String>>>,
    proxy_protocol: Option<Result<Trust, Vec<String>>>,
}

/// Where it listens.
pub(super) enum At {
    /// Where the environment says.
    Variable,
    Text(String),
    Unix(PathBuf),
    Bound(io::Result<TcpListener>),
}

/// Whether it speaks TLS.
#[derive(Debug)]
enum Speaks {
    AsTheServer,
    ClearText,
    #[cfg_attr(
        not(feature = "tls"),
        allow(dead_code, reason = "without the feature nothing speaks TLS")
    )]
    Tls(Tls),
}

impl At {
    /// The place that the code names.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn place(self) -> Result<Where, String> {
        match self {
            Self::Variable => Err(String::from("a variable says where")),
            Self::Text(text) => Place::read(&text).map(|place| Where::Place(place, Source::Code)),
            Self::Unix(path) => Ok(Where::Place(Place::Unix(path), Source::Code)),
            Self::Bound(Ok(socket)) => Ok(Where::Bound(socket)),
            Self::Bound(Err(error)) => Err(format!("the socket cannot be taken: {error}")),
        }
    }
}

impl Listener {
    /// A listener of this name: lower-case letters, digits, `-` and `_`, such as `internal`.
    ///
    /// Without [`bind`](Self::bind) it listens where the variable of its name says, `INTERNAL_LISTEN`, in the forms that `bind`
    /// takes. Where that is not set, it is `HOST` and `PORT`, which one listener of a server can use.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::at(Some(name.into()), At::Variable)
    }

    fn at(name: Option<Arc<str>>, at: At) -> Self {
        Self {
            name,
            at,
            speaks: Speaks::AsTheServer,
            unix_mode: None,
            trusted: None,
            proxy_protocol: None,
        }
    }

    /// Listens here, whatever the environment says: `"127.0.0.1:9000"`, `":9000"` for every IPv4 address, `"[::]:9000"` for
    /// every address, `"localhost:9000"`, `"unix:/run/prox.sock"`, or a [`SocketAddr`](std::net::SocketAddr).
    ///
    /// A later call replaces it. What is not a place to listen on is an error when the server starts.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a text, or an address, is written as it is"
    )]
    pub fn bind(mut self, place: impl ToString) -> Self {
        self.at = At::Text(place.to_string());
        self
    }

    /// Listens on a Unix socket at this path; see [`Server::unix`](crate::Server::unix).
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.at = At::Unix(path.into());
        self
    }

    /// Sets who may connect to the Unix socket; see [`Server::unix_mode`](crate::Server::unix_mode), which it is by default.
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = Some(mode);
        self
    }

    /// Takes a socket that is bound already: of tokio, or of the standard library, as socket activation gives it.
    pub fn bound(mut self, socket: impl Into<Self>) -> Self {
        self.at = socket.into().at;
        self
    }

    /// Speaks TLS with clients, and with them only; see [`Server::tls`](crate::Server::tls), which it is by default.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.speaks = Speaks::Tls(tls);
        self
    }

    /// Speaks clear text, also where the server speaks TLS.
    pub fn clear_text(mut self) -> Self {
        self.speaks = Speaks::ClearText;
        self
    }

    /// Believes what these proxies say of the client; see [`Server::trusted_proxies`](crate::Server::trusted_proxies), which it is
    /// by default. An empty list trusts nobody: `trusted_proxies([""; 0])`.
    pub fn trusted_proxies<E: AsRef<str>>(mut self, from: impl IntoIterator<Item = E>) -> Self {
        self.trusted = Some(Trust::read(from));
        self
    }

    /// Expects a PROXY protocol header from these addresses; see
    /// [`Server::proxy_protocol`](crate::Server::proxy_protocol), which it is by default. An empty list expects none.
    pub fn proxy_protocol<E: AsRef<str>>(mut self, from: impl IntoIterator<Item = E>) -> Self {
        self.proxy_protocol = Some(Trust::read(from));
        self
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The variable that it reads, if it reads one.
    pub(super) fn variable(&self) -> Option<String> {
        match (&self.at, &self.name) {
            (At::Variable, Some(name)) => Some(variable(name)),
            _ => None,
        }
    }

    /// Puts together where it listens and how: what it says, over what the server says. `start` reads certificates.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(super) fn line(
        self,
        server: &Options,
        variables: &ServerVariables,
        start: impl FnOnce(&Tls) -> Result<Option<Arc<Termination>>>,
    ) -> Result<Line> {
        let mut problems = Vec::new();
        if let Some(name) = self.name().filter(|name| !is_name(name)) {
            problems.push(format!(
                "{name:?} is not a name of a listener: write lower-case letters, digits, `-` and `_`, such as \"internal\""
            ));
        }
        let mut options = server.clone();
        options.listener.clone_from(&self.name);
        options.unix_mode = self.unix_mode.unwrap_or(options.unix_mode);
        for (what, said, option) in [
            ("trusted_proxies", self.trusted, &mut options.trusted),
            (
                "proxy_protocol",
                self.proxy_protocol,
                &mut options.proxy_protocol,
            ),
        ] {
            match said {
                None => {}
                Some(Ok(trust)) => *option = Some(trust),
                Some(Err(found)) => {
                    problems.extend(found.iter().map(|problem| format!("{what}: {problem}")));
                }
            }
        }
        match &self.speaks {
            Speaks::AsTheServer => {}
            Speaks::ClearText => options.tls = None,
            Speaks::Tls(tls) => match start(tls) {
                Ok(tls) => options.tls = tls,
                Err(error) => problems.push(format!("{error:?}")),
            },
        }
        let at = match self.at {
            At::Variable => from_variable(self.name.as_deref().unwrap_or_default(), variables),
            at => at.place(),
        };
        match at {
            Ok(at) if problems.is_empty() => Ok(Line {
                at,
                options: Arc::new(options),
            }),
            at => {
                problems.extend(at.err());
                let of = match &self.name {
                    Some(name) => format!("listener `{name}`: "),
                    None => String::new(),
                };
                let lines: Vec<String> = problems
                    .iter()
                    .flat_map(|problem| problem.lines())
                    .map(|problem| format!("{of}{problem}"))
                    .collect();
                Err(Error::config(lines.join("\n")))
            }
        }
    }
}

/// A socket that is bound already, without a name: it takes the routes outside of every `on`.
impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self::at(None, At::Bound(Ok(socket)))
    }
}

/// A socket that is bound already, without a name: it takes the routes outside of every `on`.
impl From<tokio::net::TcpListener> for Listener {
    fn from(socket: tokio::net::TcpListener) -> Self {
        Self::at(None, At::Bound(socket.into_std()))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("name", &self.name)
            .field("at", &self.at)
            .field("speaks", &self.speaks)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => f.write_str("Variable"),
            Self::Text(text) => text.fmt(f),
            Self::Unix(path) => path.fmt(f),
            Self::Bound(socket) => socket.fmt(f),
        }
    }
}

/// A place to listen on, and the options of the connections there.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: Where,
    pub(super) options: Arc<Options>,
}

#[derive(Debug)]
pub(super) enum Where {
    Place(Place, Source),
    Bound(TcpListener),
}

/// For people: the scheme and the address, and the name.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.options.tls.is_some() { "s" } else { "" };
        match &self.at {
            Where::Place(Place::Tcp(address), _) => write!(f, "http{s}://{address}")?,
            Where::Place(place, _) => place.fmt(f)?,
            Where::Bound(socket) => match socket.local_addr() {
                Ok(address) => write!(f, "http{s}://{address}")?,
                Err(_) => f.write_str("a socket")?,
            },
        }
        match &self.options.listener {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// `internal-api` reads `INTERNAL_API_LISTEN`.
fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_") + VARIABLE
}

/// Whether a variable of this name may be that of a listener.
pub(crate) fn is_variable(name: &str) -> bool {
    name.strip_suffix(VARIABLE)
        .is_some_and(|name| !name.is_empty())
}

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(letter)
}

fn from_variable(name: &str, variables: &ServerVariables) -> Result<Where, String> {
    let variable = variable(name);
    match variables.text(&variable)? {
        Some(text) => Place::read(&text)
            .map(|place| Where::Place(place, Source::Variable))
            .map_err(|problem| format!("{variable}: {problem}")),
        None => place::from_env(variables)
            .map(|place| Where::Place(place, Source::HostAndPort))
            .map_err(|error| format!("{error:?}")),
    }
}

/// What is wrong with several listeners together: places that are there twice, and names of the gateway that none of them has.
pub(super) fn together(lines: &[Line], names: &[&str]) -> Result {
    let mut problems = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let same = lines
            .iter()
            .take(at)
            .find(|other| match (&line.at, &other.at) {
                (Where::Place(one, _), Where::Place(other, _)) => one.overlaps(other),
                _ => false,
            });
        if let (Some(other), Where::Place(place, by)) = (same, &line.at) {
            let shown = |line: &Line| match &line.options.listener {
                Some(name) => format!("`{name}`"),
                None => String::from("the one without a name"),
            };
            let help = match (by, &line.options.listener) {
                (Source::HostAndPort, Some(name)) => {
                    format!("set {}, or write `.bind(..)`", variable(name))
                }
                _ => String::from("give one of them another port or path"),
            };
            problems.push(format!(
                "two listeners, {} and {}, listen on {place}: {help}",
                shown(other),
                shown(line)
            ));
        }
    }
    let mut known: Vec<&str> = Vec::new();
    for name in lines
        .iter()
        .filter_map(|line| line.options.listener.as_deref())
    {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    for name in names.iter().filter(|name| !known.contains(name)) {
        let listed: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
        let help = match listed.as_slice() {
            [] => format!(
                "its server has no listener with a name: write `.listener(prox::Listener::new(\"{name}\").bind(\"127.0.0.1:9000\"))` behind `Server::new(..)`"
            ),
            listed => format!("the listeners of the server are {}", listed.join(", ")),
        };
        problems.push(format!(
            "the gateway has routes for `on \"{name}\"`, but no listener has this name: {help}"
        ));
    }
    good(&problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    fn line(listener: Listener, env: &[(&'static str, &'static str)]) -> Result<Line> {
        let variables = ServerVariables::new(Env::from(env.to_vec()));
        listener.line(&Options::default(), &variables, |_| Ok(None))
    }

    fn place(listener: Listener, env: &[(&'static str, &'static str)]) -> String {
        match line(listener, env) {
            Ok(line) => line.to_string(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn the_code_wins_over_the_variable_and_that_over_host_and_port() {
        let env = [("INTERNAL_API_LISTEN", ":9000"), ("PORT", "81")];
        let internal = || Listener::new("internal-api");
        assert_eq!(
            place(internal().bind("127.0.0.1:1"), &env),
            "http://127.0.0.1:1 (internal-api)"
        );
        assert_eq!(
            place(internal(), &env),
            "http://0.0.0.0:9000 (internal-api)"
        );
        assert_eq!(
            place(Listener::new("public"), &env),
            "http://0.0.0.0:81 (public)"
        );
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 5));
        assert_eq!(
            place(internal().bind(address), &[]),
            "http://127.0.0.1:5 (internal-api)"
        );
        assert_eq!(
            place(internal().unix("/a b"), &[]),
            "unix:/a b (internal-api)"
        );
        assert_eq!(
            internal().variable().as_deref(),
            Some("INTERNAL_API_LISTEN")
        );
        assert_eq!(internal().bind("x").variable(), None);
    }

    #[test]
    fn all_that_is_wrong_is_said_with_the_name() {
        let wrong = Listener::new("internal")
            .bind("9000")
            .trusted_proxies(["x"])
            .proxy_protocol(["y"]);
        let error = place(wrong, &[]);
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(
            error
                .lines()
                .all(|line| line.starts_with("listener `internal`: ")),
            "{error}"
        );
        assert!(error.contains("write :9000"), "{error}");
        let error = place(Listener::new("internal"), &[("INTERNAL_LISTEN", "here")]);
        assert!(
            error.contains("INTERNAL_LISTEN: \"here\" is not an address"),
            "{error}"
        );
        for name in ["", "Internal", "1st", "a b", "a.b", "-a"] {
            let error = place(Listener::new(name).bind(":1"), &[]);
            assert!(
                error.contains("is not a name of a listener"),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn places_that_are_there_twice_and_names_without_a_listener_are_said_at_once() {
        let lines: Vec<Line> = [
            Listener::new("a"),
            Listener::new("b"),
            Listener::new("c").bind("127.0.0.1:8080"),
            Listener::new("c").bind(":1"),
            Listener::new("a").bind(":2"),
        ]
        .into_iter()
        .map(|listener| line(listener, &[]).unwrap())
        .collect();
        let error = format!("{:?}", together(&lines, &["b", "d", "e"]).unwrap_err());
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(
            error.contains(
                "`a` and `b`, listen on 0.0.0.0:8080: set B_LISTEN, or write `.bind(..)`"
            ),
            "{error}"
        );
        assert!(
            error.contains("`a` and `c`, listen on 127.0.0.1:8080"),
            "{error}"
        );
        assert!(error.contains("`on \"d\"`, but no listener has this name: the listeners of the server are \"a\", \"b\", \"c\""), "{error}");
        assert!(error.ends_with("are \"a\", \"b\", \"c\""), "{error}");
        let error = format!("{:?}", together(&[], &["d"]).unwrap_err());
        assert!(error.contains("Listener::new(\"d\")"), "{error}");
        assert!(together(&lines[3..], &["c"]).is_ok());
    }

    #[test]
    fn what_a_listener_does_not_say_is_what_the_server_says() {
        let server = Options {
            trusted: Some(Trust::read(["10.0.0.0/8"]).unwrap()),
            unix_mode: 0o600,
            ..Options::default()
        };
        let variables = ServerVariables::new(Env::empty());
        let of = |listener: Listener| listener.line(&server, &variables, |_| Ok(None)).unwrap();
        let ip = Some([10, 0, 0, 1].into());
        let inherited = of(Listener::new("a").bind(":1"));
        assert!(inherited.options.trusted.as_ref().unwrap().has(ip));
        assert_eq!(inherited.options.unix_mode, 0o600);
        let own = of(Listener::new("a")
            .bind(":1")
            .trusted_proxies([""; 0])
            .unix_mode(0o666));
        assert!(!own.options.trusted.as_ref().unwrap().has(ip));
        assert_eq!(own.options.unix_mode, 0o666);
    }
}
