//! Which paths the rule of a fake takes.

/// A pattern: `/people/{id}`, or `/files/*` for all that is below.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<String>,
    below: bool,
}

impl Pattern {
    /// Reads a pattern.
    #[track_caller]
    pub(super) fn new(text: &str) -> Self {
        assert!(
            text.starts_with('/') && !text.contains('?'),
            "`{text}` is not a pattern: expected a path, such as `/people/{{id}}`, without a query"
        );
        let (text, below) = match text.strip_suffix("/*") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let parts: Vec<String> = text.split('/').skip(1).map(str::to_owned).collect();
        for part in &parts {
            assert!(
                !part.contains(['{', '}', '*']) || name(part).is_some(),
                "`{part}` is not a part of a pattern: expected a text, or `{{name}}` as a whole part"
            );
        }
        Self { parts, below }
    }

    /// The values of its names, if it takes the path.
    pub(super) fn takes(&self, path: &str) -> Option<Vec<(String, String)>> {
        let found: Vec<&str> = path.split('/').skip(1).collect();
        let fits = if self.below {
            found.len() > self.parts.len()
        } else {
            found.len() == self.parts.len()
        };
        if !fits {
            return None;
        }
        let mut params = Vec::new();
        for (part, found) in self.parts.iter().zip(found) {
            match name(part) {
                Some(_) if found.is_empty() => return None,
                Some(name) => params.push((name.to_owned(), found.to_owned())),
                None if part == found => {}
                None => return None,
            }
        }
        Some(params)
    }
}

/// The name of a part that is one.
fn name(part: &str) -> Option<&str> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    let is_name = !name.is_empty() && !name.contains(['{', '}', '*']);
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_says() {
        let takes = |pattern: &str, path: &str| {
            let params = Pattern::new(pattern).takes(path)?;
            Some(
                params
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>()
                    .join(","),
            )
        };
        for (pattern, path, params) in [
            ("/", "/", Some("")),
            ("/", "/a", None),
            ("/a", "/a", Some("")),
            ("/a", "/a/", None),
            ("/a/{id}", "/a/7", Some("7")),
            ("/a/{id}", "/a/", None),
            ("/a/{id}", "/a/7/b", None),
            ("/{a}/{b}", "/1/2", Some("1,2")),
            ("/a/*", "/a/7/b", Some("")),
            ("/a/*", "/a", None),
            ("/*", "/", Some("")),
            ("/*", "/a/b", Some("")),
        ] {
            assert_eq!(takes(pattern, path).as_deref(), params, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["a", "/a?b", "/a{id}", "/{}", "/*/a"] {
            assert!(
                std::panic::catch_unwind(|| Pattern::new(wrong)).is_err(),
                "{wrong}"
            );
        }
    }
}
