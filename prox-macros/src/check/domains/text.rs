//! Texts in options: paths, hosts, and the names of fields and cookies.

use crate::{
    diag::{Flaw, shown},
    model::guard::{cookie_flaw, header_flaw, query_flaw},
    syntax::pattern::encoded,
};

/// The path of a health check, with its query.
pub(super) fn path_of_check(path: &str) -> Option<Flaw> {
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if let Some((_, rest)) = path.split_once("://") {
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        return flaw(
            0..0,
            "expected a path, found a URL: a health check uses the endpoints of the cluster",
            format!("write `http(\"{path}\")`"),
        );
    }
    if !path.starts_with('/') {
        return flaw(
            0..0,
            "the path of a health check must start with `/`",
            format!("write `http(\"/{path}\")`"),
        );
    }
    if let Some(at) = path.find('#') {
        return flaw(
            at..path.len(),
            "unexpected fragment in the path of a health check",
            format!("write `http(\"{}\")`", path.get(..at).unwrap_or_default()),
        );
    }
    let also = "\\^`<>|";
    let at = path.find(|c: char| !c.is_ascii_graphic() || also.contains(c))?;
    let character = path.get(at..)?.chars().next()?;
    flaw(
        at..at + character.len_utf8(),
        &format!("{} is not allowed in a path", shown(character)),
        format!("write `http(\"{}\")`", encoded(path, also)),
    )
}

/// What a `Host` says: a name or an address, perhaps with a port.
pub(super) fn authority(value: &str) -> Option<Flaw> {
    let example =
        || String::from("write a host, such as `\"app.example\"` or `\"app.example:8080\"`");
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if value.is_empty() {
        return flaw(0..0, "empty host", example());
    }
    if let Some((scheme, rest)) = value.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        return flaw(
            0..scheme.len() + 3,
            "unexpected scheme in a host",
            format!("write `\"{host}\"`"),
        );
    }
    let bracketed = value.starts_with('[');
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || "-_.~:".contains(c) || bracketed && "[]".contains(c);
    let at = value.find(|c: char| !allowed(c));
    if let Some(at) = at {
        let character = value.get(at..)?.chars().next()?;
        return flaw(
            at..at + character.len_utf8(),
            &format!("{} is not allowed in a host", shown(character)),
            example(),
        );
    }
    let port = match value.rsplit_once(']') {
        Some((_, port)) => port.strip_prefix(':'),
        None => value.split_once(':').map(|(_, port)| port),
    }?;
    let number = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if number {
        return None;
    }
    flaw(
        value.len() - port.len()..value.len(),
        &format!("`{port}` is not a port"),
        String::from("a port is a number from 1 to 65535"),
    )
}

pub(super) fn cookie_name(name: &str) -> Option<Flaw> {
    cookie_flaw(name)
}

pub(super) fn header_name(name: &str) -> Option<Flaw> {
    header_flaw(name)
}

pub(super) fn query_name(name: &str) -> Option<Flaw> {
    query_flaw(name)
}

/// What keeps a cookie from being foreseen.
pub(super) fn secret(secret: &str) -> Option<Flaw> {
    secret.is_empty().then(|| Flaw {
        at: 0..0,
        message: String::from("empty secret: every client could forge the cookies"),
        help: String::from("read it from the environment: `env STICKY_SECRET: String;`"),
    })
}

/// The name in a certificate.
pub(super) fn server_name(name: &str) -> Option<Flaw> {
    let help = || {
        String::from(
            "write the name in the certificate of the upstream, such as `\"users.example\"`",
        )
    };
    if name.is_empty() {
        return Some(Flaw {
            at: 0..0,
            message: String::from("empty certificate name"),
            help: help(),
        });
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let at = name.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))?;
    let character = name.get(at..)?.chars().next()?;
    Some(Flaw {
        at: at..at + character.len_utf8(),
        message: format!("{} is not allowed in a host name", shown(character)),
        help: help(),
    })
}

/// The hosts that get a cookie.
pub(super) fn cookie_domain(domain: &str) -> Option<Flaw> {
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    let example = || String::from("write the name of a host, such as `\"shop.example\"`");
    if domain.is_empty() {
        return flaw(0..0, "empty domain", example());
    }
    if let Some(rest) = domain.strip_prefix('.') {
        return flaw(
            0..1,
            "unexpected `.` at the start of the domain of a cookie: it always includes subdomains",
            format!("write `\"{rest}\"`"),
        );
    }
    if let Some(at) = domain.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        let character = domain.get(at..)?.chars().next()?;
        return flaw(
            at..at + character.len_utf8(),
            &format!(
                "{} is not allowed in the domain of a cookie",
                shown(character)
            ),
            example(),
        );
    }
    let at = domain
        .find("..")
        .or_else(|| domain.ends_with('.').then(|| domain.len() - 1))?;
    flaw(at..at + 1, "empty label in the domain", example())
}

/// The paths that get a cookie.
pub(super) fn cookie_path(path: &str) -> Option<Flaw> {
    let flaw = |at, message: &str, help| {
        Some(Flaw {
            at,
            message: message.to_owned(),
            help,
        })
    };
    if !path.starts_with('/') {
        return flaw(
            0..0,
            "the path of a cookie must start with `/`",
            format!("write `\"/{path}\"`"),
        );
    }
    let at = path.find(|c: char| !c.is_ascii_graphic() || c == ';')?;
    let character = path.get(at..)?.chars().next()?;
    flaw(
        at..at + character.len_utf8(),
        &format!(
            "{} is not allowed in the path of a cookie",
            shown(character)
        ),
        String::from("remove it, or percent-encode it"),
    )
}
