//! Events of AWS Lambda as requests.

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING},
};
use serde_json::{Map, Value};

use crate::{body::Body, client::Client, coding, handler::Request};

/// Who has sent an event, by which its answer has a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A REST API: payload 1.0.
    Rest,
    /// An HTTP API or a function URL: payload 2.0.
    Http,
    /// An Application Load Balancer. `multi` says that its target group has multi-value headers.
    Balancer { multi: bool },
}

/// What is wrong with an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Reads an event.
///
/// # Errors
///
/// When it is not an event of HTTP, or is malformed.
pub(super) fn read(event: &Value) -> Result<(Kind, Request), Unreadable> {
    let context = &event["requestContext"];
    let kind = if context["http"].is_object() {
        Kind::Http
    } else if context["elb"].is_object() {
        let multi = event["multiValueHeaders"].is_object();
        Kind::Balancer { multi }
    } else if context.is_object() && event["httpMethod"].is_string() {
        Kind::Rest
    } else {
        return Err(Unreadable(String::from(
            "expected an event of API Gateway, of a function URL or of an Application Load Balancer, found another event",
        )));
    };
    let mut headers = headers(event)?;
    let (method, path, source) = match kind {
        Kind::Http => (
            &context["http"]["method"],
            without_stage(text(&event["rawPath"]), context),
            &context["http"]["sourceIp"],
        ),
        _ => (
            &event["httpMethod"],
            text(&event["path"]),
            &context["identity"]["sourceIp"],
        ),
    };
    let method =
        Method::from_bytes(text(method).as_bytes()).map_err(|_| malformed("the method"))?;
    let mut target = in_path(path);
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    let query = query(kind, event);
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query);
    }
    let uri: Uri = target.parse().map_err(|_| malformed("the path"))?;

    let peer = match kind {
        Kind::Balancer { .. } => last_of_forwarded_for(&headers),
        _ => text(source).parse().ok(),
    };
    remove_from_forwarded_for(&mut headers, peer);
    let mut client = Client::new(peer.map(|ip: IpAddr| (ip, 0).into()));
    let is_secure = match kind {
        Kind::Balancer { .. } => headers
            .get("x-forwarded-proto")
            .is_some_and(|scheme| scheme == "https"),
        _ => true,
    };
    if is_secure {
        client = client.over_tls();
    }
    if !headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(text(&context["domainName"]))
        && !host.is_empty()
    {
        headers.insert(HOST, host);
    }
    let body = body(event)?;
    let had = headers
        .remove(TRANSFER_ENCODING)
        .or(headers.remove(CONTENT_LENGTH));
    if had.is_some() || !body.is_empty() {
        headers.insert(CONTENT_LENGTH, body.len().into());
    }
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Arc::new(client));
    Ok((kind, request))
}

fn malformed(what: &str) -> Unreadable {
    Unreadable(format!("{what} of the event is malformed"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A path without the stage, which AWS puts before it where the host is that of the API itself.
fn without_stage<'e>(path: &'e str, context: &Value) -> &'e str {
    let stage = text(&context["stage"]);
    let is_own_host = !stage.is_empty() && context["domainPrefix"] == context["apiId"];
    if !is_own_host || stage == "$default" {
        return path;
    }
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path)
}

/// The pairs of an object whose values are texts, or lists of them.
fn pairs(object: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    object.iter().flat_map(|(name, value)| {
        let one = value.as_str();
        let many = value.as_array().into_iter().flatten();
        let all = one.into_iter().chain(many.filter_map(Value::as_str));
        all.map(move |value| (&**name, value))
    })
}

/// The object of this name with several values for a name, else that with one.
fn several<'e>(event: &'e Value, many: &str, one: &str) -> Option<&'e Map<String, Value>> {
    event[many].as_object().or_else(|| event[one].as_object())
}

fn headers(event: &Value) -> Result<HeaderMap, Unreadable> {
    let mut headers = HeaderMap::new();
    let fields = several(event, "multiValueHeaders", "headers");
    for (name, value) in fields.into_iter().flat_map(pairs) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed("a header"))?;
        let value = HeaderValue::from_str(value)
            .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
            .map_err(|_| malformed("a header"))?;
        headers.append(name, value);
    }
    let cookies = event["cookies"].as_array().into_iter().flatten();
    let cookies: Vec<&str> = cookies.filter_map(Value::as_str).collect();
    if !cookies.is_empty() {
        let joined = HeaderValue::from_bytes(cookies.join("; ").as_bytes());
        headers.insert(COOKIE, joined.map_err(|_| malformed("a cookie"))?);
    }
    Ok(headers)
}

/// The query as a client has written it, as far as AWS tells.
fn query(kind: Kind, event: &Value) -> String {
    if kind == Kind::Http {
        return in_query(text(&event["rawQueryString"]));
    }
    let several = several(
        event,
        "multiValueQueryStringParameters",
        "queryStringParameters",
    );
    let mut query = String::new();
    for (name, value) in several.into_iter().flat_map(pairs) {
        if !query.is_empty() {
            query.push('&');
        }
        // A load balancer passes on what it got; a REST API has decoded it.
        let (name, value) = if kind == Kind::Rest {
            (coding::form(name), coding::form(value))
        } else {
            (in_query(name), in_query(value))
        };
        query.push_str(&name);
        query.push('=');
        query.push_str(&value);
    }
    query
}

/// A path, with what cannot be in one percent-encoded. A percent sign stays if two hexadecimal digits follow it.
fn in_path(text: &str) -> String {
    encoded(text, b"/")
}

fn in_query(text: &str) -> String {
    encoded(text, b"/?")
}

/// Encodes all but `pchar` (RFC 3986, 3.3) and these.
fn encoded(text: &str, also: &[u8]) -> String {
    let bytes = text.as_bytes();
    let mut coded = String::with_capacity(text.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let digits = bytes.get(at + 1..at + 3);
        let stays = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@".contains(&byte)
            || also.contains(&byte)
            || byte == b'%'
                && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if stays {
            coded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(coded, "%{byte:02X}");
        }
    }
    coded
}

/// The address that a load balancer has added: that of its peer.
fn last_of_forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse().ok()
}

/// Removes the address of the peer, which AWS has added. What is before it is what the peer says.
fn remove_from_forwarded_for(headers: &mut HeaderMap, peer: Option<IpAddr>) {
    if peer.is_none() || last_of_forwarded_for(headers) != peer {
        return;
    }
    let mut fields: Vec<HeaderValue> = headers.get_all(FORWARDED_FOR).iter().cloned().collect();
    headers.remove(FORWARDED_FOR);
    if let Some(last) = fields.pop() {
        let before = last.to_str().ok().and_then(|last| last.rsplit_once(','));
        let before = before.and_then(|(before, _)| HeaderValue::from_str(before.trim()).ok());
        fields.extend(before);
    }
    for field in fields {
        headers.append(FORWARDED_FOR, field);
    }
}

fn body(event: &Value) -> Result<Vec<u8>, Unreadable> {
    let body = text(&event["body"]);
    if event["isBase64Encoded"] == true {
        STANDARD.decode(body).map_err(|_| malformed("the body"))
    } else {
        Ok(body.as_bytes().to_vec())
    }
}
