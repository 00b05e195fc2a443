//! The trace that a request belongs to, as W3C's Trace Context has it.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field with the ids.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The ids of a request in its trace: the `traceparent` of [W3C's Trace Context](https://www.w3.org/TR/trace-context/).
///
/// [`RequestExt::trace_context`](crate::RequestExt::trace_context) returns it. With [traces](https://docs.rs/prox/latest/prox/docs/tracing/)
/// it is the context of the span of the request on this gateway, and it is among the extensions of the request, too. A handler that calls
/// another service sends it as `traceparent`, by [`header`](Self::header). Without traces it is what the client has sent.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{IntoResponse, Request, RequestExt};
///
/// async fn trace(req: Request) -> impl IntoResponse {
///     match req.trace_context() {
///         Some(context) => format!("trace {}", context.trace_id()),
///         None => "no trace".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext([u8; LENGTH]);

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// The flags that version 00 knows: `sampled`, and `random` for ids that are random.
const KNOWN: u8 = 0b11;

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 0b01;

impl TraceContext {
    /// Reads the value of the one `traceparent` field of a request. What is malformed is nothing, as the specification asks. A higher
    /// version is read as 00.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let mut own = [0; LENGTH];
        own.copy_from_slice(known);
        let context = Self(own);
        let [version, trace, span, flags] = [0..2, 3..35, 36..52, 53..55].map(|at| &known[at]);
        let hyphens = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let digits = [version, trace, span, flags].into_iter().all(is_hex);
        // A later version may have more behind a hyphen.
        let ends = rest.is_empty() || (version != b"00" && rest.starts_with(b"-"));
        let is_known = version != b"ff" && !is_zero(trace) && !is_zero(span);
        (hyphens && digits && ends && is_known).then(|| match version {
            b"00" => context,
            _ => context.with_flags(context.flags() & KNOWN).as_version_00(),
        })
    }

    /// The context of a request that has one `traceparent` field, and a good one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        values.next().is_none().then_some(())?;
        Self::read(value.as_bytes())
    }

    fn as_version_00(mut self) -> Self {
        self.0[..2].copy_from_slice(b"00");
        self
    }

    fn flags(&self) -> u8 {
        digit(self.0[53]) << 4 | digit(self.0[54])
    }

    fn with_flags(mut self, flags: u8) -> Self {
        self.0[53..].copy_from_slice(&hex::<1, 2>([flags]));
        self
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.part(3, 35)
    }

    /// The span of the request on this gateway, or with the client if the gateway does not trace: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        self.part(36, 52)
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags() & SAMPLED != 0
    }

    /// Whether a `traceparent` field has this value.
    #[cfg(feature = "otel")]
    pub(crate) fn is(&self, value: &HeaderValue) -> bool {
        value.as_bytes() == self.0
    }

    /// The value of a `traceparent` field.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(context: prox::TraceContext, outgoing: &mut prox::Parts) {
    /// outgoing.headers.insert("traceparent", context.header());
    /// # }
    /// ```
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits and hyphens are visible ASCII")
    }

    fn part(&self, from: usize, to: usize) -> &str {
        let part = self.0.get(from..to).unwrap_or_default();
        // It is ASCII: it was checked when it was read.
        std::str::from_utf8(part).unwrap_or_default()
    }
}

#[cfg(feature = "otel")]
impl TraceContext {
    /// A trace that begins here.
    pub(crate) fn new(trace: u128, span: u64, sampled: bool) -> Self {
        let mut own = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // An id of zeros is not an id.
        own[3..35].copy_from_slice(&hex::<16, 32>(trace.max(1).to_be_bytes()));
        own[36..52].copy_from_slice(&hex::<8, 16>(span.max(1).to_be_bytes()));
        own[54] = if sampled { b'1' } else { b'0' };
        Self(own)
    }

    /// Another span of the same trace.
    pub(crate) fn with_span(mut self, span: u64) -> Self {
        self.0[36..52].copy_from_slice(&hex::<8, 16>(span.max(1).to_be_bytes()));
        self
    }

    /// The same, recorded or not.
    pub(crate) fn with_sampled(self, sampled: bool) -> Self {
        let others = self.flags() & KNOWN & !SAMPLED;
        self.with_flags(others | if sampled { SAMPLED } else { 0 })
    }

    /// The lower half of the id of the trace.
    pub(crate) fn lower_half(&self) -> u64 {
        let digits = self.0[19..35].iter();
        digits.fold(0, |number, &byte| number << 4 | u64::from(digit(byte)))
    }
}

/// As a `traceparent` field has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part(0, LENGTH))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// The value of a digit that [`is_hex`].
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => byte.wrapping_sub(b'a').wrapping_add(10) & 0xf,
    }
}

fn hex<const BYTES: usize, const DIGITS: usize>(bytes: [u8; BYTES]) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(byte)];
    }
    digits
}

/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    const ALL: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [ALL[byte >> 4], ALL[byte & 0xf]];
        byte += 1;
    }
    pairs
};

fn is_hex(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    text.iter().all(is_digit)
}

fn is_zero(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn the_ids_of_a_good_field_are_read() {
        for (text, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-fe"), false),
            (format!("cc-{TRACE}-{SPAN}-00"), false),
            (format!("cc-{TRACE}-{SPAN}-09-more"), true),
        ] {
            let context = TraceContext::read(text.as_bytes()).expect(&text);
            assert_eq!((context.trace_id(), context.span_id()), (TRACE, SPAN));
            assert_eq!(context.is_sampled(), sampled, "{text}");
        }
    }

    #[test]
    fn a_higher_version_is_written_as_00_with_the_flags_that_are_known() {
        let text = format!("cc-{TRACE}-{SPAN}-ff-more");
        let context = TraceContext::read(text.as_bytes()).unwrap();
        assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-03"));
        assert_eq!(
            context.header(),
            format!("00-{TRACE}-{SPAN}-03")
                .parse::<HeaderValue>()
                .unwrap()
        );
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("0-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0é"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(TraceContext::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(TraceContext::read(b"\xff"), None);
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        let value: HeaderValue = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
        headers.append(TRACEPARENT, value.clone());
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(TraceContext::of(&headers), None);
    }

    #[cfg(feature = "otel")]
    #[test]
    fn what_is_made_here_can_be_read() {
        let context = TraceContext::new(0x4bf9_2f35, 0xb7, true);
        assert_eq!(
            context.to_string(),
            "00-0000000000000000000000004bf92f35-00000000000000b7-01"
        );
        assert_eq!(
            TraceContext::read(context.to_string().as_bytes()),
            Some(context)
        );
        assert_eq!(context.lower_half(), 0x4bf9_2f35);
        let other = context.with_span(0).with_sampled(false);
        assert_eq!(
            other.to_string(),
            "00-0000000000000000000000004bf92f35-0000000000000001-00"
        );
    }
}
