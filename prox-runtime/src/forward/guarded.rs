//! Fields that layers of a gateway write for upstreams: no client can send them.

use http::{HeaderMap, HeaderName};

use super::{
    claims::{WRITTEN, folded},
    headers::HOP_BY_HOP,
};

/// The names that layers write, in the form in which names are compared: letters and digits alone, in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    names: Vec<Box<[u8]>>,
    /// For each byte whether a spelling of a name can begin or end with it: this tells other names apart at once.
    ends: [u8; 256],
}

const BEGINS: u8 = 1;
const ENDS: u8 = 2;

impl Guarded {
    /// Guards these names; nothing if there are none.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n HeaderName>) -> Option<Self> {
        let mut guarded = Self {
            names: Vec::new(),
            ends: [0; 256],
        };
        // Other bytes than letters and digits do not count, so every name may begin and end with them.
        for byte in 0..=u8::MAX {
            if !byte.is_ascii_alphanumeric() {
                guarded.allow(byte, BEGINS | ENDS);
            }
        }
        for name in names {
            let name: Box<[u8]> = folded(name.as_str()).collect();
            if let (Some(first), Some(last)) = (name.first(), name.last())
                && !guarded.names.contains(&name)
            {
                guarded.allow(*first, BEGINS);
                guarded.allow(*last, ENDS);
                guarded.names.push(name);
            }
        }
        (!guarded.names.is_empty()).then_some(guarded)
    }

    /// Notes that a spelling can begin or end with this byte. The name of a header has no letter in upper case.
    fn allow(&mut self, byte: u8, end: u8) {
        self.ends[usize::from(byte)] |= end;
    }

    /// Whether the name of a header folds into one of them.
    #[inline]
    pub(crate) fn has(&self, name: &str) -> bool {
        let (Some(first), Some(last)) = (name.as_bytes().first(), name.as_bytes().last()) else {
            return false;
        };
        let begins = self.ends[usize::from(*first)] & BEGINS != 0;
        begins && self.ends[usize::from(*last)] & ENDS != 0 && self.folds(name)
    }

    #[cold]
    fn folds(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|own| folded(name).eq(own.iter().copied()))
    }

    /// Removes them, in whatever spelling.
    pub(crate) fn remove(&self, headers: &mut HeaderMap) {
        while let Some(name) = headers.keys().find(|name| self.has(name.as_str())).cloned() {
            headers.remove(name);
        }
    }
}

/// Why a layer cannot write a field of this name so that clients cannot send it.
pub(crate) fn problem(name: &HeaderName) -> Option<&'static str> {
    let mut letters = folded(name.as_str()).peekable();
    if letters.peek().is_none() {
        return Some("its name has neither a letter nor a digit");
    }
    let is = |other: &str| folded(name.as_str()).eq(folded(other));
    if ["authorization", "proxy-authorization", "cookie"]
        .into_iter()
        .any(is)
    {
        return Some("it carries the credentials of clients");
    }
    if WRITTEN.into_iter().any(is) {
        return Some("the gateway writes it");
    }
    let frames = ["host", "te", "trailer", "expect", "origin", "range", "via"];
    let is_hop = HOP_BY_HOP.into_iter().any(|(_, hop)| is(hop.as_str()));
    let content = folded(name.as_str()).take(7).eq(folded("content"));
    if is_hop || frames.into_iter().any(is) || content {
        return Some("it belongs to the message itself");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn named(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    #[test]
    fn every_spelling_of_a_name_is_removed_and_no_other_name() {
        let guarded =
            Guarded::new(&[named("x-user"), named("client-cert"), named("x_user")]).unwrap();
        assert_eq!(guarded.names.len(), 2);
        let mut headers = HeaderMap::new();
        for name in [
            "x-user",
            "x_user",
            "x.user",
            "xuser",
            "x--user",
            "-x-user",
            "x-user-",
            "x!user",
            "client-cert",
            "clientcert",
        ] {
            headers.append(named(name), HeaderValue::from_static("mallory"));
            headers.append(named(name), HeaderValue::from_static("again"));
        }
        let others = [
            "x-users",
            "x-use",
            "y-user",
            "xx-user",
            "client-cert-chain",
            "x",
            "user",
        ];
        for name in others {
            headers.append(named(name), HeaderValue::from_static("1"));
        }
        guarded.remove(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let mut wanted = others.to_vec();
        wanted.sort_unstable();
        assert_eq!(left, wanted);
    }

    #[test]
    fn names_that_clients_need_cannot_be_guarded() {
        for name in [
            "authorization",
            "cookie",
            "host",
            "content-length",
            "content-type",
            "te",
            "origin",
            "x-forwarded-for",
            "forwarded",
            "x_forwarded_for",
            "-",
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
        ] {
            assert!(problem(&named(name)).is_some(), "{name}");
        }
        for name in [
            "x-user",
            "client-cert",
            "x-forwarded-user",
            "user",
            "x-content",
        ] {
            assert!(problem(&named(name)).is_none(), "{name}");
        }
        assert!(Guarded::new(&[]).is_none());
    }
}
