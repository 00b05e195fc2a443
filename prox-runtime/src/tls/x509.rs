//! Reads of a certificate what Prox wants to know: whom it is for, and how long it is good (RFC 5280, 4.1).
//!
//! Whether a certificate is to be trusted is decided by rustls alone. What is read here has been verified, or is our own;
//! all the same, no input can make it panic, and what cannot be read is nothing.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::der::{Der, OID, SEQUENCE};
use crate::{civil, coding::Hex};

/// What is known of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    /// As RFC 4514 writes names.
    pub(super) subject: String,
    pub(super) common_name: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) emails: Vec<String>,
    pub(super) uris: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    /// In seconds after 1970, as all times here.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SET: u8 = 0x31;
/// Context tags, as they stand in `TBSCertificate` and `GeneralName`.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The attributes of a name that have a short form (RFC 4514, 3).
const SHORT: [(&[u8], &str); 9] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19],
        "DC",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01],
        "UID",
    ),
];

impl Certificate {
    /// Reads a certificate; `None` for what is none.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(certificate.expect(SEQUENCE)?);
        fields.optional(VERSION);
        // The serial number, the algorithm of the signature, and the issuer.
        for _ in 0..3 {
            fields.next()?;
        }
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let mut found = Self {
            not_before: time(validity.next()?)?,
            not_after: time(validity.next()?)?,
            ..Self::default()
        };
        found.read_subject(fields.expect(SEQUENCE)?)?;
        while let Some((tag, content)) = fields.next() {
            if tag == EXTENSIONS {
                found.read_extensions(content);
            }
        }
        Some(found)
    }

    fn read_subject(&mut self, name: &[u8]) -> Option<()> {
        let mut parts = Vec::new();
        let mut sets = Der(name);
        while !sets.0.is_empty() {
            let mut set = Der(sets.expect(SET)?);
            let mut part = String::new();
            while !set.0.is_empty() {
                let mut attribute = Der(set.expect(SEQUENCE)?);
                let kind = attribute.expect(OID)?;
                let whole = attribute.0;
                let (tag, content) = attribute.next()?;
                let value = text(tag, content);
                if kind == COMMON_NAME {
                    self.common_name.clone_from(&value);
                }
                if !part.is_empty() {
                    part.push('+');
                }
                write_attribute(&mut part, kind, value.as_deref(), whole);
            }
            parts.push(part);
        }
        // The most specific part is written first.
        parts.reverse();
        self.subject = parts.join(",");
        Some(())
    }

    fn read_extensions(&mut self, content: &[u8]) -> Option<()> {
        let mut list = Der(Der(content).expect(SEQUENCE)?);
        while let Some((_, content)) = list.next() {
            let mut extension = Der(content);
            let kind = extension.expect(OID)?;
            extension.optional(BOOLEAN);
            let value = extension.expect(OCTET_STRING)?;
            if kind == SUBJECT_ALT_NAME {
                self.read_names(Der(value).expect(SEQUENCE)?);
            }
        }
        Some(())
    }

    fn read_names(&mut self, content: &[u8]) {
        let mut names = Der(content);
        while let Some((tag, content)) = names.next() {
            let printable = || {
                let graphic = content.iter().all(u8::is_ascii_graphic) && !content.is_empty();
                let text = str::from_utf8(content).ok().filter(|_| graphic)?;
                Some(text.to_owned())
            };
            match tag {
                DNS_NAME => self
                    .hosts
                    .extend(printable().map(|name| name.to_ascii_lowercase())),
                RFC822_NAME => self.emails.extend(printable()),
                URI => self.uris.extend(printable()),
                IP_ADDRESS => self.addresses.extend(address(content)),
                _ => {}
            }
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical())
}

/// The text of a string type; `None` for what is no text.
fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            str::from_utf8(content).ok().map(str::to_owned)
        }
        TELETEX_STRING => Some(content.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (units, []) = content.as_chunks::<2>() else {
                return None;
            };
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// `CN=value`; what has no short form, or is no text, is written in a form that is never ambiguous (RFC 4514, 2.4).
fn write_attribute(out: &mut String, kind: &[u8], value: Option<&str>, whole: &[u8]) {
    let short = SHORT.iter().find(|(oid, _)| *oid == kind);
    if let (Some((_, name)), Some(value)) = (short, value) {
        out.push_str(name);
        out.push('=');
        escape(out, value);
    } else {
        write_oid(out, kind);
        // Writing to a string does not fail.
        let _ = write!(out, "=#{}", Hex(whole));
    }
}

/// RFC 4514, 2.4: what would be read as a part of the syntax stands behind a backslash.
fn escape(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, char) in value.chars().enumerate() {
        let edge = (at == 0 && matches!(char, ' ' | '#')) || (at == last && char == ' ');
        if char == '\0' {
            out.push_str("\\00");
            continue;
        }
        if edge || matches!(char, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
}

fn write_oid(out: &mut String, oid: &[u8]) {
    let mut arc: u64 = 0;
    let mut first = true;
    for &byte in oid {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        let written = if first {
            let top = (arc / 40).min(2);
            write!(out, "{top}.{}", arc - top * 40)
        } else {
            write!(out, ".{arc}")
        };
        // Writing to a string does not fail.
        let _ = written;
        first = false;
        arc = 0;
    }
}

/// The seconds after 1970 of `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let digits = content.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            // RFC 5280, 4.1.2.5.1.
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let (parts, []) = rest.as_chunks::<2>() else {
        return None;
    };
    let mut parts = parts.iter().map(|part| number(part));
    let mut next = || parts.next().flatten();
    let (month, day) = (next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((civil::days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    let numeric = digits.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(digits).ok().filter(|_| numeric)?;
    text.parse().ok()
}

/// A time as `2026-01-31 23:59:59 UTC`.
pub(super) fn date(seconds: i64) -> String {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil::date(day);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests;
