//! Text in aligned columns.

use std::fmt::{self, Write as _};

/// Longer texts are cut, so that a table stays readable in a terminal.
const WIDEST: usize = 60;

/// Rows of `N` texts under their headings, each column as wide as its widest text.
pub(super) struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned)],
        }
    }

    pub(super) fn row(&mut self, row: [String; N]) {
        self.rows.push(row.map(|text| shortened(&text)));
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        widths
    }
}

impl<const N: usize> fmt::Display for Columns<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
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

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(WIDEST - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_lines_end_without_spaces() {
        let mut columns = Columns::new(["A", "B"]);
        columns.row(["x".repeat(80), String::new()]);
        let text = columns.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].len(), WIDEST + 3);
        assert_eq!(lines[1].chars().count(), WIDEST);
        assert!(lines[1].ends_with('…'));
    }
}
