//! Literals with a unit: `250ms`, `16KiB`.

use proc_macro2::Literal;

/// What a literal with a unit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis(u64),
    Bytes(u64),
}

type Make = fn(u64) -> Unit;

/// The units, and how many milliseconds or bytes they are; those that end like another come first.
const UNITS: [(&str, Make, u64); 7] = [
    ("KiB", Unit::Bytes, 1 << 10),
    ("MiB", Unit::Bytes, 1 << 20),
    ("GiB", Unit::Bytes, 1 << 30),
    ("ms", Unit::Millis, 1),
    ("s", Unit::Millis, 1_000),
    ("m", Unit::Millis, 60_000),
    ("h", Unit::Millis, 3_600_000),
];

/// What Rust itself may have behind a number.
const SUFFIXES: [&str; 14] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// The value of a literal with a unit, `None` if it has none; an error says why its value is no value.
pub(crate) fn unit(literal: &Literal) -> Option<Result<Unit, String>> {
    let text = literal.to_string();
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let known = UNITS
        .iter()
        .find_map(|unit| text.strip_suffix(unit.0).map(|number| (number, unit)));
    let Some((number, (_, make, factor))) = known else {
        return unknown(&text).map(Err);
    };
    if !number
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
    {
        return None;
    }
    let digits: String = number.chars().filter(|c| *c != '_').collect();
    let whole = match make(0) {
        Unit::Millis(_) => "milliseconds",
        Unit::Bytes(_) => "bytes",
    };
    Some(
        scaled(&digits, *factor)
            .map(make)
            .map_err(|problem| format!("`{text}` {problem} {whole}")),
    )
}

/// Says that what stands behind a decimal number is no unit, unless it is something of Rust.
fn unknown(text: &str) -> Option<String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, suffix) = text.split_at(end);
    let radix = number == "0" && suffix.starts_with(['x', 'o', 'b']);
    let exponent = suffix.starts_with(['e', 'E']) && suffix.contains(|c: char| c.is_ascii_digit());
    if radix || exponent || SUFFIXES.contains(&suffix) {
        return None;
    }
    let meant = match suffix.to_ascii_lowercase().as_str() {
        "msec" | "msecs" | "millis" => "ms",
        "sec" | "secs" => "s",
        "min" | "mins" => "m",
        "hr" | "hrs" => "h",
        "k" | "kb" | "kib" => "KiB",
        "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => return Some(format!("`{suffix}` is not a unit")),
    };
    Some(format!("`{suffix}` is not a unit; write `{number}{meant}`"))
}

/// The number times the factor, if that is a whole number.
fn scaled(digits: &str, factor: u64) -> Result<u64, &'static str> {
    const TOO_BIG: &str = "is too many";
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: u64 = whole.parse().map_err(|_| TOO_BIG)?;
    let whole = whole.checked_mul(factor).ok_or(TOO_BIG)?;
    if fraction.is_empty() {
        return Ok(whole);
    }
    let places = u32::try_from(fraction.len()).map_err(|_| TOO_BIG)?;
    let scale = 10_u64
        .checked_pow(places)
        .ok_or("is not a whole number of")?;
    let part: u64 = fraction.parse().map_err(|_| TOO_BIG)?;
    let part = part.checked_mul(factor).ok_or(TOO_BIG)?;
    if part % scale != 0 {
        return Err("is not a whole number of");
    }
    whole.checked_add(part / scale).ok_or(TOO_BIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Result<Unit, String>> {
        unit(&text.parse().unwrap())
    }

    #[test]
    fn units_are_exact() {
        let cases = [
            ("250ms", Unit::Millis(250)),
            ("1.5s", Unit::Millis(1_500)),
            ("2m", Unit::Millis(120_000)),
            ("1h", Unit::Millis(3_600_000)),
            ("1_000ms", Unit::Millis(1_000)),
            ("16KiB", Unit::Bytes(16_384)),
            ("1.5MiB", Unit::Bytes(1_572_864)),
            ("2GiB", Unit::Bytes(2 << 30)),
        ];
        for (text, unit) in cases {
            assert_eq!(value(text), Some(Ok(unit)), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_is_left_alone() {
        for text in ["5", "5u32", "1.5f64", "0x5s", "\"5s\"", "'s'", "1e3"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_unit_is_told_the_nearest() {
        for (text, told) in [
            ("5sec", "`sec` is not a unit; write `5s`"),
            ("16KB", "`KB` is not a unit; write `16KiB`"),
            ("1d", "`d` is not a unit"),
        ] {
            assert_eq!(value(text), Some(Err(String::from(told))), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        assert_eq!(
            value("0.5ms"),
            Some(Err(String::from(
                "`0.5ms` is not a whole number of milliseconds"
            )))
        );
        assert!(value("99999999999999999999h").unwrap().is_err());
        assert!(value("0.00000000000000000000001s").unwrap().is_err());
    }
}
