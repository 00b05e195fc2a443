//! Files of variables: `--env-file PATH`.

use std::fmt::Write as _;

/// The variables of a file, with the lines in which they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EnvFile {
    path: String,
    variables: Vec<(usize, String, String)>,
}

impl EnvFile {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with its line and without values.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("the file {path:?} of variables cannot be read: {error}"))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("the file {path:?} of variables is not valid UTF-8"))?;
        Self::parse(path, &text)
    }

    /// Reads `NAME=value`, one in a line. `#` starts a comment at the start of a line, and after a space in a value without quotes.
    /// In single quotes a value is as it is; in double quotes `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are what they are elsewhere.
    /// Nothing is substituted.
    fn parse(path: &str, text: &str) -> Result<Self, String> {
        let mut variables: Vec<(usize, String, String)> = Vec::new();
        let mut problems = String::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = match assignment(line) {
                Ok((name, value)) => {
                    let first = variables.iter().find(|(_, known, _)| known == name);
                    let Some((first, ..)) = first else {
                        variables.push((number, name.to_owned(), value));
                        continue;
                    };
                    format!("duplicate {name}: it is in line {first} too")
                }
                Err(problem) => problem,
            };
            // Writing into a string cannot fail.
            let _ = write!(problems, "\n  {path}:{number}: {problem}");
        }
        if problems.is_empty() {
            let path = path.to_owned();
            Ok(Self { path, variables })
        } else {
            Err(format!("malformed file of variables:{problems}"))
        }
    }

    /// The names and the values.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.variables.iter();
        variables.map(|(_, name, value)| (&**name, &**value))
    }

    /// A warning for each name that is not among the known ones.
    pub(super) fn unknown<'f>(
        &'f self,
        is_known: impl Fn(&str) -> bool + 'f,
    ) -> impl Iterator<Item = String> + 'f {
        let unknown = self
            .variables
            .iter()
            .filter(move |(_, name, _)| !is_known(name));
        unknown.map(|(line, name, _)| {
            format!("{}:{line}: this gateway does not read {name}", self.path)
        })
    }
}

/// The name and the value of a line.
fn assignment(line: &str) -> Result<(&str, String), String> {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line
        .split_once('=')
        .ok_or("expected `NAME=value`, found no `=`")?;
    let name = name.trim_end();
    let mut letters = name.chars();
    let first = letters.next().ok_or("expected a name before `=`")?;
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !is_letter(first) || !letters.all(|c| is_letter(c) || c.is_ascii_digit()) {
        return Err(format!("{name:?} is not a name of a variable"));
    }
    let value = value.trim_start();
    let (value, behind) = match value.chars().next() {
        Some('\'') => single(&value[1..])?,
        Some('"') => double(&value[1..])?,
        _ => return Ok((name, plain(value).to_owned())),
    };
    let behind = behind.trim_start();
    if behind.is_empty() || behind.starts_with('#') {
        Ok((name, value))
    } else {
        Err(format!(
            "the value of {name} goes on behind its quotes: remove what is there"
        ))
    }
}

/// A value without quotes, up to a comment.
fn plain(value: &str) -> &str {
    let comment = value.match_indices('#').find(|(at, _)| {
        let before = &value[..*at];
        before.is_empty() || before.ends_with(char::is_whitespace)
    });
    comment.map_or(value, |(at, _)| &value[..at]).trim_end()
}

fn single(text: &str) -> Result<(String, &str), String> {
    let (value, behind) = text
        .split_once('\'')
        .ok_or("missing `'` at the end of the value")?;
    Ok((value.to_owned(), behind))
}

fn double(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        value.push(match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, same @ ('"' | '\\' | '$'))) => same,
                _ => {
                    return Err(String::from(
                        "unknown escape in double quotes: write the value in single quotes",
                    ));
                }
            },
            other => other,
        });
    }
    Err(String::from("missing `\"` at the end of the value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let file = EnvFile::parse("gateway.env", text).unwrap();
        let pairs = file.variables();
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn values_are_read_as_they_are_written_elsewhere() {
        for (line, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("A=", ""),
            ("A=b c", "b c"),
            ("A=b # why", "b"),
            ("A=# why", ""),
            ("A=b#c", "b#c"),
            ("A=http://a/?b=c&d=$e", "http://a/?b=c&d=$e"),
            ("A='b # \"c\" \\n $d'", "b # \"c\" \\n $d"),
            ("A='b' # why", "b"),
            ("A=\"b\\n\\\"c\\\" \\\\ \\$d $e\"", "b\n\"c\" \\ $d $e"),
            ("A=\"\"", ""),
            ("A=\u{e4}'", "\u{e4}'"),
            ("A=b\r", "b"),
        ] {
            assert_eq!(
                values(line),
                [(String::from("A"), String::from(value))],
                "{line}"
            );
        }
        let file = "\u{feff}# a file\n\nA=1\r\n  # more\nB='2'\n";
        assert_eq!(values(file).len(), 2);
        assert_eq!(values(""), []);
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_line_and_without_values() {
        let text = "A=1\nhunter2\n=hunter2\n1A=hunter2\nB='hunter2\nC=\"hunter2\nD='x' hunter2\nE=\"\\q\"\nA=hunter2\nF G=hunter2";
        let problem = EnvFile::parse("gateway.env", text).unwrap_err();
        assert_eq!(
            problem,
            "malformed file of variables:\n  \
             gateway.env:2: expected `NAME=value`, found no `=`\n  \
             gateway.env:3: expected a name before `=`\n  \
             gateway.env:4: \"1A\" is not a name of a variable\n  \
             gateway.env:5: missing `'` at the end of the value\n  \
             gateway.env:6: missing `\"` at the end of the value\n  \
             gateway.env:7: the value of D goes on behind its quotes: remove what is there\n  \
             gateway.env:8: unknown escape in double quotes: write the value in single quotes\n  \
             gateway.env:9: duplicate A: it is in line 1 too\n  \
             gateway.env:10: \"F G\" is not a name of a variable"
        );
        assert!(!problem.contains("hunter2"));
        let problem = EnvFile::read("/does/not/exist").unwrap_err();
        assert!(problem.starts_with("the file \"/does/not/exist\" of variables cannot be read: "));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = EnvFile::parse("gateway.env", &text);
        }
    }
}
