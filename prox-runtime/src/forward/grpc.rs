//! The deadline of a gRPC request: as the caller says it, and as it is passed on.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that says how long a caller waits.
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the caller waits, as `grpc-timeout` says; nothing when it says nothing, or something else.
///
/// At most eight digits and a unit, as the protocol has it.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(TIMEOUT)?.as_bytes().split_last()?;
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

/// Says how long the caller waits from now on. It is rounded down, so that an upstream never takes longer than that.
pub(crate) fn set_timeout(headers: &mut HeaderMap, left: Duration) {
    headers.insert(TIMEOUT, written(left));
}

/// In the smallest unit in which eight digits are enough.
fn written(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let seconds = u128::from(left.as_secs());
    let counts = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (seconds, 'S'),
        (seconds / 60, 'M'),
    ];
    let fitting = counts.into_iter().find(|(count, _)| *count <= MOST);
    let (count, unit) = fitting.unwrap_or((MOST.min(seconds / 3600), 'H'));
    HeaderValue::try_from(format!("{count}{unit}")).expect("digits and a letter make a value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        let value = HeaderValue::from_static(text);
        timeout(&HeaderMap::from_iter([(TIMEOUT, value)]))
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
    fn what_is_left_is_written_in_eight_digits_and_never_longer_than_it_is() {
        for (left, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_millis(5), "5000000n"),
            (Duration::new(3, 123_456_789), "3123456u"),
            (Duration::from_mins(10), "600000m"),
            (Duration::from_hours(48), "172800S"),
            (Duration::from_hours(100_000), "6000000M"),
            (Duration::MAX, "99999999H"),
        ] {
            let mut headers = HeaderMap::new();
            set_timeout(&mut headers, left);
            assert_eq!(headers[TIMEOUT], text);
            let read = timeout(&headers).unwrap();
            let lost = left.saturating_sub(read);
            assert!(read <= left && (lost <= left / 1000 || left == Duration::MAX));
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
