//! Text in aligned columns.

use std::iter;

/// Returns a header and rows as lines. Columns are as wide as their widest cell and two spaces apart.
#[must_use]
pub fn render<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Vec<String> {
    let lines: Vec<[String; N]> = iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    lines
        .iter()
        .map(|line| {
            let cells = iter::zip(line, widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_spaces() {
        let rows = [["é".to_owned(), "b".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(render(["A", "B"], rows), ["A     B", "é     b", "long"]);
    }
}
