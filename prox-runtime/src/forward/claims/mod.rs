//! Fields in which a client could claim what only a proxy before the gateway can know: addresses, schemes, hosts, targets and
//! certificates.
//!
//! Upstreams that speak CGI, WSGI or PHP's dialect fold names: `X_Real.IP` arrives there as `X-Real-IP` does. So names are
//! compared folded here: letters and digits alone count, without regard to case.

mod list;

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use self::list::CLAIMS;
pub(super) use self::list::WRITTEN;
use crate::client::Client;

/// The beginnings of all claims, to tell other names apart from them.
static BEGINNINGS: Beginnings = Beginnings::of(&CLAIMS);

/// Whether a field of this name is a claim, in whatever spelling.
pub(super) fn is_claim(name: &str) -> bool {
    find(name).is_some()
}

/// Removes the claims that this client may not make, `Forwarded` among them.
///
/// What a trusted proxy claims passes in its usual spelling alone: another spelling is one that the proxy has not looked at.
#[cold]
pub(super) fn remove(headers: &mut HeaderMap, client: &Client) {
    let passes = |name: &HeaderName| {
        client.may_claim(name) && find(name.as_str()).is_some_and(|claim| is_usual(name, claim))
    };
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()) && !passes(name))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Removes all claims: in trailers no proxy makes any.
pub(super) fn remove_all(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Reads the names of claims that any client may make.
///
/// # Errors
///
/// Each name that is not the usual spelling of a claim, and what to write.
pub(crate) fn read<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<Arc<[HeaderName]>, Vec<String>> {
    let mut read = Vec::new();
    let mut problems = Vec::new();
    for text in names {
        let text = text.as_ref();
        match one(text) {
            Ok(name) => read.push(name),
            Err(problem) => problems.push(format!("{text:?} {problem}")),
        }
    }
    if problems.is_empty() {
        Ok(read.into())
    } else {
        Err(problems)
    }
}

fn one(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| "is not the name of a field".to_owned())?;
    if WRITTEN
        .iter()
        .any(|written| matches(name.as_str(), written))
    {
        return Err("is written by the gateway: remove it, and name the proxies that may claim it in `trusted_proxies`".into());
    }
    match find(name.as_str()) {
        Some(claim) if is_usual(&name, claim) => Ok(name),
        Some(claim) => Err(format!("is another spelling of a claim: write {claim:?}")),
        None => Err("is not a claim, and passes already: remove it".into()),
    }
}

/// The entry of the list that a name folds into.
fn find(name: &str) -> Option<&'static str> {
    let beginning = BEGINNINGS.look_up(name)?;
    let mut claims = BEGINNINGS.of_each.iter().zip(CLAIMS);
    claims.find_map(|(&other, claim)| (other == beginning && matches(name, claim)).then_some(claim))
}

/// Whether a name folds into a pattern. A pattern that ends with `*` takes any rest.
fn matches(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => {
            let mut name = folded(name);
            folded(beginning).all(|byte| name.next() == Some(byte))
        }
        None => folded(name).eq(folded(pattern)),
    }
}

/// A name as it is compared: letters and digits alone, in lower case.
pub(super) fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
}

/// Whether a name is spelled as the list has it, with hyphens alone.
fn is_usual(name: &HeaderName, claim: &str) -> bool {
    let name = name.as_str();
    match claim.strip_suffix('*') {
        Some(beginning) => name.strip_prefix(beginning).is_some_and(|rest| {
            rest.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
        None => name == claim,
    }
}

/// The first four characters of each name of a list, folded.
///
/// The first two are looked up in a set of pairs, and then all four in a set of hashes. The two sieves reject nearly every other name.
struct Beginnings {
    pairs: [u64; PAIRS.div_ceil(64)],
    hashes: [u64; HASHES / 64],
    of_each: [u32; CLAIMS.len()],
}

/// 26 letters and 10 digits, and again.
const PAIRS: usize = 36 * 36;

const HASHES: usize = 1024;

/// The hash of four characters (Knuth, multiplicative hashing).
const fn hash(beginning: u32) -> usize {
    beginning.wrapping_mul(0x9e37_79b1) as usize >> 22
}

impl Beginnings {
    const fn of(names: &[&str; CLAIMS.len()]) -> Self {
        let mut pairs = [0; PAIRS.div_ceil(64)];
        let mut hashes = [0; HASHES / 64];
        let mut of_each = [0; CLAIMS.len()];
        let mut at = 0;
        while at < names.len() {
            let (beginning, pair) = beginning(names[at].as_bytes()).expect("four characters");
            pairs[pair / 64] |= 1 << (pair % 64);
            let hash = hash(beginning);
            hashes[hash / 64] |= 1 << (hash % 64);
            of_each[at] = beginning;
            at += 1;
        }
        Self {
            pairs,
            hashes,
            of_each,
        }
    }

    /// The beginning of a name, unless no name of the list has it. A few beginnings are taken for one of the list.
    fn look_up(&self, name: &str) -> Option<u32> {
        let (beginning, pair) = beginning(name.as_bytes())?;
        if self.pairs[pair / 64] & (1 << (pair % 64)) == 0 {
            return None;
        }
        let hash = hash(beginning);
        (self.hashes[hash / 64] & (1 << (hash % 64)) != 0).then_some(beginning)
    }
}

/// The first four letters and digits of a name, and the number of the first two; nothing if there are fewer.
const fn beginning(name: &[u8]) -> Option<(u32, usize)> {
    let (mut text, mut pair) = (0, 0);
    let (mut count, mut at) = (0, 0);
    while at < name.len() {
        let byte = name[at].to_ascii_lowercase();
        let place = match byte {
            b'a'..=b'z' => byte - b'a',
            b'0'..=b'9' => byte - b'0' + 26,
            _ => {
                at += 1;
                continue;
            }
        };
        text = text << 8 | byte as u32;
        if count < 2 {
            pair = pair * 36 + place as usize;
        }
        count += 1;
        if count == 4 {
            return Some((text, pair));
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests;
