//! A text that must not be shown.

use std::{convert::Infallible, fmt, str::FromStr, sync::Arc};

/// A secret: a password, a key, or a URL that has one.
///
/// It is read from the environment by a line `env KEY: Secret;`, or parsed. The variable may be in a file: `KEY_FILE` names it, one line
/// end of its content is cut off, and both at once are an error. There is no conversion from a literal, so that a
/// secret in the source is at least seen. `Debug` and `Display` say nothing of it.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Secret;
///
/// let secret: Secret = "hunter2".parse()?;
/// assert_eq!(secret.expose(), "hunter2");
/// assert_eq!(format!("{secret:?}"), "(secret)");
/// # Ok::<_, std::convert::Infallible>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The same as `Debug`: a secret in a message is not the text.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Whether what has this name may be a secret, whatever its type: a variable, a field, a part of a query.
pub(crate) fn is_named(name: &str) -> bool {
    const WORDS: [&str; 6] = ["token", "secret", "key", "password", "passwd", "credential"];
    let name = name.to_ascii_lowercase();
    WORDS.into_iter().any(|word| name.contains(word))
}
