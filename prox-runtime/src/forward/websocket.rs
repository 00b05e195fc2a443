//! The two fields of a WebSocket handshake that HTTP/2 has no use for (RFC 6455, 4; RFC 8441, 5).

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::coding::base64;

/// What every server appends to the key before it hashes it (RFC 6455, 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const KEY: HeaderName = header::SEC_WEBSOCKET_KEY;
const ACCEPT: HeaderName = header::SEC_WEBSOCKET_ACCEPT;

/// The answer that a server owes to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accept(String);

impl Accept {
    /// Puts a key in the place of whatever the client sent, which means nothing in HTTP/2.
    pub(crate) fn challenge(headers: &mut HeaderMap, random: [u8; 16]) -> Self {
        let key = base64(&random);
        let accept = Self::of(key.as_bytes());
        if let Ok(key) = HeaderValue::try_from(key) {
            headers.insert(KEY, key);
        }
        accept
    }

    pub(crate) fn of(key: &[u8]) -> Self {
        let mut sha = sha1_smol::Sha1::from(key);
        sha.update(MAGIC);
        Self(base64(&sha.digest().bytes()))
    }

    /// Gives the answer.
    pub(crate) fn answer(self, headers: &mut HeaderMap) {
        if let Ok(answer) = HeaderValue::try_from(self.0) {
            headers.insert(ACCEPT, answer);
        }
    }

    /// Takes the answer out; whether it was the right one.
    pub(crate) fn check(&self, headers: &mut HeaderMap) -> bool {
        let answer = headers.remove(ACCEPT);
        answer.is_some_and(|answer| answer.as_bytes() == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_rfc() {
        let accept = Accept::of(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept.0, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_wrong_or_missing_answer_is_found_and_a_right_one_taken_out() {
        let mut headers = HeaderMap::new();
        headers.insert(KEY, HeaderValue::from_static("of the client"));
        let accept = Accept::challenge(&mut headers, *b"0123456789abcdef");
        assert_eq!(headers[KEY], "MDEyMzQ1Njc4OWFiY2RlZg==");
        let mut answer = HeaderMap::new();
        assert!(!accept.check(&mut answer));
        answer.insert(
            ACCEPT,
            HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        );
        assert!(!accept.check(&mut answer));
        answer.insert(ACCEPT, HeaderValue::try_from(accept.0.as_str()).unwrap());
        assert!(accept.check(&mut answer));
        assert!(answer.is_empty());
    }
}
