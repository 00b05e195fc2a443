//! A chunked body, up to its trailers (RFC 9112, 7.1).

use super::{Kind, head::Refusal, scan};

/// The most hexadecimal digits of a chunk size, leading zeros included.
const MAX_DIGITS: u8 = 16;

/// The largest chunk size that is taken: that of files and of other proxies.
const MAX_SIZE: u64 = i64::MAX as u64;

/// The most bytes of extensions in one body. Nobody uses them but to make others parse them.
const MAX_EXTENSIONS: u16 = 8 * 1024;

/// A chunked body that is being read.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    digits: u8,
    /// The size of the chunk, and then what is left of its data.
    left: u64,
    extensions: u16,
    /// Whether white space may stand behind a size without an extension, as old servers pad it.
    padding: bool,
}

/// The place in a chunk, in front of the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Padding,
    /// Behind a semicolon.
    Semicolon,
    Name,
    BehindName,
    Equals,
    Token,
    Quoted,
    Escaped,
    BehindValue,
    SizeLineFeed,
    Data,
    DataLineFeed,
}

impl Chunked {
    pub(super) fn new(padding: bool) -> Self {
        Self {
            at: At::Size,
            digits: 0,
            left: 0,
            extensions: 0,
            padding,
        }
    }

    /// Looks at bytes; says how many of them came up to the trailers, else all belong to chunks.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if self.at == At::Data {
                at += skip(&mut self.left, bytes.len() - at);
            }
            let Some(&byte) = bytes.get(at) else { break };
            let next = self.step(byte).map_err(|kind| (kind, at))?;
            at += 1;
            self.at = next;
            if next == At::Data && self.left == 0 {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<At, Kind> {
        match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (At::Size, b'\r') if self.digits > 0 => Ok(At::SizeLineFeed),
            (At::Size, b';' | b' ' | b'\t') if self.digits > 0 => self.in_extension(byte),
            (At::SizeLineFeed, b'\n') => {
                self.digits = 0;
                Ok(At::Data)
            }
            // All of the data has passed.
            (At::Data, b'\r') => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => Ok(At::Size),
            (At::Data | At::DataLineFeed, _) => Err(Kind::ChunkEnd),
            (At::SizeLineFeed, _) => Err(Kind::BareCarriageReturn),
            (_, b'\n') => Err(Kind::BareLineFeed),
            (At::Size, _) => Err(Kind::ChunkSize),
            _ => self.in_extension(byte),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, Kind> {
        if self.digits == 0 {
            self.left = 0;
        }
        let digit = char::from(byte).to_digit(16).ok_or(Kind::ChunkSize)?;
        let size = (self.left << 4) | u64::from(digit);
        if self.digits == MAX_DIGITS || size > MAX_SIZE {
            return Err(Kind::ChunkSize);
        }
        self.left = size;
        self.digits += 1;
        Ok(At::Size)
    }

    fn in_extension(&mut self, byte: u8) -> Result<At, Kind> {
        if byte == b'\r' {
            return match self.at {
                At::Name | At::BehindName | At::Token | At::BehindValue => Ok(At::SizeLineFeed),
                At::Padding if self.padding => Ok(At::SizeLineFeed),
                At::Padding => Err(Kind::ChunkSize),
                _ => Err(Kind::ChunkExtension),
            };
        }
        if !scan::is_text(byte) {
            return Err(Kind::ControlByte);
        }
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(Kind::TooLong);
        }
        let space = scan::is_space(byte);
        let token = scan::is_token(byte);
        match (self.at, byte) {
            (At::Size | At::Padding, _) if space => Ok(At::Padding),
            (At::Name | At::BehindName, _) if space => Ok(At::BehindName),
            (At::Token | At::BehindValue, _) if space => Ok(At::BehindValue),
            (At::Semicolon | At::Equals, _) if space => Ok(self.at),
            (At::Quoted, b'"') => Ok(At::BehindValue),
            (At::Quoted, b'\\') => Ok(At::Escaped),
            (At::Quoted | At::Escaped, _) | (At::Equals, b'"') => Ok(At::Quoted),
            (At::Semicolon | At::Equals, b';') => Err(Kind::ChunkExtension),
            (_, b';') => Ok(At::Semicolon),
            (At::Name | At::BehindName, b'=') => Ok(At::Equals),
            (At::Semicolon | At::Name, _) if token => Ok(At::Name),
            (At::Equals | At::Token, _) if token => Ok(At::Token),
            (At::Padding, _) => Err(Kind::ChunkSize),
            _ => Err(Kind::ChunkExtension),
        }
    }
}

/// Takes off `left` what can be passed over of `available` bytes, and says how much that is.
pub(super) fn skip(left: &mut u64, available: usize) -> usize {
    let part = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= part as u64;
    part
}
