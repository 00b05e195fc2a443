//! The parameters of the pattern of a route's path, such as `/users/{id: int}/{*rest}`.

/// The name in `{name}`, `{*name}` and `{name: int}`; nothing for any other segment.
pub(crate) fn name_of(segment: &str) -> Option<&str> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    let inner = inner.strip_prefix('*').unwrap_or(inner);
    let name = inner.split_once(':').map_or(inner, |(name, _)| name).trim();
    (!name.contains(['{', '}'])).then_some(name)
}

/// Whether the segment takes the rest of a path: `{*name}`.
pub(crate) fn is_rest(segment: &str) -> bool {
    segment.starts_with("{*")
}

/// The names of the parameters.
pub(crate) fn names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(name_of)
}

/// Cuts the value of `{name}` out of `path`, which `pattern` is known to take.
pub(crate) fn param<'p>(pattern: &str, path: &'p str, name: &str) -> Option<&'p str> {
    let mut rest = path.strip_prefix('/')?;
    for segment in pattern.strip_prefix('/')?.split('/') {
        if name_of(segment) == Some(name) {
            return if is_rest(segment) {
                Some(rest)
            } else {
                rest.split('/').next()
            };
        }
        rest = rest.split_once('/').map_or("", |(_, tail)| tail);
    }
    None
}

/// What a prefix pattern leaves of a path that it takes: empty, or with a leading slash.
///
/// A pattern that ends with `{*rest}` leaves nothing: what follows has a name, and is put where the template says.
pub(crate) fn remainder<'p>(pattern: &str, path: &'p str) -> &'p str {
    if pattern.rsplit('/').next().is_some_and(is_rest) {
        return "";
    }
    let segments = if pattern == "/" {
        0
    } else {
        pattern.matches('/').count()
    };
    let mut rest = path;
    for _ in 0..segments {
        let Some(inner) = rest.strip_prefix('/') else {
            return "";
        };
        rest = inner.find('/').map_or("", |at| &inner[at..]);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_their_kinds() {
        let all: Vec<_> = names("/a/{id: int}/{v: 'v1' | 'v2'}/{x}-{y}/{z}/{*rest}").collect();
        assert_eq!(all, ["id", "v", "z", "rest"]);
        assert!(is_rest("{*rest}") && !is_rest("{rest}"));
    }

    #[test]
    fn parameters_are_cut_out_by_name() {
        let pattern = "/v1/{tenant}/files/{*rest}";
        let path = "/v1/acme/files/a/b.txt";
        assert_eq!(param(pattern, path, "tenant"), Some("acme"));
        assert_eq!(param(pattern, path, "rest"), Some("a/b.txt"));
        assert_eq!(param(pattern, path, "id"), None);
    }

    #[test]
    fn a_parameter_before_the_rest_of_a_prefix_is_one_segment() {
        assert_eq!(param("/users/{id}", "/users/7/orders", "id"), Some("7"));
        assert_eq!(param("/users/{id}", "/users/7/", "id"), Some("7"));
        let typed = "/{v: 'v1' | 'v2'}/{id: int}";
        assert_eq!(param(typed, "/v2/7", "v"), Some("v2"));
        assert_eq!(param(typed, "/v2/7", "id"), Some("7"));
    }

    #[test]
    fn a_remainder_begins_behind_the_segments_of_the_pattern() {
        assert_eq!(remainder("/v1", "/v1/x"), "/x");
        assert_eq!(remainder("/v1", "/v1"), "");
        assert_eq!(remainder("/", "/x/y"), "/x/y");
        assert_eq!(remainder("/a/{b}", "/a/b/"), "/");
        assert_eq!(remainder("/a/{*rest}", "/a/b/c"), "");
    }
}
