//! Where a request carries credentials, and how they are taken out.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};

use super::Denied;
use crate::{coding, error::Failure, handler::Parts};

/// Where credentials of one kind are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `Authorization: Bearer ..`
    Bearer,
    Header(HeaderName),
    Query(String),
    Cookie(String),
}

/// The parameter of the query that carries a token (RFC 6750, 2.3).
#[cfg(feature = "jwt")]
const OF_THE_QUERY: &str = "access_token";

/// Credentials in two places, of which nobody can tell which count (RFC 6750, 3.1).
fn contradicting() -> Denied {
    Denied::new(Failure::MalformedRequest)
}

/// The only value of a field.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Denied> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(contradicting()),
    }
}

/// What stands behind the scheme in `Authorization`; nothing if there is another scheme, or none (RFC 9110, 11.6.2).
pub(super) fn authorization(headers: &HeaderMap, scheme: &str) -> Result<Option<String>, Denied> {
    let Some(value) = only(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    Ok(of_scheme(value.as_bytes(), scheme).map(text))
}

/// Most credentials are ASCII, which is told much faster than what is malformed.
fn text(value: &[u8]) -> String {
    match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(value).into_owned(),
    }
}

/// The credentials of this scheme, which counts without regard to case.
fn of_scheme<'v>(value: &'v [u8], scheme: &str) -> Option<&'v [u8]> {
    let value = value.trim_ascii();
    let (own, rest) = value.split_at_checked(scheme.len())?;
    if !own.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ' | b'\t', ..] => Some(rest.trim_ascii()),
        _ => None,
    }
}

impl Place {
    /// A field.
    ///
    /// # Errors
    ///
    /// What is wrong with its name.
    pub(super) fn header(name: &str) -> Result<Self, String> {
        HeaderName::from_bytes(name.as_bytes())
            .map(Self::Header)
            .map_err(|_| format!("{name:?} is not the name of a field"))
    }

    /// The credentials, if there are any at this place.
    ///
    /// # Errors
    ///
    /// `400` if they are there twice.
    pub(super) fn find(&self, parts: &Parts) -> Result<Option<String>, Denied> {
        match self {
            Self::Bearer => authorization(&parts.headers, "bearer"),
            Self::Header(name) => {
                let value = only(&parts.headers, name)?;
                Ok(value.map(|value| text(value.as_bytes().trim_ascii())))
            }
            Self::Query(name) => {
                let query = parts.uri.query().unwrap_or_default();
                one(query.split('&').filter_map(|pair| named(pair, name)))
            }
            Self::Cookie(name) => {
                let fields = parts.headers.get_all(header::COOKIE).iter();
                let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
                one(pairs.filter_map(|pair| {
                    let pair = text(pair.trim_ascii());
                    let (own, value) = pair.split_once('=')?;
                    (own == name).then(|| value.trim_matches('"').to_owned())
                }))
            }
        }
    }

    /// As [`find`](Self::find), for a token, which a client may send in one way alone (RFC 6750, 2).
    ///
    /// # Errors
    ///
    /// `400` if there is a token at this place and another one in `Authorization: Bearer`, or in the query as `access_token`.
    #[cfg(feature = "jwt")]
    pub(super) fn token(&self, parts: &Parts) -> Result<Option<String>, Denied> {
        let token = self.find(parts)?;
        if token.is_some() {
            self.only_one(&parts.headers, &parts.uri)?;
        }
        Ok(token)
    }

    /// A token that is a field, as it was sent. `None` tells nothing: [`token`](Self::token) does.
    #[cfg(feature = "jwt")]
    pub(super) fn token_of_field<'h>(&self, headers: &'h HeaderMap, uri: &Uri) -> Option<&'h [u8]> {
        let value = |name| Some(only(headers, name).ok()??.as_bytes());
        let token = match self {
            Self::Bearer => of_scheme(value(&header::AUTHORIZATION)?, "bearer")?,
            Self::Header(name) => value(name)?.trim_ascii(),
            Self::Query(_) | Self::Cookie(_) => return None,
        };
        self.only_one(headers, uri).is_ok().then_some(token)
    }

    /// Sees to it that a request with a token at this place has no other one.
    #[cfg(feature = "jwt")]
    fn only_one(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Denied> {
        let bearer = || authorization(headers, "bearer");
        if *self != Self::Bearer && bearer()?.is_some() {
            return Err(contradicting());
        }
        let Some(query) = uri.query() else {
            return Ok(());
        };
        let is_own = matches!(self, Self::Query(name) if name == OF_THE_QUERY);
        // Most names are too short for it, encoded or not.
        let is_long = |pair: &[u8]| pair.len() >= OF_THE_QUERY.len();
        let mut pairs = query.as_bytes().split(|byte| *byte == b'&');
        if is_own || !pairs.any(is_long) {
            return Ok(());
        }
        let mut pairs = query.split('&');
        if pairs.any(|pair| named(pair, OF_THE_QUERY).is_some()) {
            return Err(contradicting());
        }
        Ok(())
    }

    /// Takes the credentials out of the request, so that no upstream sees them.
    pub(super) fn remove(&self, parts: &mut Parts) {
        match self {
            Self::Bearer => {
                parts.headers.remove(header::AUTHORIZATION);
            }
            Self::Header(name) => {
                parts.headers.remove(name);
            }
            Self::Query(name) => {
                if let Some(uri) = without(&parts.uri, name) {
                    parts.uri = uri;
                }
            }
            Self::Cookie(name) => remove_cookie(&mut parts.headers, name),
        }
    }

    /// The field in which clients send them, if there is one.
    pub(super) fn field(&self) -> Option<HeaderName> {
        match self {
            Self::Header(name) => Some(name.clone()),
            _ => None,
        }
    }
}

fn one(mut values: impl Iterator<Item = String>) -> Result<Option<String>, Denied> {
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(contradicting()),
    }
}

/// The value of a pair of a query with this name.
fn named(pair: &str, name: &str) -> Option<String> {
    let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decoded(own) == name).then(|| decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = match behind {
            [high, low, ..] => coding::byte(*high, *low),
            _ => None,
        };
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = behind;
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same target without the pairs of this name; nothing if it cannot be written.
fn without(uri: &Uri, name: &str) -> Option<Uri> {
    let query = uri.query()?;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| named(pair, name).is_none())
        .collect();
    let path = uri.path();
    let target = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    let fields: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for field in fields {
        let pairs = field.as_bytes().split(|byte| *byte == b';');
        let kept: Vec<&[u8]> = pairs
            .map(<[u8]>::trim_ascii)
            .filter(|pair| {
                let own = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
                own.trim_ascii() != name.as_bytes()
            })
            .collect();
        let kept = kept.join(&b"; "[..]);
        if let Ok(value) = HeaderValue::from_bytes(&kept)
            && !kept.is_empty()
        {
            headers.append(header::COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{body::Body, handler::Request};

    fn parts(uri: &str, fields: &[(&'static str, &'static str)]) -> Parts {
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = uri.parse().unwrap();
        for (name, value) in fields {
            req.headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        req.into_parts().0
    }

    #[test]
    fn a_scheme_counts_without_case_and_as_a_whole() {
        for (value, found) in [
            ("Bearer abc", Some("abc")),
            ("bEARER   abc ", Some("abc")),
            ("Bearer", Some("")),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("", None),
        ] {
            let headers =
                HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(
                authorization(&headers, "bearer").unwrap().as_deref(),
                found,
                "{value}"
            );
        }
    }

    #[test]
    fn credentials_that_are_there_twice_contradict() {
        let twice = [("authorization", "Bearer a"), ("authorization", "Basic b")];
        assert!(Place::Bearer.find(&parts("/", &twice)).is_err());
        let name = HeaderName::from_static("x-api-key");
        let twice = [("x-api-key", "a"), ("x-api-key", "a")];
        assert!(Place::Header(name).find(&parts("/", &twice)).is_err());
        let query = Place::Query("key".into());
        assert!(query.find(&parts("/?key=a&b=1&%6bey=a", &[])).is_err());
        let cookie = Place::Cookie("key".into());
        let twice = [("cookie", "key=a; b=1"), ("cookie", "key=b")];
        assert!(cookie.find(&parts("/", &twice)).is_err());
    }

    #[cfg(feature = "jwt")]
    #[test]
    fn a_token_is_sent_in_one_way_alone() {
        let bearer = [("authorization", "Bearer a")];
        let basic = [("authorization", "Basic a")];
        let header = Place::Header(HeaderName::from_static("x-token"));
        let both = [("x-token", "a"), ("authorization", "bearer b")];
        for (place, uri, fields, right) in [
            (Place::Bearer, "/?a=b", &bearer[..], true),
            (Place::Bearer, "/?access_token=b", &bearer, false),
            (Place::Bearer, "/?a&%61ccess_toke%6e", &bearer, false),
            (Place::Bearer, "/?my_access_token=b", &bearer, true),
            (Place::Bearer, "/?access_token=b", &basic, true),
            (
                Place::Query("access_token".into()),
                "/?access_token=b",
                &[],
                true,
            ),
            (
                Place::Query("access_token".into()),
                "/?access_token=b",
                &basic,
                true,
            ),
            (
                Place::Query("access_token".into()),
                "/?access_token=b",
                &bearer,
                false,
            ),
            (Place::Query("t".into()), "/?t=a&access_token=b", &[], false),
            (
                Place::Cookie("t".into()),
                "/",
                &[("cookie", "t=a"), ("authorization", "Bearer b")],
                false,
            ),
            (
                Place::Cookie("t".into()),
                "/",
                &[("authorization", "Bearer b")],
                true,
            ),
            (header.clone(), "/", &both[..1], true),
            (header, "/", &both, false),
        ] {
            let token = place.token(&parts(uri, fields));
            assert_eq!(token.is_ok(), right, "{place:?} {uri} {fields:?}");
        }
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_as_it_was() {
        let query = Place::Query("key".into());
        for (uri, found, left) in [
            ("/a?key=s%2Bt&b=%41&c", Some("s+t"), "/a?b=%41&c"),
            ("/a?b=1&k%65y=x", Some("x"), "/a?b=1"),
            ("/a?key", Some(""), "/a"),
            ("/a?keys=1", None, "/a?keys=1"),
            ("https://h.test/a?key=x", Some("x"), "https://h.test/a"),
            ("/a", None, "/a"),
        ] {
            let mut parts = parts(uri, &[]);
            assert_eq!(query.find(&parts).unwrap().as_deref(), found, "{uri}");
            query.remove(&mut parts);
            assert_eq!(parts.uri.to_string(), left, "{uri}");
        }
        let cookie = Place::Cookie("key".into());
        let mut parts = parts("/", &[("cookie", "a=1; key=\"s\";b=2"), ("cookie", "c=3")]);
        assert_eq!(cookie.find(&parts).unwrap().as_deref(), Some("s"));
        cookie.remove(&mut parts);
        let left: Vec<_> = parts.headers.get_all("cookie").iter().collect();
        assert_eq!(left, ["a=1; b=2", "c=3"]);
    }
}
