//! Values of fields that are made for each request.

use std::fmt::Write;

use http::{HeaderValue, header};

use crate::{
    handler::Parts,
    middleware::RequestIdValue,
    route::{RequestExt, RouteInfo, names},
};

/// A text with places for parts of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Fixed(HeaderValue),
    Made(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Host,
    ClientIp,
    RequestId,
    Claim(String),
    Param(String),
}

impl Template {
    /// Reads `a {param} b`; a brace is written twice.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let unprintable =
            || format!("{text:?} cannot be the value of a field: write printable ASCII");
        if !text.is_ascii() || HeaderValue::from_str(text).is_err() {
            return Err(unprintable());
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            let (brace, inner) = after.split_at(1);
            if let Some(more) = inner.strip_prefix(brace) {
                plain.push_str(brace);
                rest = more;
                continue;
            }
            let name = inner.split_once('}').filter(|_| brace == "{");
            let Some((name, more)) = name else {
                return Err(format!(
                    "{text:?} has a brace without another: write `{{{{` or `}}}}` for the character"
                ));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::read(name).ok_or_else(|| {
                format!(
                    "`{{{name}}}` in {text:?} is not a part of a request: write the name of a parameter of the path, or `{{host}}`, `{{client_ip}}`, `{{request_id}}`, `{{claim:name}}`"
                )
            })?);
            rest = more;
        }
        plain.push_str(rest);
        if pieces.is_empty() {
            return HeaderValue::try_from(plain)
                .map(Self::Fixed)
                .map_err(|_| unprintable());
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self::Made(pieces))
    }

    /// The value for a request; nothing if a part of it is not there.
    pub(super) fn value(&self, req: &Parts) -> Option<HeaderValue> {
        let pieces = match self {
            Self::Fixed(value) => return Some(value.clone()),
            Self::Made(pieces) => pieces,
        };
        let mut text = String::new();
        for piece in pieces {
            piece.write(req, &mut text)?;
        }
        HeaderValue::try_from(text).ok()
    }

    fn pieces(&self) -> &[Piece] {
        match self {
            Self::Fixed(_) => &[],
            Self::Made(pieces) => pieces,
        }
    }

    /// Whether it tells who the caller is.
    pub(super) fn identifies(&self) -> bool {
        self.pieces()
            .iter()
            .any(|piece| matches!(piece, Piece::Claim(_)))
    }

    /// A parameter that the route has not.
    pub(super) fn missing(&self, route: &RouteInfo) -> Option<&str> {
        let has = |name: &str| names(route.path).any(|own| own == name);
        self.pieces().iter().find_map(|piece| match piece {
            Piece::Param(name) if !has(name) => Some(&**name),
            _ => None,
        })
    }
}

impl Piece {
    fn read(name: &str) -> Option<Self> {
        let word = |text: &str| {
            let ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !text.is_empty() && text.bytes().all(ok)
        };
        Some(match name {
            "host" => Self::Host,
            "client_ip" => Self::ClientIp,
            "request_id" => Self::RequestId,
            _ => match name.strip_prefix("claim:") {
                Some(path) if !path.is_empty() => Self::Claim(path.into()),
                None if word(name) => Self::Param(name.into()),
                _ => return None,
            },
        })
    }

    fn write(&self, req: &Parts, text: &mut String) -> Option<()> {
        match self {
            Self::Text(plain) => text.push_str(plain),
            Self::Host => text.push_str(req.headers.get(header::HOST)?.to_str().ok()?),
            Self::ClientIp => write!(text, "{}", req.client_ip()?).ok()?,
            Self::RequestId => text.push_str(req.extensions.get::<RequestIdValue>()?.as_str()),
            Self::Param(name) => text.push_str(req.param(name)?),
            Self::Claim(path) => text.push_str(&req.principal()?.claim(path)?.shown()?),
        }
        Some(())
    }
}
