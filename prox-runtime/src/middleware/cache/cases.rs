//! The lines of the tables `tests/data/cache_*.txt`, for tests with sockets and without.

/// The lines of a table, less its comments.
pub(crate) fn lines(table: &str) -> impl Iterator<Item = &str> {
    let lines = table.lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The fields of a line.
pub(crate) fn fields(text: &str) -> Vec<(&str, &str)> {
    let fields = text.split('&').map(str::trim);
    let fields = fields.filter(|field| !field.is_empty());
    fields
        .map(|field| {
            let (name, value) = field.split_once(':').expect("a field");
            (name.trim(), value.trim())
        })
        .collect()
}
