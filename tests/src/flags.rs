//! Command-line flags of the benchmark programs: `--name value`, nothing else.

use std::{fmt::Display, str::FromStr};

/// The value of `--name` on the command line, or `default` where it is not given.
///
/// # Errors
///
/// A message for the terminal: the flag stands without a value, the value does not parse, or the flag is missing and
/// there is no default.
pub fn flag<T>(name: &str, default: Option<T>) -> Result<T, String>
where
    T: FromStr,
    T::Err: Display,
{
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument.strip_prefix("--") == Some(name) {
            let value = arguments
                .next()
                .ok_or_else(|| format!("expected a value after `--{name}`"))?;
            return value
                .parse()
                .map_err(|error| format!("bad value `{value}` for `--{name}`: {error}"));
        }
    }
    default.ok_or_else(|| format!("missing `--{name}`"))
}
