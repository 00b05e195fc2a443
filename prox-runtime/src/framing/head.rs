//! The head of a message, and the trailers behind a chunked body (RFC 9112, 2 to 5).

use super::{
    Kind, Leniency,
    fields::{Carry, Fields, Framing},
    scan,
};

const VERSION: &[u8] = b"HTTP/1.";

/// What a head begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Request,
    /// `switch`: the response may be a `101`.
    Response {
        switch: bool,
    },
    /// Nothing: these are trailers.
    Trailers,
}

/// A head that is being read.
///
/// A line that arrives whole is looked at as a whole. Any other, and one with something wrong in it, goes byte by byte;
/// both ways say the same, and find a violation at the same byte.
#[derive(Debug)]
pub(super) struct Head {
    opening: Opening,
    at: At,
    carry: Carry,
    /// The field whose value is being carried.
    field: Option<Framing>,
    pub(super) fields: Fields,
    lenient: Leniency,
    /// How many field lines have begun.
    pub(super) lines: usize,
    /// HTTP/1.0.
    pub(super) old: bool,
    pub(super) status: u16,
    /// How much of a target has come, and how much may.
    target: usize,
    longest: usize,
}

/// The place in a head, in front of the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In front of a request line, or of the one empty line that may precede it (RFC 9112, 2.2).
    Start,
    EmptyLineFeed,
    AfterEmptyLine,
    Method,
    TargetStart,
    Target,
    /// Behind so many bytes of the version.
    Version(usize),
    BehindVersion,
    /// Behind so many digits of the status.
    Status(u8),
    BehindStatus,
    Reason,
    FieldStart,
    Name,
    Value,
    LineFeed,
    LastLineFeed,
}

/// What comes behind a byte.
enum Next {
    At(At),
    End,
}

/// A violation, and its place among the bytes that were given.
pub(super) type Refusal = (Kind, usize);

impl Head {
    pub(super) fn new(opening: Opening) -> Self {
        let at = match opening {
            Opening::Request => At::Start,
            Opening::Response { .. } => At::Version(0),
            Opening::Trailers => At::FieldStart,
        };
        Self {
            opening,
            at,
            carry: Carry::default(),
            field: None,
            fields: Fields::default(),
            lenient: Leniency::default(),
            lines: 0,
            old: false,
            status: 0,
            target: 0,
            longest: usize::MAX,
        }
    }

    /// The head of a response, of which this is taken beyond the rules.
    pub(super) fn response(switch: bool, lenient: Leniency) -> Self {
        Self {
            lenient,
            ..Self::new(Opening::Response { switch })
        }
    }

    /// The head of a request whose target has no more bytes than these.
    pub(super) fn request(longest: usize) -> Self {
        Self {
            longest,
            ..Self::new(Opening::Request)
        }
    }

    /// Whether nothing of it has come.
    #[cfg(test)]
    pub(super) fn is_new(&self) -> bool {
        self.at == Self::new(self.opening).at
    }

    /// Looks at bytes; says how many of them the head took once it has ended, else it took them all.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            match self.at {
                At::Start | At::AfterEmptyLine => at += self.request_line(&bytes[at..]),
                At::Version(0) if self.opening != Opening::Request => {
                    at += self.status_line(&bytes[at..]);
                }
                At::Target => {
                    let more = scan::target(&bytes[at..]);
                    let room = self.longest - self.target;
                    if more > room {
                        return Err((Kind::LongTarget, at + room));
                    }
                    self.target += more;
                    at += more;
                }
                At::Reason => at += scan::text(&bytes[at..]),
                At::Value if self.field.is_none() => at += scan::text(&bytes[at..]),
                _ => {}
            }
            if self.at == At::FieldStart {
                at = self.lines(bytes, at)?;
            }
            let Some(&byte) = bytes.get(at) else { break };
            match self.step(byte) {
                Ok(Next::At(next)) => self.at = next,
                Ok(Next::End) => return Ok(Some(at + 1)),
                Err(kind) => return Err((kind, at)),
            }
            at += 1;
        }
        Ok(None)
    }

    /// Takes a request line if all of it is there and in order, and says how long it is.
    fn request_line(&mut self, bytes: &[u8]) -> usize {
        let method = scan::token(bytes);
        let Some((b' ', rest)) = bytes[method..].split_first() else {
            return 0;
        };
        let target = scan::target(rest);
        let old = match rest.get(target..).and_then(|rest| rest.first_chunk::<11>()) {
            Some(b" HTTP/1.1\r\n") => false,
            Some(b" HTTP/1.0\r\n") => true,
            _ => return 0,
        };
        if method == 0 || target == 0 || target > self.longest {
            return 0;
        }
        self.old = old;
        self.at = At::FieldStart;
        method + 1 + target + 11
    }

    /// Takes a status line if all of it is there and in order, and says how long it is.
    fn status_line(&mut self, bytes: &[u8]) -> usize {
        let Some((
            &[
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                minor,
                b' ',
                a,
                b,
                c,
                b' ',
            ],
            rest,
        )) = bytes.split_first_chunk::<13>()
        else {
            return 0;
        };
        let reason = scan::text(rest);
        if !matches!(minor, b'0' | b'1')
            || !matches!(a, b'1'..=b'9')
            || ![b, c].iter().all(u8::is_ascii_digit)
            // What a switch means is left to the long way.
            || [a, b, c] == *b"101"
            || !rest[reason..].starts_with(b"\r\n")
        {
            return 0;
        }
        self.old = minor == b'0';
        self.status = [a, b, c].into_iter().fold(0, with_digit);
        self.at = At::FieldStart;
        13 + reason + 2
    }

    /// Takes field lines as long as they are whole and in order, and says where they end.
    fn lines(&mut self, bytes: &[u8], mut at: usize) -> Result<usize, Refusal> {
        loop {
            let line = &bytes[at..];
            let name = scan::token(line);
            let Some((b':', value)) = line[name..].split_first() else {
                return Ok(at);
            };
            let end = scan::text(value);
            if name == 0 || !value[end..].starts_with(b"\r\n") {
                return Ok(at);
            }
            let end_of_line = at + name + 1 + end;
            let field = Framing::of(&line[..name]);
            if self.lenient.folded_fields {
                // The next line may go on with it.
                self.field = field;
            }
            if let Some(field) = field {
                let value = value[..end].trim_ascii();
                self.take(field, value)
                    .map_err(|kind| (kind, end_of_line))?;
            }
            self.lines += 1;
            at = end_of_line + 2;
        }
    }

    /// The long way: what one byte means.
    fn step(&mut self, byte: u8) -> Result<Next, Kind> {
        let next = match self.at {
            At::Start | At::AfterEmptyLine | At::Method | At::TargetStart | At::Target => {
                self.in_request_line(byte)?
            }
            At::EmptyLineFeed => line_feed(byte, At::AfterEmptyLine)?,
            At::Version(length) => self.in_version(byte, length)?,
            At::BehindVersion | At::Status(_) | At::BehindStatus | At::Reason => {
                self.in_status_line(byte)?
            }
            At::FieldStart if byte == b'\n' && self.lenient.bare_line_feeds => {
                return Ok(Next::End);
            }
            At::FieldStart | At::Name | At::Value => self.in_field(byte)?,
            At::LineFeed => line_feed(byte, At::FieldStart)?,
            At::LastLineFeed => {
                line_feed(byte, At::FieldStart)?;
                return Ok(Next::End);
            }
        };
        Ok(Next::At(next))
    }

    fn in_request_line(&mut self, byte: u8) -> Result<At, Kind> {
        match (self.at, byte) {
            (At::Start, b'\r') => Ok(At::EmptyLineFeed),
            (_, b'\n') => Err(Kind::BareLineFeed),
            (At::Start | At::AfterEmptyLine | At::Method, _) if scan::is_token(byte) => {
                Ok(At::Method)
            }
            (At::Method, b' ') => Ok(At::TargetStart),
            (At::Target, b' ') => Ok(At::Version(0)),
            // A line that ends here is a request of HTTP/0.9.
            (At::Target, b'\r') => Err(Kind::Version),
            (_, b'\r' | b'\t') => Err(Kind::StartLine),
            _ if scan::is_control(byte) => Err(Kind::ControlByte),
            (At::TargetStart | At::Target, b'#') => Err(Kind::Fragment),
            (At::TargetStart | At::Target, _) if byte != b' ' => {
                self.target += 1;
                Ok(At::Target)
            }
            _ => Err(Kind::StartLine),
        }
    }

    fn in_version(&mut self, byte: u8, length: usize) -> Result<At, Kind> {
        if byte == b'\n' {
            return Err(Kind::BareLineFeed);
        }
        // White space here is a second space, or part of a target.
        if length == 0 && scan::is_space(byte) {
            return Err(Kind::StartLine);
        }
        match VERSION.get(length) {
            Some(&expected) if byte == expected => Ok(At::Version(length + 1)),
            None if matches!(byte, b'0' | b'1') => {
                self.old = byte == b'0';
                Ok(At::BehindVersion)
            }
            _ => Err(Kind::Version),
        }
    }

    fn in_status_line(&mut self, byte: u8) -> Result<At, Kind> {
        match (self.at, byte) {
            (At::BehindStatus | At::Reason, b'\n') if self.lenient.bare_line_feeds => {
                self.check_switch()?;
                Ok(At::FieldStart)
            }
            (_, b'\n') => Err(Kind::BareLineFeed),
            (At::BehindVersion, b'\r') if self.opening == Opening::Request => Ok(At::LineFeed),
            (At::BehindVersion, b' ') if self.opening != Opening::Request => Ok(At::Status(0)),
            (At::BehindVersion, b'0'..=b'9') => Err(Kind::Version),
            (At::Status(count), b'0'..=b'9') if count > 0 || byte != b'0' => {
                self.status = with_digit(self.status, byte);
                Ok(if count < 2 {
                    At::Status(count + 1)
                } else {
                    At::BehindStatus
                })
            }
            (At::BehindStatus, b' ') => Ok(At::Reason),
            (At::BehindStatus | At::Reason, b'\r') => {
                self.check_switch()?;
                Ok(At::LineFeed)
            }
            (At::Reason, _) if scan::is_text(byte) => Ok(At::Reason),
            (At::Reason, _) => Err(Kind::ControlByte),
            _ => Err(Kind::StartLine),
        }
    }

    /// Refuses a switch of protocols that was not asked for.
    fn check_switch(&self) -> Result<(), Kind> {
        if self.status == 101 && self.opening != (Opening::Response { switch: true }) {
            return Err(Kind::Switch);
        }
        Ok(())
    }

    /// Whether the line before may go on: it is a field, and not one that says where the message ends.
    fn may_fold(&self) -> bool {
        self.lenient.folded_fields && self.lines > 0 && self.field.is_none()
    }

    fn in_field(&mut self, byte: u8) -> Result<At, Kind> {
        match (self.at, byte) {
            (At::Value, b'\n') if self.lenient.bare_line_feeds => {
                if let Some(field) = self.field {
                    self.take_carried(field)?;
                }
                Ok(At::FieldStart)
            }
            (_, b'\n') => Err(Kind::BareLineFeed),
            (At::FieldStart, b'\r') => Ok(At::LastLineFeed),
            (At::FieldStart, b' ' | b'\t') if self.may_fold() => Ok(At::Value),
            (At::FieldStart, b' ' | b'\t') => Err(Kind::Folding),
            (At::Value, b'\r') => {
                if let Some(field) = self.field {
                    self.take_carried(field)?;
                }
                Ok(At::LineFeed)
            }
            (At::Value, _) if scan::is_text(byte) => {
                self.carry.push_value(byte);
                Ok(At::Value)
            }
            (At::Name, b':') => {
                self.field = self.carry.get().and_then(Framing::of);
                self.carry.clear();
                Ok(At::Value)
            }
            (At::FieldStart | At::Name, _) if scan::is_token(byte) => {
                if self.at == At::FieldStart {
                    self.carry.clear();
                    self.lines += 1;
                }
                self.carry.push(byte);
                Ok(At::Name)
            }
            (At::Name, b'\r' | b'\t') => Err(Kind::FieldName),
            _ if scan::is_control(byte) => Err(Kind::ControlByte),
            _ => Err(Kind::FieldName),
        }
    }

    fn take_carried(&mut self, field: Framing) -> Result<(), Kind> {
        let carry = self.carry;
        // What is too long to be carried is no value of either field, and neither is this.
        self.take(field, carry.get().unwrap_or(b"?"))
    }

    /// Takes the value of a field that frames the message; in trailers it frames nothing.
    fn take(&mut self, field: Framing, value: &[u8]) -> Result<(), Kind> {
        if self.opening == Opening::Trailers {
            return Ok(());
        }
        if field == Framing::Coding && self.old {
            return Err(Kind::CodingInOldVersion);
        }
        self.fields.take(field, value, self.lenient)?;
        let both = self.fields.length.is_some() && self.fields.chunked;
        if both && self.opening == Opening::Request {
            return Err(Kind::LengthBesideCoding);
        }
        Ok(())
    }
}

fn line_feed(byte: u8, next: At) -> Result<At, Kind> {
    if byte == b'\n' {
        Ok(next)
    } else {
        Err(Kind::BareCarriageReturn)
    }
}

fn with_digit(number: u16, digit: u8) -> u16 {
    number * 10 + u16::from(digit - b'0')
}
