//! The file of keys: `name sha256:<hex> [scopes=a,b] [until=2027-01-01] [plan=gold]`, one a line.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Key, KeyDigest};
use crate::{auth::lines::each_line, civil, coding};

const DAY: u64 = 86_400;

/// The keys of a file by their digests.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<KeyDigest, Arc<Key>>);

impl Keys {
    pub(super) fn find(&self, digest: &KeyDigest) -> Option<Arc<Key>> {
        self.0.get(digest).cloned()
    }
}

/// Reads a file.
///
/// # Errors
///
/// All malformed lines, without what stands in them: it may be a key.
pub(super) fn parse(text: &str) -> Result<Keys, Vec<String>> {
    let mut keys = HashMap::new();
    each_line(text, |line| {
        let (digest, key) = one(line)?;
        match keys.insert(digest, Arc::new(key)) {
            None => Ok(()),
            Some(_) => Err(String::from("duplicate key")),
        }
    })?;
    Ok(Keys(keys))
}

fn one(line: &str) -> Result<(KeyDigest, Key), String> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let digest = words.next().and_then(|word| word.strip_prefix("sha256:"));
    let digest = digest.and_then(hex).ok_or(
        "expected a name and `sha256:` with 64 hexadecimal digits; `key NAME` of the binary prints a line",
    )?;
    let mut key = Key::new(name);
    let mut seen = HashSet::new();
    for word in words {
        let (what, value) = word
            .split_once('=')
            .filter(|(what, value)| !what.is_empty() && !value.is_empty())
            .ok_or("expected `name=value` behind the digest, such as `scopes=orders,stock`")?;
        if !seen.insert(what) {
            return Err(format!("duplicate `{what}`"));
        }
        key = match what {
            "scopes" => key.scopes(value.split(',').filter(|scope| !scope.is_empty())),
            "until" => {
                let end = day(value).ok_or("`until` is not a day: write `until=2027-01-01`")?;
                key.until(end)
            }
            _ => key.claim(what, value),
        };
    }
    Ok((KeyDigest(digest), key))
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = coding::byte(*high, *low)?;
    }
    Some(bytes)
}

/// The beginning of a day in UTC.
fn day(text: &str) -> Option<SystemTime> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<i64>().ok())?
    };
    let date @ (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let days = civil::days(year, month, day);
    // A day that its month does not have comes out as one of another month.
    if parts.next().is_some() || civil::date(days) != date {
        return None;
    }
    let since = u64::try_from(days).ok()?.checked_mul(DAY)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_line_says_what_is_known_of_the_caller() {
        let text =
            format!("# keys\r\n\n  acme\t{DIGEST} scopes=a,b until=2027-01-01 plan=gold\r\n");
        let keys = parse(&text).unwrap();
        let key = keys.find(&KeyDigest::of("test")).unwrap();
        assert_eq!(key.principal.subject(), "acme");
        assert_eq!(key.principal.scopes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            key.principal.claim("plan").and_then(|plan| plan.as_text()),
            Some("gold")
        );
        let end = SystemTime::UNIX_EPOCH + Duration::from_hours(499_656);
        assert_eq!(key.until, Some(end));
        assert!(!key.is_valid(end) && key.is_valid(end - Duration::from_secs(1)));
    }

    #[test]
    fn every_malformed_line_is_told_and_none_is_shown() {
        let second = DIGEST.replace("9f86", "0000");
        let text = format!(
            "acme swordfish\nacme\nacme sha256:abc\nacme {DIGEST}\nother {DIGEST}\n\
             a {second} scopes\nb {second} until=2027-02-30\nc {second} plan=a plan=b\nd {second} =x"
        );
        let problems = parse(&text).unwrap_err();
        let lines: Vec<&str> = problems.iter().map(|problem| &problem[..6]).collect();
        assert_eq!(
            lines,
            [
                "line 1", "line 2", "line 3", "line 5", "line 6", "line 7", "line 8", "line 9"
            ]
        );
        assert!(!problems.join(" ").contains("swordfish"), "{problems:?}");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2100-03-01", Some(4_107_542_400)),
            ("2100-02-29", None),
            ("2027-13-01", None),
            ("2027-1-1", None),
            ("2027-01-00", None),
            ("1969-12-31", None),
            ("+027-01-01", None),
            ("2027-01-01-", None),
        ] {
            let wanted =
                seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(day(text), wanted, "{text}");
        }
    }
}
