//! The two fields that say where a message ends (RFC 9112, 6).

use super::{Kind, Leniency, scan};

/// The longest value of one of them that is looked at; what is longer is none.
const MAX_VALUE: usize = 32;

/// The largest length that is taken: that of files and of other proxies.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// A field that frames its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Coding,
}

impl Framing {
    /// The field of this name, if it frames a message.
    #[inline]
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        // Most names are told apart by their length alone.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => Some(Self::Length),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => Some(Self::Coding),
            _ => None,
        }
    }
}

/// What the fields of a head have said about its body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
}

impl Fields {
    /// Takes the value of one of the two, without white space around it.
    pub(super) fn take(
        &mut self,
        field: Framing,
        value: &[u8],
        lenient: Leniency,
    ) -> Result<(), Kind> {
        match field {
            Framing::Length => {
                let length = digits(value).ok_or(Kind::Length)?;
                // Equal ones are merged only where the user has said so: hardly anything sends them in good faith.
                let before = self.length.replace(length);
                let agrees = |before| lenient.equal_lengths && before == length;
                if !before.is_none_or(agrees) {
                    return Err(Kind::Lengths);
                }
            }
            Framing::Coding => {
                // No other coding is undone here or behind, and the field is not passed on: to take one would be to
                // hand on its bytes as if they were the content.
                if !value.eq_ignore_ascii_case(b"chunked") || self.chunked {
                    return Err(Kind::Coding);
                }
                self.chunked = true;
            }
        }
        Ok(())
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > MAX_VALUE {
        return None;
    }
    let length = value.iter().try_fold(0_u64, |length, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    });
    length.filter(|&length| length <= MAX_LENGTH)
}

/// The name or the value of a field of which a part came earlier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry {
    bytes: [u8; MAX_VALUE],
    len: usize,
    /// White space came that is part of a value only if something follows it.
    gap: bool,
}

impl Carry {
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.gap = false;
    }

    /// Adds a byte; what grows too long for any name or value of interest stays so.
    pub(super) fn push(&mut self, byte: u8) {
        if self.gap {
            self.len = MAX_VALUE;
        }
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len = (self.len + 1).min(MAX_VALUE + 1);
    }

    /// Adds a byte of a value, but for the white space around it.
    pub(super) fn push_value(&mut self, byte: u8) {
        if !scan::is_space(byte) {
            self.push(byte);
        } else if self.len > 0 {
            self.gap = true;
        }
    }

    /// What was added; `None` if that was too much.
    pub(super) fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }
}
