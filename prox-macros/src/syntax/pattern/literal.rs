//! The characters of a path, in the form that requests are matched in.

use crate::diag::Flaw;

/// A literal segment in the form that requests are matched in.
pub(super) fn literal(piece: &str, start: usize) -> Result<String, Flaw> {
    for (at, _) in piece.match_indices('%') {
        let digits = piece.get(at + 1..at + 3).unwrap_or_default();
        let place = start + at..start + piece.ceil_char_boundary(at + 3);
        let Some(byte) = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == 2 && !digits.starts_with('+'))
        else {
            return Err(Flaw {
                at: place,
                message: String::from("`%` without two hexadecimal digits after it"),
                help: String::from("write `%25` for a percent sign"),
            });
        };
        if matches!(byte, b'\\' | 0) {
            return Err(Flaw {
                at: place,
                message: format!("a request with `%{digits}` in its path is answered with 400"),
                help: String::from("remove it"),
            });
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            return Err(Flaw {
                at: place,
                message: format!(
                    "unexpected percent-encoding: paths match `{}`",
                    char::from(byte)
                ),
                help: format!("write `{}`", char::from(byte)),
            });
        }
        if digits.bytes().any(|digit| digit.is_ascii_lowercase()) {
            return Err(Flaw {
                at: place,
                message: String::from("percent-encoding must be in upper case"),
                help: format!("write `%{}`", digits.to_ascii_uppercase()),
            });
        }
    }
    // Only routes whose targets take an encoded slash may have one, and none with dots beside it.
    if let Some(dots) = piece.split("%2F").find(|part| matches!(*part, "." | "..")) {
        let at = start + piece.find(dots).unwrap_or(0);
        return Err(Flaw {
            at: at..at + dots.len(),
            message: format!(
                "a request with `{dots}` next to an encoded slash is answered with 400"
            ),
            help: String::from("remove it"),
        });
    }
    Ok(piece.to_owned())
}

/// What cannot stand in a path, wherever it is. The mask has the same places and none of the kinds of parameters.
pub(super) fn characters(value: &str, mask: &str, flaws: &mut Vec<Flaw>) {
    if let Some(at) = mask.find(['?', '#']) {
        let what = if mask[at..].starts_with('?') {
            "query"
        } else {
            "fragment"
        };
        let path = value.get(..at).unwrap_or_default();
        let behind = value.get(at + 1..).unwrap_or_default();
        flaws.push(Flaw {
            at: at..value.len(),
            message: format!("unexpected {what} in a path"),
            help: if what == "query" {
                format!("write `\"{path}\" if {}`", guards(behind))
            } else {
                format!("write `\"{path}\"`: no client sends a fragment")
            },
        });
    }
    let bad = |c: char| !c.is_ascii_graphic() || c == '\\';
    let Some(at) = mask.find(bad) else {
        return;
    };
    let run: String = mask
        .get(at..)
        .unwrap_or_default()
        .chars()
        .take_while(|c| bad(*c))
        .collect();
    let what = match run.chars().next() {
        Some(' ') => "a space",
        Some('\\') => "a backslash",
        Some(c) if c.is_ascii() => "a control character",
        _ => "a character that is not ASCII",
    };
    let help = if run.chars().any(is_answered) {
        String::from("remove it: such requests are answered with 400")
    } else {
        let parts = value.char_indices().map(|(at, character)| {
            let masked = mask.get(at..).unwrap_or_default().chars().next();
            if masked == Some(character) {
                encoded(character.encode_utf8(&mut [0; 4]), "")
            } else {
                character.to_string()
            }
        });
        format!("write `\"{}\"`", parts.collect::<String>())
    };
    flaws.push(Flaw {
        at: at..at + run.len(),
        message: format!("{what} is not allowed unencoded in a path"),
        help,
    });
}

/// Whether a request with the character in its path, encoded or not, is answered before it reaches a route.
pub(super) fn is_answered(character: char) -> bool {
    character == '\\' || character.is_ascii_control()
}

/// The guard that accepts this query.
fn guards(query: &str) -> String {
    let query = query.split('#').next().unwrap_or_default();
    let tests = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A placeholder stands for any value.
            if value.is_empty() || value.contains(['{', '*']) {
                format!("query(\"{name}\").exists()")
            } else {
                format!("query(\"{name}\").is(\"{value}\")")
            }
        });
    tests
        .reduce(|all, test| format!("{all}.and({test})"))
        .unwrap_or_else(|| String::from("query(\"name\").is(\"value\")"))
}

/// As it is sent: everything outside of visible ASCII is percent-encoded, and so is `also`.
pub(crate) fn encoded(value: &str, also: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'!'..=b'~' if !also.as_bytes().contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
