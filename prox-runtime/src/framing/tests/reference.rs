//! The rules for requests, written down once more: slowly, over all of the bytes at once, and from nothing but the rules.

/// Why a message is not known to be whole.
enum Stop {
    Refused,
    TooShort,
}

use Stop::{Refused, TooShort};

/// Where the messages end, and whether what follows them is refused; `None` when too little has come to tell.
pub(super) fn requests(bytes: &[u8]) -> (Vec<usize>, Option<bool>) {
    let (mut ends, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match message(&bytes[at..]) {
            Ok(length) => at += length,
            Err(Refused) => return (ends, Some(true)),
            Err(TooShort) => return (ends, None),
        }
        ends.push(at);
    }
    (ends, Some(false))
}

/// The length of a whole request.
fn message(bytes: &[u8]) -> Result<usize, Stop> {
    let first = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let (first, rest) = line(first)?;
    let words: Vec<&[u8]> = first.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return Err(Refused);
    };
    let known = matches!(version, b"HTTP/1.0" | b"HTTP/1.1");
    if !is_token(method)
        || target.is_empty()
        || target.contains(&b'\t')
        || target.contains(&b'#')
        || !known
    {
        return Err(Refused);
    }
    let (fields, rest) = fields(rest)?;
    let values = |name: &[u8]| -> Vec<&[u8]> {
        let named = fields
            .iter()
            .filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1).collect()
    };
    let body = match (
        &values(b"content-length")[..],
        &values(b"transfer-encoding")[..],
    ) {
        ([], []) => 0,
        ([length], []) => {
            let digits = length.len() <= 32 && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).map_err(|_| Refused)?;
            let length: i64 = length.parse().map_err(|_| Refused)?;
            if !digits {
                return Err(Refused);
            }
            usize::try_from(length).unwrap()
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && version == b"HTTP/1.1" => {
            chunks(rest)?
        }
        _ => return Err(Refused),
    };
    if body > rest.len() {
        return Err(TooShort);
    }
    Ok(bytes.len() - rest.len() + body)
}

/// The length of all chunks and trailers.
fn chunks(bytes: &[u8]) -> Result<usize, Stop> {
    let mut rest = bytes;
    loop {
        let (line, behind) = line(rest)?;
        rest = behind;
        let end = line.iter().position(|&byte| byte == b';');
        let (mut digits, extensions) = line.split_at(end.unwrap_or(line.len()));
        if !extensions.is_empty() {
            digits = digits.trim_ascii_end();
        }
        let valid = digits.iter().all(u8::is_ascii_hexdigit) && digits.len() <= 16;
        if !valid || !are_extensions(extensions) {
            return Err(Refused);
        }
        let digits = std::str::from_utf8(digits).map_err(|_| Refused)?;
        let size = i64::from_str_radix(digits, 16).map_err(|_| Refused)?;
        if size == 0 {
            break;
        }
        let behind = rest.get(usize::try_from(size).unwrap()..);
        rest = match behind.ok_or(TooShort)? {
            [b'\r', b'\n', behind @ ..] => behind,
            [] | [b'\r'] => return Err(TooShort),
            _ => return Err(Refused),
        };
    }
    let (_, rest) = fields(rest)?;
    Ok(bytes.len() - rest.len())
}

fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(extension) = rest.strip_prefix(b";") else {
            return false;
        };
        let name = extension.trim_ascii_start();
        let behind = name[token(name)..].trim_ascii_start();
        let end = match behind.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) {
            None => Some(behind),
            Some([b'"', quoted @ ..]) => quoted_end(quoted).map(|end| &quoted[end..]),
            Some(value) => (token(value) > 0).then(|| &value[token(value)..]),
        };
        match end {
            Some(end) if token(name) > 0 => rest = end.trim_ascii_start(),
            _ => return false,
        }
    }
    true
}

/// Where a quoted string ends that began before this.
fn quoted_end(quoted: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let end = quoted.iter().position(|&byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    });
    end.map(|end| end + 1)
}

/// Names and values.
type Fields<'b> = Vec<(&'b [u8], &'b [u8])>;

/// The fields up to the empty line, and what follows.
fn fields(mut rest: &[u8]) -> Result<(Fields<'_>, &[u8]), Stop> {
    let mut fields = Vec::new();
    loop {
        let (line, behind) = line(rest)?;
        rest = behind;
        if line.is_empty() {
            return Ok((fields, rest));
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Refused)?;
        if !is_token(&line[..colon]) {
            return Err(Refused);
        }
        fields.push((&line[..colon], line[colon + 1..].trim_ascii()));
    }
}

/// The first line without its end, and what follows.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let (line, rest) = bytes.split_at(end.ok_or(TooShort)?);
    let line = line.strip_suffix(b"\r").ok_or(Refused)?;
    let text = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if !line.iter().all(text) {
        return Err(Refused);
    }
    Ok((line, &rest[1..]))
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token(bytes) == bytes.len()
}

fn token(bytes: &[u8]) -> usize {
    let other = b"!#$%&'*+-.^_`|~";
    let token = |byte: &&u8| byte.is_ascii_alphanumeric() || other.contains(byte);
    bytes.iter().take_while(token).count()
}
