//! Where the admin listener is, and what opens it: said in code, or by `ADMIN` and `ADMIN_TOKEN`.

use std::{fmt, net::SocketAddr, path::PathBuf};

use super::{super::good, access::Token};
use crate::{
    error::Result,
    secret::Secret,
    server::{
        ServerVariables,
        accept::Source,
        listener::{At, Where},
        place::Place,
    },
};

/// Who may connect to the Unix socket by default: its owner alone, since all that connect are inside.
const MODE: u32 = 0o600;

/// The listener for operators: health, readiness, metrics, and what the gateway does and why.
///
/// A [`Server`](crate::Server) is given one by [`Server::admin`](crate::Server::admin), or by the variable `ADMIN`. The guide
/// [`admin`](https://docs.rs/prox/latest/prox/docs/admin/) lists its paths, and says which of them are for whom.
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # fn doc(gateway: prox::Gateway, token: prox::Secret) -> prox::Result {
/// use prox::{Admin, Server};
///
/// Server::new(gateway)
///     .admin(Admin::bind(":9901").token(token))
///     .run()
/// # }
/// ```
#[must_use = "an admin listener does nothing until a server is given it"]
pub struct Admin {
    /// Nothing for a server that has no admin listener whatever the environment says.
    at: Option<At>,
    token: Option<Secret>,
    unix_mode: u32,
}

impl Admin {
    /// Listens here: `"127.0.0.1:9901"`, `":9901"` for every IPv4 address, `"[::]:9901"` for every address,
    /// `"unix:/run/admin.sock"`, or a [`SocketAddr`].
    ///
    /// What is not a place to listen on is an error when the server starts.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a text, or an address, is written as it is"
    )]
    pub fn bind(place: impl ToString) -> Self {
        Self::at(At::Text(place.to_string()))
    }

    /// Listens on a Unix socket at this path. All that can connect to it are inside.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::at(At::Unix(path.into()))
    }

    /// No admin listener, whatever the variable `ADMIN` says.
    pub fn off() -> Self {
        Self {
            at: None,
            token: None,
            unix_mode: MODE,
        }
    }

    fn at(at: At) -> Self {
        Self {
            at: Some(at),
            ..Self::off()
        }
    }

    /// Opens the paths of the inside to requests with `Authorization: Bearer` and this token, from wherever they come. Without
    /// this call it is the variable `ADMIN_TOKEN`, or the content of the file that `ADMIN_TOKEN_FILE` names.
    ///
    /// The connection is in clear text, and the token with it.
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets who may connect to the Unix socket, as `chmod` has it; `0o600` by default, the owner.
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = mode;
        self
    }

    /// Whether it has a token of its own.
    pub(in crate::server) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it is there at all.
    pub(in crate::server) fn is_on(&self) -> bool {
        self.at.is_some()
    }
}

/// A text as [`Admin::bind`] takes it.
impl From<&str> for Admin {
    fn from(place: &str) -> Self {
        Self::bind(place)
    }
}

/// A text as [`Admin::bind`] takes it.
impl From<String> for Admin {
    fn from(place: String) -> Self {
        Self::bind(place)
    }
}

impl From<SocketAddr> for Admin {
    fn from(address: SocketAddr) -> Self {
        Self::bind(address)
    }
}

/// A socket that is bound already.
impl From<std::net::TcpListener> for Admin {
    fn from(socket: std::net::TcpListener) -> Self {
        Self::at(At::Bound(Ok(socket)))
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("at", &self.at)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Where to listen, read and found good.
#[derive(Debug)]
pub(in crate::server) struct Settled {
    pub(in crate::server) at: Where,
    pub(super) token: Option<Token>,
    pub(super) unix_mode: u32,
}

/// What was said in code, or else what the environment says; nothing if neither says where.
///
/// # Errors
///
/// All that is wrong with it.
pub(in crate::server) fn settle(
    said: Option<Admin>,
    variables: &ServerVariables,
) -> Result<Option<Settled>> {
    let is_off = said.as_ref().is_some_and(|admin| !admin.is_on());
    if is_off {
        return Ok(None);
    }
    let mut problems = Vec::new();
    let (at, token, unix_mode) = match said {
        Some(Admin {
            at: Some(at),
            token,
            unix_mode,
        }) => (at.place().map(Some), token, unix_mode),
        _ => (place_of_variable(variables), None, MODE),
    };
    let at = at.unwrap_or_else(|problem| {
        problems.push(format!("admin: {problem}"));
        None
    });
    let token = match token {
        Some(token) => Ok(Some(token)),
        None => variables.secret("ADMIN_TOKEN"),
    };
    let token = token.and_then(|token| {
        let token = token.map(Token::new).transpose();
        token.map_err(|problem| format!("the admin token {problem}"))
    });
    let token = token.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    good(&problems)?;
    if at.is_none() && token.is_some() {
        tracing::warn!(target: "prox", "ADMIN_TOKEN is set and ADMIN is not, so there is no admin listener");
    }
    Ok(at.map(|at| Settled {
        at,
        token,
        unix_mode,
    }))
}

impl Settled {
    pub(in crate::server) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

/// Where `ADMIN` says.
fn place_of_variable(variables: &ServerVariables) -> Result<Option<Where>, String> {
    let Some(text) = variables.text("ADMIN")? else {
        return Ok(None);
    };
    let place = Place::read(&text).map_err(|problem| format!("ADMIN: {problem}"))?;
    Ok(Some(Where::Place(place, Source::Admin)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    fn of(said: Option<Admin>, env: &[(&'static str, &str)]) -> Result<Option<Settled>> {
        let env = env.iter().map(|(name, value)| (*name, (*value).to_owned()));
        settle(said, &ServerVariables::new(env.collect::<Env>()))
    }

    fn place(said: Option<Admin>, env: &[(&'static str, &str)]) -> String {
        match of(said, env) {
            Ok(Some(Settled {
                at: Where::Place(place, _),
                token,
                ..
            })) => format!("{place}{}", if token.is_some() { " token" } else { "" }),
            Ok(Some(_)) => "bound".into(),
            Ok(None) => "none".into(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn the_code_wins_over_the_environment() {
        let env = [("ADMIN", ":9901"), ("ADMIN_TOKEN", "abc")];
        assert_eq!(place(None, &[]), "none");
        assert_eq!(place(None, &env), "0.0.0.0:9901 token");
        assert_eq!(place(Some(Admin::off()), &env), "none");
        assert_eq!(
            place(Some("127.0.0.1:1".into()), &env),
            "127.0.0.1:1 token",
            "what the code does not say is what the environment says"
        );
        assert_eq!(
            place(Some(Admin::unix("/run/a.sock")), &[]),
            "unix:/run/a.sock"
        );
        let own = Admin::bind(":1").token("own".parse().unwrap());
        assert_eq!(
            place(Some(own), &[("ADMIN_TOKEN", "not sendable")]),
            "0.0.0.0:1 token"
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_without_the_secret() {
        let error = place(None, &[("ADMIN", "9901"), ("ADMIN_TOKEN", "hunter 2")]);
        assert_eq!(error.lines().count(), 2, "{error}");
        assert!(error.contains("ADMIN: \"9901\" is a port"), "{error}");
        assert!(error.contains("the admin token has characters"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
        let shown = format!("{:?}", Admin::bind("x").token("hunter2".parse().unwrap()));
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn a_token_may_be_in_a_file() {
        let folder = std::env::temp_dir().join(format!("prox-admin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("token");
        std::fs::write(&path, "abc\n").unwrap();
        let path = path.to_str().unwrap();
        let env = [("ADMIN", ":1"), ("ADMIN_TOKEN_FILE", path)];
        assert_eq!(place(None, &env), "0.0.0.0:1 token");
        let both = [env[0], env[1], ("ADMIN_TOKEN", "abc")];
        assert!(
            place(None, &both).contains("ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set"),
            "{}",
            place(None, &both)
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(place(None, &env).contains("ADMIN_TOKEN_FILE"));
    }
}
