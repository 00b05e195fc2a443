//! Names of hosts that are known when the gateway starts: `env API_HOST: Host`.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The name of a host, or `*.` and a suffix of names: the type of a variable in `host NAME { .. }`.
///
/// It is read by the rules for a host in quotes: lower case, without scheme, port and path.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Host;
///
/// let host: Host = "*.example.com".parse()?;
/// assert_eq!(host.to_string(), "*.example.com");
/// let error = "https://api.example.com".parse::<Host>().unwrap_err();
/// assert_eq!(error.to_string(), "unexpected scheme in a host; write \"api.example.com\"");
/// # Ok::<(), prox::HostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(Box<str>);

/// What is wrong with the name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError(String);

impl Host {
    /// The name as it is written in a gateway.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        check(text).map_err(HostError)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostError {}

/// The rules of the macro for a host in quotes, in the same words; a test of the macro holds both equal.
fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty host name".into());
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
        return Err(format!("unexpected scheme in a host; write {host:?}"));
    }
    if let Some(at) = text.find(['/', '?', '#']) {
        let host = text.get(..at).unwrap_or_default();
        return Err(format!("unexpected path in a host; write {host:?}"));
    }
    if text.starts_with('[') {
        return address(text);
    }
    if let Some((host, _)) = text.split_once(':') {
        return Err(format!(
            "unexpected port in a host: hosts match on every port; write {host:?}"
        ));
    }
    if text == "_" {
        return Err("unexpected quotes around `_`; write a host".into());
    }
    if let Some(name) = text.strip_prefix('.') {
        return Err(format!(
            "unexpected `.` at the start of a host; write \"*.{name}\" for its subdomains, or {name:?}"
        ));
    }
    if text == "*" {
        return Err("`*` alone is not a host; write \"*.example.com\"".into());
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.contains('*') {
        return Err(
            "`*` is allowed only as the first label of a host; write \"*.example.com\"".into(),
        );
    }
    check_name(text, name)?;
    let numbers = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numbers && text.parse::<Ipv4Addr>().is_err() {
        return Err(format!("`{text}` is not an IP address; write \"10.0.0.1\""));
    }
    Ok(())
}

/// Checks the labels of a host; `name` is the text without `*.`.
fn check_name(text: &str, name: &str) -> Result<(), String> {
    if !text.is_ascii() {
        return Err("an international host name must be punycode-encoded; write \"xn--..\"".into());
    }
    let rule = text.split_once("Host");
    if rule.is_some_and(|(_, rest)| rest.starts_with('(')) {
        return Err("expected a host name, found a rule; write \"api.example.com\"".into());
    }
    let mut several = text.split([' ', ',']).filter(|part| !part.is_empty());
    if several.clone().count() > 1 && several.all(|part| part.contains('.')) {
        return Err(
            "expected separate quotes around each host; write one host in each variable".into(),
        );
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "a host must be in lower case; matching ignores case; write {:?}",
            text.to_ascii_lowercase()
        ));
    }
    if text.ends_with('.') {
        return Err(format!(
            "unexpected `.` at the end of a host: hosts match with and without it; write {:?}",
            text.trim_end_matches('.')
        ));
    }
    if text.len() > 253 {
        return Err(format!(
            "host too long: expected at most 253 bytes, found {}",
            text.len()
        ));
    }
    name.split('.').try_for_each(check_label)
}

fn check_label(label: &str) -> Result<(), String> {
    if label.is_empty() {
        return Err("empty label in a host; write one `.` between two labels".into());
    }
    if label.len() > 63 {
        return Err(format!(
            "label too long: expected at most 63 bytes, found {}",
            label.len()
        ));
    }
    let good = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    if let Some(bad) = label.chars().find(|c| !good(c)) {
        return Err(format!(
            "`{bad}` is not allowed in a host; a host consists of letters, digits, `-`, `_` and `.`"
        ));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("`-` is not allowed at the start or end of a label; remove it".into());
    }
    Ok(())
}

/// Checks an IPv6 address in brackets, which has the form in which clients send it.
fn address(text: &str) -> Result<(), String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner.map(str::parse::<Ipv6Addr>) {
        Some(Ok(address)) if format!("[{address}]") == text => Ok(()),
        Some(Ok(address)) => Err(format!(
            "an IP address must be in its shortest form; write \"[{address}]\""
        )),
        _ => Err("malformed IPv6 address; write \"[2001:db8::1]\", without a port".into()),
    }
}
