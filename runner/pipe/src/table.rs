//! Columns of text for the terminal.

use crate::terminal::Terminal;

/// Widest cell of a column that is not the last; longer ones push the rest of their row.
const CELL_CHARS_MAX: usize = 48;

/// A heading and rows, two spaces between columns.
pub fn render(heading: &[&str], rows: &[Vec<String>], terminal: Terminal) -> String {
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.filter(|width| *width <= CELL_CHARS_MAX).chain([heading[column].len()]).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = terminal.dim(&line(&mut heading.iter().copied()));
    text.push('\n');
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        let terminal = Terminal { color: false, interactive: false };
        assert_eq!(render(&["X", "Y"], &rows, terminal), "X     Y\na     b\nlong\n");
    }
}
