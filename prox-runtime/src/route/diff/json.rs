//! A reader of JSON (RFC 8259) with bounds: what `routes --json` wrote is read without a crate for it.

/// How deep values may stand in each other.
const DEEPEST: usize = 24;

/// The most names of an object.
const MOST_NAMES: usize = 64;

/// The most bytes of a file.
const LONGEST: usize = 64 << 20;

/// A value, with the line that it starts in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// In the order of the text; each name once.
    Object(Vec<(String, Value)>),
}

/// Reads the only value of a text, or says what is wrong with it, and where.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.len() > LONGEST {
        return Err(format!(
            "longer than {} MiB: a table of routes is not so long",
            LONGEST >> 20
        ));
    }
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        start: 0,
    };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("the end of the file")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    /// Where the line starts.
    start: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.start = self.at;
            }
        }
    }

    /// What is wrong here.
    fn wrong(&self, expected: &str) -> String {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest.chars().next() {
            None => String::from("the end of the file"),
            Some(character) => format!("{character:?}"),
        };
        self.problem(&format!("expected {expected}, found {found}"))
    }

    fn problem(&self, what: &str) -> String {
        let before = self.text.get(self.start..self.at).unwrap_or_default();
        let column = before.chars().count() + 1;
        format!("line {}, column {column}: {what}", self.line)
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.space();
        if depth > DEEPEST {
            return Err(self.problem("nested too deep for a table of routes"));
        }
        let line = self.line;
        let kind = match self.peek() {
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'[') => self.list(depth)?,
            Some(b'{') => self.object(depth)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Value { line, kind })
    }

    fn word(&mut self) -> Result<Kind, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words = [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ];
        let found = words.into_iter().find(|(word, _)| rest.starts_with(word));
        let (word, kind) = found.ok_or_else(|| self.wrong("a value of JSON"))?;
        self.at += word.len();
        Ok(kind)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, String> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Kind::List(items));
            }
            if !self.eat(b',') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, String> {
        self.at += 1;
        let mut pairs: Vec<(String, Value)> = Vec::new();
        if self.eat(b'}') {
            return Ok(Kind::Object(pairs));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes"));
            }
            let name = self.string()?;
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(self.problem(&format!("duplicate name `{name}`")));
            }
            if pairs.len() == MOST_NAMES {
                return Err(self.problem("more names than a route has"));
            }
            if !self.eat(b':') {
                return Err(self.wrong("`:`"));
            }
            pairs.push((name, self.value(depth + 1)?));
            if self.eat(b'}') {
                return Ok(Kind::Object(pairs));
            }
            if !self.eat(b',') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), String> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong("a digit"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, String> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Kind::Number(text.to_owned()))
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let end = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ');
            let Some(end) = end else {
                self.at = self.text.len();
                return Err(self.wrong("`\"`"));
            };
            text.push_str(rest.get(..end).unwrap_or_default());
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.problem("a control character in a string; write `\\n`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.unit()?;
                let rest = self.text.get(self.at..).unwrap_or_default();
                let units = if (0xd800..0xdc00).contains(&first) && rest.starts_with("\\u") {
                    self.at += 2;
                    vec![first, self.unit()?]
                } else {
                    vec![first]
                };
                let mut characters = char::decode_utf16(units);
                match characters.next() {
                    Some(Ok(character)) => character,
                    _ => return Err(self.problem("a malformed `\\u` escape")),
                }
            }
            _ => {
                self.at -= 1;
                return Err(self.wrong("an escape such as `\\n`"));
            }
        })
    }

    /// Four digits.
    fn unit(&mut self) -> Result<u16, String> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unit = hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten();
        let unit = unit.ok_or_else(|| self.problem("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coding::quoted;

    fn text(json: &str) -> Option<String> {
        match read(json).ok()?.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn values_are_read_with_their_lines() {
        let value = read("[1,\n {\"a\":[]}, null,true , -0.5e+3\n]\n").unwrap();
        let Kind::List(items) = value.kind else {
            panic!("a list");
        };
        let lines: Vec<usize> = items.iter().map(|item| item.line).collect();
        assert_eq!(lines, [1, 2, 2, 2, 2]);
        assert_eq!(items[4].kind, Kind::Number("-0.5e+3".into()));
        assert_eq!(
            text(r#""\u00e4\ud83d\ude00\/\"""#).unwrap(),
            "\u{e4}\u{1f600}/\""
        );
    }

    #[test]
    fn what_is_malformed_is_named_with_its_place() {
        for (json, wanted) in [
            (
                "",
                "line 1, column 1: expected a value of JSON, found the end of the file",
            ),
            (
                "[1,]",
                "line 1, column 4: expected a value of JSON, found ']'",
            ),
            (
                "[\n  1 2]",
                "line 2, column 5: expected `,` or `]`, found '2'",
            ),
            (
                "{a:1}",
                "line 1, column 2: expected a name in quotes, found 'a'",
            ),
            ("{\"a\" 1}", "line 1, column 6: expected `:`, found '1'"),
            ("{\"a\":1,\"a\":2}", "line 1, column 11: duplicate name `a`"),
            (
                "\"a",
                "line 1, column 3: expected `\"`, found the end of the file",
            ),
            (
                "\"a\n\"",
                "line 1, column 3: a control character in a string; write `\\n`",
            ),
            (
                "\"\\x\"",
                "line 1, column 3: expected an escape such as `\\n`, found 'x'",
            ),
            ("\"\\ud800\"", "line 1, column 8: a malformed `\\u` escape"),
            (
                "\"\\u12\u{e4}\"",
                "line 1, column 4: expected four hexadecimal digits",
            ),
            (
                "01",
                "line 1, column 2: expected the end of the file, found '1'",
            ),
            (
                "1.",
                "line 1, column 3: expected a digit, found the end of the file",
            ),
        ] {
            assert_eq!(read(json).unwrap_err(), wanted, "{json}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&deep(DEEPEST)).is_ok());
        assert!(read(&deep(9999)).unwrap_err().contains("nested too deep"));
    }

    proptest! {
        #[test]
        fn a_string_is_what_was_quoted(wanted in ".*") {
            prop_assert_eq!(text(&quoted(&wanted)), Some(wanted));
        }

        #[test]
        fn any_text_is_read_or_refused(json in "[\\[\\]{}\",:\\\\u0-9eE.+ntrf\n -]{0,60}") {
            let _ = read(&json);
        }
    }
}
