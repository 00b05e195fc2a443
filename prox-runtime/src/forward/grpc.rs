//! The deadline of a gRPC request.

use std::time::Duration;

use http::HeaderMap;

/// How long the caller waits, as `grpc-timeout` says; nothing when it says nothing, or something else.
///
/// At most eight digits and a unit, as the protocol has it.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get("grpc-timeout")?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        let value = HeaderValue::from_static(text);
        timeout(&HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-timeout"),
            value,
        )]))
    }

    #[test]
    fn every_unit_is_known() {
        for (text, time) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("0S", Duration::ZERO),
        ] {
            assert_eq!(read(text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_bounds_nothing() {
        for text in [
            "",
            "S",
            "5",
            "5s",
            "-5S",
            "+5S",
            "123456789S",
            "1.5S",
            " 5S",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
