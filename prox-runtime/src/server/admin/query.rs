//! The query of an admin request.

use std::borrow::Cow;

use crate::coding::unescaped;

/// The parameters of a query, each of them once, and of these names only.
///
/// # Errors
///
/// What is wrong with the query.
pub(super) fn read<'q, const COUNT: usize>(
    query: &'q str,
    names: [&str; COUNT],
) -> Result<[Option<Cow<'q, str>>; COUNT], String> {
    let mut values = [const { None }; COUNT];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(place) = names.iter().position(|known| *known == name) else {
            let known = match names.as_slice() {
                [] => String::from("it takes none"),
                names => format!("expected {}", names.join(", ")),
            };
            return Err(format!("unknown parameter `{name}`: {known}"));
        };
        let value = decoded(value).ok_or_else(|| format!("`{name}` is malformed"))?;
        if values[place].replace(value).is_some() {
            return Err(format!("duplicate parameter `{name}`"));
        }
    }
    Ok(values)
}

/// A value of `application/x-www-form-urlencoded`, if it is UTF-8.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains(['%', '+']) {
        return Some(value.into());
    }
    unescaped(&value.replace('+', " ")).map(Cow::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_has_known_parameters_once() {
        let read = |query| read(query, ["backend", "weight"]);
        assert_eq!(
            read("weight=2&backend=a+b%2Fc%C3%A4").unwrap(),
            [Some("a b/c\u{e4}".into()), Some("2".into())]
        );
        assert_eq!(read("").unwrap(), [None, None]);
        assert_eq!(read("&backend&").unwrap(), [Some("".into()), None]);
        for (query, wanted) in [
            (
                "bakend=a",
                "unknown parameter `bakend`: expected backend, weight",
            ),
            ("weight=1&weight=1", "duplicate parameter `weight`"),
            ("backend=%", "`backend` is malformed"),
            ("backend=%2", "`backend` is malformed"),
            ("backend=%zz", "`backend` is malformed"),
            ("backend=%ff", "`backend` is malformed"),
        ] {
            assert_eq!(read(query).unwrap_err(), wanted);
        }
        assert_eq!(
            super::read("a", []).unwrap_err(),
            "unknown parameter `a`: it takes none"
        );
    }

    fn digit(number: u8) -> char {
        char::from_digit(number.into(), 16).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_back(text in ".*", plain in "[ -~]{0,40}") {
            let mut coded = String::new();
            for byte in text.bytes() {
                coded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
            prop_assert_eq!(decoded(&coded).unwrap(), text);
            // Whatever it is, it does not panic.
            let _ = read(&plain, ["a"]);
        }
    }
}
