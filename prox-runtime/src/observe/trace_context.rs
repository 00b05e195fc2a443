//! The trace that a request belongs to, as W3C's Trace Context has it.

/// The ids of a `traceparent` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext(Box<str>);

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

impl TraceContext {
    /// Reads the value of the one `traceparent` field of a request. What is malformed is nothing, as the specification asks.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let known = text.get(..LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_whole = parts.next().is_none()
            && is_hex(version, 2)
            && is_hex(trace, 32)
            && is_hex(span, 16)
            && is_hex(flags, 2);
        // A later version may have more behind a hyphen.
        let rest = text.get(LENGTH..)?;
        let ends = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        let is_known = version != "ff" && !is_zero(trace) && !is_zero(span);
        (is_whole && ends && is_known).then(|| Self(known.into()))
    }

    /// 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// 16 hexadecimal digits.
    pub(crate) fn span_id(&self) -> &str {
        self.0.get(36..52).unwrap_or_default()
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(is_digit)
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn the_ids_of_a_good_field_are_read() {
        for text in [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-00"),
            format!("cc-{TRACE}-{SPAN}-00-more"),
        ] {
            let context = TraceContext::read(text.as_bytes()).expect(&text);
            assert_eq!((context.trace_id(), context.span_id()), (TRACE, SPAN));
        }
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
        ] {
            assert_eq!(TraceContext::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(TraceContext::read(b"\xff"), None);
    }
}
