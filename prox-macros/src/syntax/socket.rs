//! Upstreams on Unix sockets: `unix:/run/app.sock`, and `unix:/run/app.sock:/base`.

use std::ops::Range;

use super::url::path_flaw;
use crate::diag::{Flaw, shown};

/// The most bytes in the path of a socket.
const MAX: usize = 107;

/// How other gateways and tools write a socket.
const ELSEWHERE: [&str; 7] = [
    "http+unix://",
    "http://unix:",
    "unix://",
    "unix//",
    "unix@",
    "uds:",
    "/",
];

/// A socket that is written in the way of another gateway, and how it is written here.
pub(super) fn elsewhere(value: &str) -> Option<Flaw> {
    let form = ELSEWHERE.iter().find(|form| value.starts_with(*form))?;
    let rest = value[form.len()..].trim_start_matches('/');
    let file = std::path::Path::new(rest.split(':').next()?);
    if !form.contains("unix") && file.extension().is_none_or(|kind| kind != "sock") {
        return None;
    }
    let rest = if rest.is_empty() {
        "run/app.sock"
    } else {
        rest
    };
    Some(told(
        0..value.len(),
        "a Unix socket is written as `unix:` and its absolute path",
        format!("write `\"unix:/{rest}\"`"),
    ))
}

/// What is wrong with what stands behind `unix:`, if anything is.
pub(super) fn flaw(place: &str) -> Option<Flaw> {
    let start = "unix:".len();
    let (path, base) = match place.split_once(':') {
        Some((path, base)) => (path, Some(base)),
        None => (place, None),
    };
    let all = start..start + path.len();
    if !path.starts_with('/') || path.ends_with('/') {
        let name = path.trim_matches('/');
        let name = if name.is_empty() { "app.sock" } else { name };
        return Some(told(
            all,
            "expected the absolute path of a Unix socket",
            format!("write `\"unix:/run/{name}\"`"),
        ));
    }
    if path.len() > MAX {
        return Some(told(
            all,
            "the path of a Unix socket is too long",
            format!("expected at most {MAX} bytes"),
        ));
    }
    let bad = |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\' | '{' | '}');
    if let Some(at) = place.find(bad) {
        let character = place.get(at..).and_then(|rest| rest.chars().next())?;
        return Some(told(
            start + at..start + at + character.len_utf8(),
            format!(
                "{} is not allowed in the path of a Unix socket here",
                shown(character)
            ),
            String::from("rename the socket"),
        ));
    }
    let base = base?;
    let start = all.end + 1;
    if !base.starts_with('/') {
        return Some(told(
            start..start + base.len(),
            "expected a base path after the second colon",
            format!("write `\"unix:{path}:/{base}\"`, or `\"unix:{path}\"`"),
        ));
    }
    path_flaw(base, start)
}

fn told(at: Range<usize>, message: impl Into<String>, help: String) -> Flaw {
    Flaw {
        at,
        message: message.into(),
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::super::url::upstream;

    #[test]
    fn a_socket_has_a_path_and_may_have_a_base() {
        for good in [
            "unix:/run/app.sock",
            "unix:/run/App@1.sock:/base/x",
            "unix:/a:/",
        ] {
            assert_eq!(upstream(good, false), None, "{good}");
        }
    }

    #[test]
    fn the_forms_of_others_are_told_how_to_be_written() {
        for (form, help) in [
            (
                "http://unix:/run/app.sock:/base",
                "write `\"unix:/run/app.sock:/base\"`",
            ),
            (
                "http+unix:///run/app.sock",
                "write `\"unix:/run/app.sock\"`",
            ),
            ("unix:///run/app.sock", "write `\"unix:/run/app.sock\"`"),
            ("unix//run/app.sock", "write `\"unix:/run/app.sock\"`"),
            ("unix@/run/app.sock", "write `\"unix:/run/app.sock\"`"),
            ("/run/app.sock", "write `\"unix:/run/app.sock\"`"),
            ("unix:app.sock", "write `\"unix:/run/app.sock\"`"),
            ("unix:", "write `\"unix:/run/app.sock\"`"),
            (
                "unix:/run/app.sock:base",
                "write `\"unix:/run/app.sock:/base\"`, or `\"unix:/run/app.sock\"`",
            ),
        ] {
            assert_eq!(upstream(form, false).unwrap().help, help, "{form}");
        }
    }

    /// The same table is held against what the gateway reads when it starts.
    #[test]
    fn what_compiles_is_what_the_gateway_can_read() {
        for line in include_str!("../../../tests/data/upstreams.txt").lines() {
            let Some((verdict, url)) = line.split_once(' ').filter(|(word, _)| *word != "#") else {
                continue;
            };
            assert_eq!(upstream(url, false).is_none(), verdict == "yes", "{url}");
        }
    }
}
