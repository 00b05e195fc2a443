//! Templates for the path that an upstream sees.

/// A path with the parameters of a route in it, such as `/people/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Param(String),
    Unclosed,
}

impl Template {
    /// Takes a template apart; what is wrong with it is said by [`check`](Self::check).
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            push_text(&mut parts, before);
            rest = if let Some((name, after)) = after.split_once('}') {
                let name = name.strip_prefix('*').unwrap_or(name);
                parts.push(Part::Param(name.to_owned()));
                after
            } else {
                parts.push(Part::Unclosed);
                ""
            };
        }
        push_text(&mut parts, rest);
        Self {
            text: text.to_owned(),
            parts,
        }
    }

    /// Whether the template makes a path, whatever the parameters are.
    pub(crate) fn check(&self) -> Result<(), String> {
        let text = &self.text;
        if self.parts.contains(&Part::Unclosed) {
            return Err(format!("rewrite {text:?} has a `{{` that is not closed"));
        }
        if !text.starts_with('/') {
            return Err(format!("rewrite {text:?} must begin with `/`"));
        }
        if text
            .bytes()
            .any(|byte| matches!(byte, 0..=0x20 | 0x7f.. | b'?' | b'#' | b'\\'))
        {
            return Err(format!(
                "rewrite {text:?} must be a path alone, percent-encoded, without `?` and `#`"
            ));
        }
        Ok(())
    }

    /// The names of parameters that the template uses.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Param(name) => Some(name.as_str()),
            Part::Text(_) | Part::Unclosed => None,
        })
    }

    /// The text of the template, as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Fills the parameters in, and puts `remainder` and the query behind.
    pub(crate) fn render<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
        remainder: &str,
        query: Option<&str>,
    ) -> String {
        let mut out = String::with_capacity(self.text.len() + remainder.len() + 32);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Param(name) => out.push_str(value(name).unwrap_or_default()),
                Part::Unclosed => {}
            }
        }
        if !remainder.is_empty() {
            if out.ends_with('/') {
                out.pop();
            }
            out.push_str(remainder);
        }
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
        out
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_remainder_and_query_are_put_in_their_places() {
        let template = Template::new("/people/{id}");
        let value = |name: &str| (name == "id").then_some("7");
        assert_eq!(template.render(value, "", None), "/people/7");
        assert_eq!(
            template.render(value, "/orders", Some("a=1")),
            "/people/7/orders?a=1"
        );
    }

    #[test]
    fn a_remainder_never_doubles_the_slash() {
        assert_eq!(Template::new("/").render(|_| None, "/x", None), "/x");
    }

    #[test]
    fn what_makes_no_path_is_refused() {
        for text in ["people", "/a/{id", "/a?x=1", "/a b", "/ä"] {
            assert!(Template::new(text).check().is_err(), "{text}");
        }
        assert!(Template::new("/people/{id}").check().is_ok());
    }
}
