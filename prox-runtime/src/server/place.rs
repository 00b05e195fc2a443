//! Where a server listens: addresses, Unix sockets, and what the environment says.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use super::ServerVariables;
use crate::error::{Error, Result};

/// Who may connect to a Unix socket by default: its owner and its group.
pub(super) const MODE: u32 = 0o660;

/// One place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
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
    let mut problems = Vec::new();
    if let Some(path) = host.and_then(|host| host.strip_prefix("unix:")) {
        return if path.starts_with('/') {
            Ok(Place::Unix(path.into()))
        } else {
            Err(format!(
                "HOST is {:?}, which lacks the whole path of a socket: write unix:/run/prox.sock",
                host.unwrap_or_default()
            ))
        };
    }
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
