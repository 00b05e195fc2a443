//! Media types: those of messages, and lists of them in options.

#[cfg(feature = "validate")]
use http::{HeaderMap, header};

#[cfg(feature = "validate")]
use super::fields;

/// A media type, or all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaType(String);

impl MediaType {
    /// Reads a list, and returns what is wrong with the others.
    pub(super) fn list<T: AsRef<str>>(
        types: impl IntoIterator<Item = T>,
    ) -> (Vec<Self>, Vec<String>) {
        let (mut list, mut problems) = (Vec::new(), Vec::new());
        for kind in types {
            match Self::new(kind.as_ref()) {
                Ok(kind) => list.push(kind),
                Err(problem) => problems.push(problem),
            }
        }
        (list, problems)
    }

    /// Reads `application/json`, or `text/*`.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to write.
    fn new(text: &str) -> Result<Self, String> {
        let kind = text.trim().to_ascii_lowercase();
        let token = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !text.is_empty() && text.bytes().all(is_part)
        };
        let parts = kind.split_once('/');
        if parts.is_some_and(|(one, other)| token(one) && (other == "*" || token(other))) {
            return Ok(Self(kind));
        }
        Err(format!(
            "{kind:?} is not a media type: write one such as \"application/json\" or \"text/*\""
        ))
    }

    /// Whether a type, in lower case and without parameters, is this one.
    pub(super) fn is(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == self.0,
        }
    }

    #[cfg(feature = "validate")]
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// The type of a message in lower case, without its parameters. There is none if there are several.
#[cfg(feature = "validate")]
pub(super) fn of(headers: &HeaderMap) -> Option<String> {
    let kind = fields::only(headers, header::CONTENT_TYPE)?;
    let kind = kind.to_str().ok()?.split(';').next()?;
    Some(kind.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_itself_or_one_of_its_kind() {
        let json = MediaType::new(" Application/JSON").unwrap();
        assert!(json.is("application/json") && !json.is("application/json2"));
        let text = MediaType::new("text/*").unwrap();
        assert!(text.is("text/html") && !text.is("texts/html") && !text.is("text"));
        for wrong in ["", "json", "a/", "/a", "a/b/c", "*/*", "a/b;c", "a b/c"] {
            assert!(MediaType::new(wrong).is_err(), "{wrong}");
        }
    }
}
