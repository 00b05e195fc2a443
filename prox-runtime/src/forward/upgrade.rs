//! Which requests ask for another protocol, and which responses agree to it (RFC 9110, 7.8; RFC 8441).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header, response,
};

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The protocols that a request asks for, as it lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked(HeaderValue);

impl Asked {
    /// What a request asks for; nothing when it does not ask in a way that may be passed on.
    ///
    /// Any method may ask (RFC 9110, 7.8). `CONNECT` asks for a tunnel in its own way.
    ///
    /// Protocols that are HTTP again, or wrap it, are never passed on: an upstream that speaks HTTP behind a tunnel answers
    /// requests that the gateway has not seen.
    pub(crate) fn by<B>(req: &Request<B>) -> Option<Self> {
        let headers = req.headers();
        let asked = single(headers, header::UPGRADE)?;
        let fit = *req.method() != Method::CONNECT
            && req.version() >= Version::HTTP_11
            && lists(headers, header::CONNECTION, b"upgrade")
            && !headers.contains_key(HTTP2_SETTINGS)
            && items(asked).all(is_protocol)
            && !items(asked).any(is_http);
        fit.then(|| Self(asked.clone()))
    }

    /// The protocols, as the client has listed them.
    pub(crate) fn protocols(&self) -> &HeaderValue {
        &self.0
    }

    /// Asks an upstream for the same, on a request without hop-by-hop fields.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        write(headers, self.0.clone());
    }

    /// The one to ask for where only one can be: a WebSocket, if that is among them, else the first.
    pub(crate) fn one(&self) -> HeaderValue {
        let websocket = items(&self.0).find(|item| item.eq_ignore_ascii_case(b"websocket"));
        let one = websocket.or_else(|| items(&self.0).next());
        one.and_then(|one| HeaderValue::from_bytes(one).ok())
            .unwrap_or_else(|| self.0.clone())
    }

    /// Whether a `101` agrees to one of them, and no other: then that one.
    pub(crate) fn agreed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let answer = single(headers, header::UPGRADE)?;
        let mut answers = items(answer);
        let (only, None) = (answers.next()?, answers.next()) else {
            return None;
        };
        let known = items(&self.0).any(|asked| asked.eq_ignore_ascii_case(only));
        (known && lists(headers, header::CONNECTION, b"upgrade")).then(|| answer.clone())
    }
}

/// Makes the head of a `101` fit for the client, once hop-by-hop fields are gone; it has no body, and so no length.
pub(crate) fn switch(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.remove(header::CONTENT_LENGTH);
    write(headers, protocol);
}

fn write(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocols);
}

/// Gives an extended `CONNECT` for `protocol` the form of an upgrade in HTTP/1.1; false when it cannot have one.
#[cfg_attr(
    not(feature = "http2"),
    expect(dead_code, reason = "only HTTP/2 has extended `CONNECT`")
)]
pub(crate) fn from_connect(method: &mut Method, headers: &mut HeaderMap, protocol: &str) -> bool {
    let Ok(value) = HeaderValue::from_str(protocol) else {
        return false;
    };
    if !is_protocol(protocol.as_bytes()) || is_http(protocol.as_bytes()) {
        return false;
    }
    *method = Method::GET;
    write(headers, value);
    true
}

/// Gives a `101` the form of an answer to an extended `CONNECT`.
#[cfg_attr(
    not(feature = "http2"),
    expect(dead_code, reason = "only HTTP/2 has extended `CONNECT`")
)]
pub(crate) fn to_connect(status: &mut StatusCode, headers: &mut HeaderMap) {
    *status = StatusCode::OK;
    headers.remove(header::CONNECTION);
    headers.remove(header::UPGRADE);
}

/// Gives the answer to an extended `CONNECT` the form of a `101`.
pub(crate) fn from_connected(head: &mut response::Parts, protocol: HeaderValue) {
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    switch(&mut head.headers, protocol);
}

/// The value of a field that stands there once.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    Some(value)
}

/// The items of a list.
fn items(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let items = value.as_bytes().split(|&byte| byte == b',');
    items.map(<[u8]>::trim_ascii)
}

fn lists(headers: &HeaderMap, name: HeaderName, item: &[u8]) -> bool {
    let values = headers.get_all(name).iter();
    values
        .flat_map(items)
        .any(|one| one.eq_ignore_ascii_case(item))
}

/// A token, and perhaps a slash and another one.
fn is_protocol(item: &[u8]) -> bool {
    let token = |part: &[u8]| {
        let byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        !part.is_empty() && part.iter().all(byte)
    };
    let mut parts = item.splitn(2, |&byte| byte == b'/');
    parts.next().is_some_and(token) && parts.next().is_none_or(token)
}

fn is_http(item: &[u8]) -> bool {
    let name = item.split(|&byte| byte == b'/').next().unwrap_or_default();
    [&b"http"[..], b"https", b"h2c", b"h2", b"h3", b"tls"]
        .iter()
        .any(|http| name.eq_ignore_ascii_case(http))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, version: Version, fields: &[(&str, &str)]) -> Request<()> {
        let mut builder = http::Request::builder().method(method).version(version);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn asked(fields: &[(&str, &str)]) -> Option<Asked> {
        Asked::by(&request("GET", Version::HTTP_11, fields))
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        std::mem::take(request("GET", Version::HTTP_11, fields).headers_mut())
    }

    #[test]
    fn an_upgrade_is_passed_on_in_whatever_case_it_is_written() {
        for fields in [
            [("connection", "Upgrade"), ("upgrade", "websocket")],
            [
                ("connection", "keep-alive, UPGRADE"),
                ("upgrade", "WebSocket"),
            ],
            [("connection", "upgrade"), ("upgrade", "foo/2, websocket")],
        ] {
            let mut sent = HeaderMap::new();
            asked(&fields).expect("an upgrade").ask(&mut sent);
            assert_eq!(sent["connection"], "upgrade");
            assert_eq!(sent["upgrade"], fields[1].1);
        }
    }

    #[test]
    fn what_is_no_well_formed_upgrade_is_an_ordinary_request() {
        const UPGRADE: (&str, &str) = ("connection", "upgrade");
        for fields in [
            &[UPGRADE][..],
            &[("upgrade", "websocket")],
            &[("connection", "close"), ("upgrade", "websocket")],
            &[UPGRADE, ("upgrade", "")],
            &[UPGRADE, ("upgrade", "web socket")],
            &[UPGRADE, ("upgrade", "websocket,")],
            &[UPGRADE, ("upgrade", "foo/")],
            &[UPGRADE, ("upgrade", "a/b/c")],
            &[UPGRADE, ("upgrade", "websocket"), ("upgrade", "foo")],
        ] {
            assert_eq!(asked(fields), None, "{fields:?}");
        }
        let whole = [UPGRADE, ("upgrade", "websocket")];
        for (method, version) in [("CONNECT", Version::HTTP_11), ("GET", Version::HTTP_10)] {
            assert_eq!(Asked::by(&request(method, version, &whole)), None);
        }
    }

    #[test]
    fn any_method_may_ask() {
        let fields = [("connection", "Upgrade"), ("upgrade", "tcp")];
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "X"] {
            let asked = Asked::by(&request(method, Version::HTTP_11, &fields));
            assert!(asked.is_some(), "{method}");
        }
    }

    #[test]
    fn http_behind_a_tunnel_is_never_asked_for() {
        for protocol in [
            "h2c",
            "H2C",
            "h2c, websocket",
            "websocket,h2c",
            "HTTP/2.0",
            "TLS/1.3",
            "h2",
        ] {
            assert_eq!(
                asked(&[("connection", "upgrade"), ("upgrade", protocol)]),
                None
            );
        }
        let settings = [
            ("connection", "upgrade, http2-settings"),
            ("upgrade", "websocket"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ];
        assert_eq!(asked(&settings), None);
    }

    #[test]
    fn only_an_answer_with_one_of_the_protocols_agrees() {
        let asked = asked(&[("connection", "upgrade"), ("upgrade", "foo/2, websocket")]).unwrap();
        for protocol in ["websocket", "WebSocket", "foo/2"] {
            let answer = headers(&[("connection", "Upgrade"), ("upgrade", protocol)]);
            assert_eq!(asked.agreed(&answer).unwrap(), protocol);
        }
        for answer in [
            &[("connection", "upgrade")][..],
            &[("upgrade", "websocket")],
            &[("connection", "upgrade"), ("upgrade", "foo")],
            &[("connection", "upgrade"), ("upgrade", "foo/2, websocket")],
            &[
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("upgrade", "foo/2"),
            ],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
        ] {
            assert_eq!(asked.agreed(&headers(answer)), None, "{answer:?}");
        }
    }

    #[test]
    fn an_extended_connect_becomes_an_upgrade_and_its_answer_loses_what_is_not_http2() {
        let (mut method, mut fields) = (Method::CONNECT, HeaderMap::new());
        assert!(from_connect(&mut method, &mut fields, "websocket"));
        let mut parts = request("GET", Version::HTTP_2, &[]);
        *parts.headers_mut() = fields;
        assert_eq!(method, Method::GET);
        assert!(Asked::by(&parts).is_some());
        for protocol in ["", "h2c", "a b"] {
            assert!(!from_connect(
                &mut Method::CONNECT.clone(),
                &mut HeaderMap::new(),
                protocol
            ));
        }
        let mut answer = headers(&[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("a", "b"),
        ]);
        let mut status = StatusCode::SWITCHING_PROTOCOLS;
        to_connect(&mut status, &mut answer);
        assert_eq!((status, answer.len()), (StatusCode::OK, 1));
    }

    #[test]
    fn a_101_has_no_length() {
        let mut fields = headers(&[("content-length", "0")]);
        switch(&mut fields, HeaderValue::from_static("websocket"));
        assert_eq!(fields.len(), 2);
    }
}
