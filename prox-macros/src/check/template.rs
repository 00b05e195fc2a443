//! Templates with parameters, `/v2/{id}`: the path of a rewrite, and the location of a redirect.

use std::ops::Range;

use crate::{diag::Flaw, syntax::pattern::encoded};

/// Where a template names parameters, and how they are called.
pub(super) fn names(template: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = template.get(at..).and_then(|rest| rest.find('{')) {
        let open = at + open;
        let Some(close) = template.get(open..).and_then(|rest| rest.find('}')) else {
            break;
        };
        let close = open + close;
        let name = template.get(open + 1..close).unwrap_or_default();
        found.push((open..close + 1, name.strip_prefix('*').unwrap_or(name)));
        at = close + 1;
    }
    found
}

/// A brace that is opened and not closed.
pub(super) fn unclosed(template: &str) -> Option<Flaw> {
    let open = template.rfind('{')?;
    let closed = template.get(open..).unwrap_or_default().contains('}');
    (!closed).then(|| Flaw {
        at: open..open + 1,
        message: String::from("unclosed `{`"),
        help: String::from("write a parameter as `{name}`"),
    })
}

/// The first character that `what` cannot have as it is.
pub(super) fn characters(template: &str, what: &str) -> Option<Flaw> {
    let at = template.find(is_refused)?;
    let character = template.get(at..)?.chars().next()?;
    Some(Flaw {
        at: at..at + character.len_utf8(),
        message: format!("spaces, backslashes and non-ASCII characters are not allowed in {what}"),
        help: format!("write `\"{}\"`", mended(template)),
    })
}

fn is_refused(character: char) -> bool {
    !character.is_ascii_graphic() || character == '\\'
}

/// The template with such characters percent-encoded; the name of a parameter is without them.
fn mended(template: &str) -> String {
    let mut mended = String::new();
    let mut at = 0;
    for (place, _) in names(template) {
        mended += &encoded(template.get(at..place.start).unwrap_or_default(), "\\");
        let name = template.get(place.clone()).unwrap_or_default();
        mended.extend(name.chars().filter(|character| !is_refused(*character)));
        at = place.end;
    }
    mended + &encoded(template.get(at..).unwrap_or_default(), "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mended_template_has_nothing_that_is_refused() {
        for (template, mended) in [
            ("/a b/{id}", "/a%20b/{id}"),
            ("/a\\b", "/a%5Cb"),
            ("/ü/{*rest}/ ", "/%C3%BC/{*rest}/%20"),
            ("/x/{ id }", "/x/{id}"),
        ] {
            let flaw = characters(template, "a template").unwrap();
            assert_eq!(flaw.help, format!("write `\"{mended}\"`"));
            assert!(characters(mended, "a template").is_none(), "{mended}");
        }
    }
}
