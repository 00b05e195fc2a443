//! Text in aligned columns.

use std::fmt::{self, Write as _};

/// Rows of `N` texts under their headings, each column as wide as its widest text. With a precision, as in `{:.60}`, longer texts are
/// cut, but for those of the last column, so that a table stays readable in a terminal.
pub(crate) struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned)],
        }
    }

    /// Rows without headings.
    pub(crate) fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    fn widths(rows: &[[String; N]]) -> [usize; N] {
        let mut widths = [0; N];
        for row in rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        widths
    }
}

impl<const N: usize> fmt::Display for Columns<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.rows.clone();
        if let Some(widest) = f.precision() {
            for text in rows.iter_mut().flat_map(|row| row.iter_mut().take(N - 1)) {
                *text = shortened(text, widest);
            }
        }
        let widths = Self::widths(&rows);
        for row in &rows {
            // Writing into a string cannot fail.
            let mut line = String::new();
            for (text, width) in row.iter().zip(widths) {
                let _ = write!(line, "{text:width$}  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn shortened(text: &str, widest: usize) -> String {
    if text.chars().count() <= widest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(widest.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_only_where_it_is_asked_for_and_never_at_the_end() {
        let mut columns = Columns::new(["A", "B", "C"]);
        columns.row(["x".repeat(80), String::from("b"), "y".repeat(80)]);
        let whole = columns.to_string();
        assert!(whole.contains(&"x".repeat(80)), "{whole}");
        let cut = format!("{columns:.10}");
        let wanted = format!("{}…  b  {}", "x".repeat(9), "y".repeat(80));
        assert_eq!(cut.lines().nth(1), Some(wanted.as_str()));
        assert_eq!(cut.lines().next(), Some("A           B  C"));
    }
}
