//! Tables of cases in `tests/data`, for tests with sockets and without.
//!
//! A case is a block of lines `key: value` with a blank line behind it. A line that begins with `#` is a comment.

/// One case of a table.
#[derive(Debug)]
pub(crate) struct Case(Vec<(String, String)>);

impl Case {
    /// All cases of a table.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let mut cases = vec![Self(Vec::new())];
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.is_empty() {
                cases.push(Self(Vec::new()));
                continue;
            }
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{line:?}"));
            if let Some(case) = cases.last_mut() {
                case.0.push((key.to_owned(), value.trim().to_owned()));
            }
        }
        cases.retain(|case| !case.0.is_empty());
        cases
    }

    /// The values of a key, which may be there several times.
    pub(crate) fn each(&self, key: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(own, _)| own == key);
        values.map(|(_, value)| &**value).collect()
    }

    /// The only value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let values = self.each(key);
        assert!(values.len() < 2, "{key} is there twice: {self:?}");
        values.first().copied()
    }

    /// The values of a key that are fields, as names and values.
    pub(crate) fn fields(&self, key: &str) -> Vec<(&str, &str)> {
        let fields = self.each(key).into_iter().map(|field| {
            let (name, value) = field.split_once(':').unwrap_or_else(|| panic!("{field:?}"));
            (name, value.trim())
        });
        fields.collect()
    }
}
