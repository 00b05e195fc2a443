//! Fields that several layers read and write.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

/// The fields that describe the bytes of a body.
const OF_BYTES: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// The other fields that describe a body.
const OF_CONTENT: [HeaderName; 9] = [
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::TRAILER,
];

/// Removes what describes bytes that are replaced by others of the same content.
pub(super) fn of_other_bytes(headers: &mut HeaderMap) {
    for name in &OF_BYTES {
        headers.remove(name);
    }
}

/// Removes what describes a body that is replaced by another one.
pub(super) fn of_another_body(headers: &mut HeaderMap) {
    of_other_bytes(headers);
    for name in &OF_CONTENT {
        headers.remove(name);
    }
}

/// The value of a field that a message has once.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// The elements of a field that is a list.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|byte| *byte == b',');
    elements
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Says that the response depends on this field, if that is not said yet.
pub(super) fn vary(headers: &mut HeaderMap, name: &'static str) {
    let said = |token: &[u8]| token == b"*" || token.eq_ignore_ascii_case(name.as_bytes());
    match headers.entry(header::VARY) {
        Entry::Vacant(place) => {
            place.insert(HeaderValue::from_static(name));
        }
        Entry::Occupied(mut fields) => {
            if !fields.iter().flat_map(tokens).any(said) {
                fields.append(HeaderValue::from_static(name));
            }
        }
    }
}
