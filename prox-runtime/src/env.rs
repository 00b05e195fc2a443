//! Configuration from the environment: every variable that is missing or malformed is reported in one error.

use std::{collections::BTreeSet, fmt::Display, str::FromStr, time::Duration};

use crate::{error::Error, route::EnvInfo, secret, time, vars::Env, words::nearest};

/// A type that an `env` line can read; the marker `M` is always inferred.
///
/// That is every [`FromStr`], `Vec<T>` of one (comma separated, blanks around the commas ignored), `Option<T>` of one
/// (`None` when the variable is not set), and [`Duration`] (`250ms`, `5s`, `2m`, `1h`) or an `Option` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from the environment",
    label = "this cannot be parsed from a string",
    note = "implement `std::str::FromStr` for it; a list is a `Vec<T>`, an optional variable an `Option<T>`"
)]
pub trait FromEnv<M>: Sized {
    /// Reads the variable's text.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, without the text itself.
    fn from_env(text: &str) -> Result<Self, String>;

    /// What stands for a variable that is not set, if anything does.
    fn missing() -> Option<Self> {
        None
    }
}

/// Marks a [`FromStr`].
#[derive(Debug)]
pub struct Parsed;

/// Marks a list.
#[derive(Debug)]
pub struct List;

/// Marks an [`Option`].
#[derive(Debug)]
pub struct Optional;

/// Marks a [`Duration`].
#[derive(Debug)]
pub struct Time;

#[diagnostic::do_not_recommend]
impl<T> FromEnv<Parsed> for T
where
    T: FromStr,
    T::Err: Display,
{
    fn from_env(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }
}

impl<T> FromEnv<List> for Vec<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn from_env(text: &str) -> Result<Self, String> {
        text.split(',')
            .enumerate()
            .map(|(index, item)| {
                item.trim()
                    .parse()
                    .map_err(|error: T::Err| format!("item {}: {error}", index + 1))
            })
            .collect()
    }
}

impl<T> FromEnv<Optional> for Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn from_env(text: &str) -> Result<Self, String> {
        T::from_env(text).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

/// Marks an [`Option`] of a [`Duration`].
#[derive(Debug)]
pub struct OptionalTime;

impl FromEnv<OptionalTime> for Option<Duration> {
    fn from_env(text: &str) -> Result<Self, String> {
        Duration::from_env(text).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl FromEnv<Time> for Duration {
    fn from_env(text: &str) -> Result<Self, String> {
        time::read(text).map_err(String::from)
    }
}

/// Reads one variable after the other, and remembers what is wrong with each.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    env: Env,
    /// The names of all that was asked for.
    asked: BTreeSet<&'static str>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    name: &'static str,
    /// What is said of the variable behind its name.
    said: String,
    is_missing: bool,
}

impl Reader {
    pub(crate) fn new(env: Env) -> Self {
        Self {
            env,
            ..Self::default()
        }
    }

    /// What it reads from.
    pub(crate) fn source(&self) -> &Env {
        &self.env
    }

    pub(crate) fn required<T: FromEnv<M>, M>(&mut self, info: &EnvInfo) -> Option<T> {
        match self.text(info) {
            Ok(Some(text)) => self.parse(info, &text),
            Ok(None) => T::missing().or_else(|| {
                self.say(info, "", true);
                None
            }),
            Err(problem) => {
                self.report(info, &problem);
                None
            }
        }
    }

    pub(crate) fn or<T: FromEnv<M>, M>(
        &mut self,
        info: &EnvInfo,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        self.or_text(info, || Ok(default()))
    }

    /// With a default that is a text, too.
    pub(crate) fn or_text<T: FromEnv<M>, M>(
        &mut self,
        info: &EnvInfo,
        default: impl FnOnce() -> Result<T, String>,
    ) -> Option<T> {
        match self.text(info) {
            Ok(Some(text)) => self.parse(info, &text),
            Ok(None) => default()
                .map_err(|problem| {
                    let shown = info.default.unwrap_or_default();
                    let problem = format!(
                        "has the default {shown}, which is not a {}: {problem}",
                        info.ty
                    );
                    self.report(info, &problem);
                })
                .ok(),
            Err(problem) => {
                self.report(info, &problem);
                None
            }
        }
    }

    /// The text of a variable. That of a secret may be in a file.
    fn text(&mut self, info: &EnvInfo) -> Result<Option<String>, String> {
        self.asked.insert(info.name);
        if info.is_secret() {
            self.env.secret(info.name)
        } else {
            self.env.get(info.name).map_err(String::from)
        }
    }

    fn parse<T: FromEnv<M>, M>(&mut self, info: &EnvInfo, text: &str) -> Option<T> {
        T::from_env(text)
            .map_err(|problem| {
                let shown = shown(info.name, text);
                self.report(
                    info,
                    &format!("is {shown}, which is not a {}: {problem}", info.ty),
                );
            })
            .ok()
    }

    fn report(&mut self, info: &EnvInfo, problem: &str) {
        self.say(info, problem, false);
    }

    fn say(&mut self, info: &EnvInfo, problem: &str, is_missing: bool) {
        use std::fmt::Write;
        let mut said = String::new();
        if is_missing {
            let _ = write!(said, " (expected: {}", info.ty);
            if info.is_secret() {
                let _ = write!(said, ", or {}_FILE with the path of a file", info.name);
            }
            said.push(')');
        } else {
            let _ = write!(said, " {problem}");
        }
        if !info.doc.is_empty() {
            let _ = write!(said, "; {}", info.doc.trim().trim_end_matches('.'));
        }
        if !info.needed_by.is_empty() {
            let _ = write!(said, "; needed by {}", info.needed_by);
        }
        self.problems.push(Problem {
            name: info.name,
            said,
            is_missing,
        });
    }

    /// Takes over what was wrong for another gateway; of a variable of both it is said once.
    pub(crate) fn extend(&mut self, other: Self) {
        self.asked.extend(other.asked);
        for problem in other.problems {
            if !self.problems.iter().any(|known| known.name == problem.name) {
                self.problems.push(problem);
            }
        }
    }

    /// Notes those of the variables that must be set and are not.
    pub(crate) fn unset(&mut self, variables: &[EnvInfo]) {
        let mut missing = Self::new(self.env.clone());
        let required = |info: &&EnvInfo| info.default.is_none() && !info.is_optional();
        for info in variables.iter().filter(required) {
            if matches!(missing.text(info), Ok(None)) {
                missing.say(info, "", true);
            }
        }
        self.extend(missing);
    }

    /// All that was wrong, in one error.
    pub(crate) fn error(&self) -> Option<Error> {
        if self.problems.is_empty() {
            return None;
        }
        let count = self.problems.len();
        let noun = if count == 1 { "variable" } else { "variables" };
        let missing = self.problems.iter().any(|problem| problem.is_missing);
        let set = if missing {
            self.env.names()
        } else {
            BTreeSet::new()
        };
        let mut text = format!("{count} environment {noun} missing or malformed:");
        for Problem {
            name,
            said,
            is_missing,
        } in &self.problems
        {
            text.push_str("\n  ");
            text.push_str(name);
            if *is_missing {
                text.push_str(" is not set");
                if let Some(near) = self.meant(name, &set) {
                    text.push_str(", but ");
                    text.push_str(near);
                    text.push_str(" is");
                }
            }
            text.push_str(said);
        }
        Some(Error::config(text))
    }

    /// A variable that is set, that nothing has asked for, and whose name is nearly this one.
    fn meant<'s>(&self, name: &str, set: &'s BTreeSet<String>) -> Option<&'s str> {
        let others = set.iter().map(String::as_str);
        nearest(name, others.filter(|other| !self.asked.contains(other)))
    }
}

/// The text of a malformed variable, unless it may hold a secret.
fn shown(name: &str, text: &str) -> String {
    if text.contains('@') || secret::is_named(name) {
        "a text (not shown, it may hold a secret)".into()
    } else if text.chars().count() > 60 {
        let start: String = text.chars().take(60).collect();
        format!("{start:?}...")
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_options_and_durations_are_read() {
        assert_eq!(Vec::<u16>::from_env("1, 2,3"), Ok(vec![1, 2, 3]));
        assert_eq!(Option::<u16>::from_env("7"), Ok(Some(7)));
        assert_eq!(<Option<u16> as FromEnv<Optional>>::missing(), Some(None));
        assert_eq!(Duration::from_env("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(
            Option::<Duration>::from_env("2m"),
            Ok(Some(Duration::from_mins(2)))
        );
        assert_eq!(
            <Option<Duration> as FromEnv<OptionalTime>>::missing(),
            Some(None)
        );
        assert!(Duration::from_env("5").is_err());
        assert!(Duration::from_env("99999999999999999999h").is_err());
    }

    #[test]
    fn the_place_of_a_wrong_item_is_said() {
        let error = Vec::<u16>::from_env("1,x").unwrap_err();
        assert!(error.starts_with("item 2: "), "{error}");
    }

    #[test]
    fn a_name_that_is_nearly_that_of_a_missing_variable_is_said() {
        let info = |name, ty| EnvInfo {
            name,
            ty,
            default: None,
            doc: "",
            needed_by: "",
        };
        let set = [
            ("USERS_ULR", "x"),
            ("RATES", "1"),
            ("KEY_FILES", "x"),
            ("EMPTI", ""),
        ];
        let mut reader = Reader::new(Env::from(set));
        let _: Option<String> = reader.required(&info("USERS_URL", "String"));
        let _: Option<u32> = reader.required(&info("RATE", "u32"));
        let _: Option<u32> = reader.required(&info("RATES", "u32"));
        let _: Option<String> = reader.required(&info("EMPTY", "String"));
        let said = format!("{:?}", reader.error().unwrap());
        assert!(
            said.contains(
                "3 environment variables missing or malformed:\n  \
                 USERS_URL is not set, but USERS_ULR is (expected: String)\n  \
                 RATE is not set (expected: u32)\n  \
                 EMPTY is not set (expected: String)"
            ),
            "{said}"
        );
    }

    #[test]
    fn a_secret_in_a_file_is_not_missing() {
        let info = EnvInfo {
            name: "KEY",
            ty: "Secret",
            default: None,
            doc: "",
            needed_by: "",
        };
        let own = std::env::current_exe().unwrap();
        let mut reader = Reader::new(Env::from([("KEY_FILE", own.display())]));
        reader.unset(&[info]);
        assert!(reader.problems.iter().all(|problem| !problem.is_missing));
    }

    #[test]
    fn a_text_that_may_hold_a_secret_is_not_shown() {
        assert!(!shown("API_TOKEN", "hunter2").contains("hunter2"));
        assert!(!shown("DB", "postgres://u:hunter2@db").contains("hunter2"));
        assert_eq!(shown("RATE", "ten"), "\"ten\"");
    }
}
