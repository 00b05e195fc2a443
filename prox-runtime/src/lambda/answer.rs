//! Responses in the forms of AWS Lambda.

use std::str;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_ENCODING, SET_COOKIE, TRANSFER_ENCODING},
    response::Parts,
};
use lambda_runtime::MetadataPrelude;
use serde_json::{Map, Value, json};

use super::{MOST, event::Kind, too_long};
use crate::error::Failure;

/// From this length on it is worth to look how long a body becomes in JSON, where a byte may take six.
const LARGE: usize = MOST / 6 - 64 * 1024;

/// A whole response.
///
/// # Errors
///
/// When it is longer than Lambda takes.
pub(super) fn whole(kind: Kind, parts: &Parts, body: &[u8]) -> Result<Value, Failure> {
    // A coded body may be UTF-8 by chance.
    let plain = !parts.headers.contains_key(CONTENT_ENCODING);
    let text = str::from_utf8(body).ok().filter(|_| plain);
    let status = parts.status;
    let mut answer = json!({
        "statusCode": status.as_u16(),
        "isBase64Encoded": text.is_none(),
        "body": text.map_or_else(|| STANDARD.encode(body), str::to_owned),
    });
    match kind {
        Kind::Rest | Kind::Balancer { multi: true } => {
            answer["multiValueHeaders"] = Value::Object(lists(&parts.headers));
        }
        Kind::Http => {
            answer["headers"] = Value::Object(joined(&parts.headers));
            answer["cookies"] = cookies(&parts.headers).into();
        }
        Kind::Balancer { multi: false } => {
            let mut fields = joined(&parts.headers);
            // A name is there once, but each of its spellings is another name for JSON and the same for a client.
            let cookies = cookies(&parts.headers);
            fields.extend(spellings().zip(cookies.into_iter().map(Value::from)));
            answer["headers"] = Value::Object(fields);
        }
    }
    if let Kind::Balancer { .. } = kind {
        let reason = status.canonical_reason().unwrap_or("Unknown");
        answer["statusDescription"] = format!("{} {reason}", status.as_u16()).into();
    }
    if body.len() > LARGE && answer.to_string().len() > MOST {
        return Err(too_long());
    }
    Ok(answer)
}

/// What goes before a response that is streamed.
pub(super) fn prelude(parts: &Parts) -> MetadataPrelude {
    let mut headers = HeaderMap::new();
    for name in names(&parts.headers).filter(|name| **name != SET_COOKIE) {
        if let Ok(value) = HeaderValue::from_str(&values(&parts.headers, name).join(", ")) {
            headers.insert(name.clone(), value);
        }
    }
    MetadataPrelude {
        status_code: parts.status,
        headers,
        cookies: cookies(&parts.headers),
    }
}

/// The names of the fields that are about the response and not about a connection.
fn names(headers: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    headers
        .keys()
        .filter(|name| **name != CONNECTION && **name != TRANSFER_ENCODING)
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    values(headers, &SET_COOKIE)
}

fn lists(headers: &HeaderMap) -> Map<String, Value> {
    names(headers)
        .map(|name| (name.to_string(), values(headers, name).into()))
        .collect()
}

/// One value for each name but `Set-Cookie`.
fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let names = names(headers).filter(|name| **name != SET_COOKIE);
    names
        .map(|name| (name.to_string(), values(headers, name).join(", ").into()))
        .collect()
}

/// The spellings of `set-cookie`: a letter is in upper case where the number of the spelling has a bit.
fn spellings() -> impl Iterator<Item = String> {
    const NAME: &str = "set-cookie";
    (0_u32..1 << (NAME.len() - 1)).map(|number| {
        let mut place = 0;
        let letters = NAME.chars().map(|letter| {
            if !letter.is_ascii_alphabetic() {
                return letter;
            }
            let upper = number >> place & 1 == 1;
            place += 1;
            if upper {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        });
        letters.collect()
    })
}
