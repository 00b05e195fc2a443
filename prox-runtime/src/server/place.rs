//! Where a server listens: addresses, Unix sockets, and what the environment says.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use super::ServerVariables;
use crate::error::{Error, Result};

/// Who may connect to a Unix socket by default: its owner and its group.
pub(super) const MODE: u32 = 0o660;

/// One place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    /// Reads `127.0.0.1:9000`, `:9000`, `localhost:9000` or `unix:/run/prox.sock`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        const FORMS: &str = "write 127.0.0.1:9000, :9000, [::1]:9000 or unix:/run/prox.sock";
        let text = text.trim();
        if let Some(socket) = socket(text) {
            return socket.map_err(|problem| format!("{text:?} {problem}"));
        }
        if let Ok(port) = text.parse::<u16>() {
            return Err(format!(
                "{text:?} is a port without an address: write :{port} for every address"
            ));
        }
        let address = match text.rsplit_once(':') {
            Some(("", port)) => port.parse().ok().map(|port| (Ipv4Addr::UNSPECIFIED, port)),
            Some(("localhost", port)) => port.parse().ok().map(|port| (Ipv4Addr::LOCALHOST, port)),
            _ => None,
        };
        address
            .map(SocketAddr::from)
            .or_else(|| text.parse().ok())
            .map(Self::Tcp)
            .ok_or_else(|| format!("{text:?} is not an address to listen on: {FORMS}"))
    }

    /// Whether a connection could be meant for either.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                // `::` takes IPv4 as well.
                let any = |one: IpAddr, other: IpAddr| {
                    one.is_unspecified() && (one.is_ipv6() || other.is_ipv4())
                };
                let (a, b) = (one.ip(), other.ip());
                one.port() != 0 && one.port() == other.port() && (a == b || any(a, b) || any(b, a))
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The place that `HOST` and `PORT` name; what both of them get wrong is said at once.
pub(super) fn from_env(variables: &ServerVariables) -> Result<Place> {
    let (host, port) = match (variables.text("HOST"), variables.text("PORT")) {
        (Ok(host), Ok(port)) => (host, port),
        (host, port) => {
            let problems: Vec<String> = [host.err(), port.err()].into_iter().flatten().collect();
            return Err(Error::config(problems.join("\n")));
        }
    };
    named(host.as_deref(), port.as_deref()).map_err(Error::config)
}

fn named(host: Option<&str>, port: Option<&str>) -> Result<Place, String> {
    if let Some(text) = host
        && let Some(socket) = socket(text)
    {
        return socket.map_err(|problem| format!("HOST is {text:?}, which {problem}"));
    }
    let mut problems = Vec::new();
    let host = match host {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(host) => address(host).unwrap_or_else(|| {
            problems.push(format!(
                "HOST is {host:?}, which is not an IP address: write 0.0.0.0, 127.0.0.1, :: or unix:/run/prox.sock"
            ));
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }),
    };
    let port = match port {
        None => 8080,
        Some(port) => port.parse().unwrap_or_else(|_| {
            problems.push(format!(
                "PORT is {port:?}, which is not a port: write a number from 0 to 65535"
            ));
            0
        }),
    };
    if problems.is_empty() {
        Ok(Place::Tcp(SocketAddr::new(host, port)))
    } else {
        Err(problems.join("\n"))
    }
}

/// The place of a text that begins with `unix:`, or what is wrong with it.
fn socket(text: &str) -> Option<Result<Place, &'static str>> {
    let path = text.strip_prefix("unix:")?;
    let whole = path.starts_with('/').then(|| Place::Unix(path.into()));
    Some(whole.ok_or("lacks the whole path of a socket: write unix:/run/prox.sock"))
}

/// An address, in brackets or not if it is of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_name_an_address_or_a_socket() {
        let tcp = |text: &str| Ok(Place::Tcp(text.parse().unwrap()));
        assert_eq!(named(None, None), tcp("0.0.0.0:8080"));
        assert_eq!(named(Some("localhost"), Some("81")), tcp("127.0.0.1:81"));
        assert_eq!(named(Some("::"), None), tcp("[::]:8080"));
        assert_eq!(named(Some("[::]"), None), tcp("[::]:8080"));
        assert_eq!(named(Some("[::1]"), Some("81")), tcp("[::1]:81"));
        let unix = Ok(Place::Unix("/run/prox.sock".into()));
        assert_eq!(named(Some("unix:/run/prox.sock"), Some("x")), unix);
    }

    #[test]
    fn a_text_names_an_address_or_a_socket() {
        let tcp = |text: &str| Ok(Place::Tcp(text.parse().unwrap()));
        assert_eq!(Place::read("127.0.0.1:9000"), tcp("127.0.0.1:9000"));
        assert_eq!(Place::read(" :9000"), tcp("0.0.0.0:9000"));
        assert_eq!(Place::read("localhost:0"), tcp("127.0.0.1:0"));
        assert_eq!(Place::read("[::]:9000"), tcp("[::]:9000"));
        assert_eq!(
            Place::read("unix:/run/a b.sock"),
            Ok(Place::Unix("/run/a b.sock".into()))
        );
        for (text, wanted) in [
            ("9000", "write :9000 for every address"),
            ("unix:run/x", "write unix:/run/prox.sock"),
            ("", "is not an address"),
            (":", "is not an address"),
            (":65536", "is not an address"),
            ("127.0.0.1", "is not an address"),
            ("::1:9000x", "is not an address"),
            ("http://127.0.0.1:9000", "is not an address"),
            ("internal.example:9000", "is not an address"),
        ] {
            let error = Place::read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn places_that_take_the_same_connections_overlap() {
        let read = |text| Place::read(text).unwrap();
        for (one, other, wanted) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            (":80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            (":80", "[::1]:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            (":0", ":0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", ":80", false),
        ] {
            assert_eq!(read(one).overlaps(&read(other)), wanted, "{one} {other}");
            assert_eq!(read(other).overlaps(&read(one)), wanted, "{other} {one}");
        }
    }

    #[test]
    fn what_both_get_wrong_is_said_at_once() {
        let error = named(Some("here"), Some("65536")).unwrap_err();
        assert!(error.contains("HOST is \"here\"") && error.contains("PORT is \"65536\""));
        for host in ["[127.0.0.1]", "[::", "::]", "[]"] {
            assert!(named(Some(host), None).is_err(), "{host}");
        }
        let error = named(Some("unix:run/prox.sock"), None).unwrap_err();
        assert!(error.ends_with("write unix:/run/prox.sock"), "{error}");
    }
}
