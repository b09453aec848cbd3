//! Aligned columns.

use super::ink::Ink;

/// Rows under a heading.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// All of it, the heading dimmed. The last column is as wide as it likes.
    pub(crate) fn render(&self, ink: Ink) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|c| width(c))
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, wide) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(wide - width(cell) + 2));
            }
            let line = line.trim_end();
            text.push_str(&if number == 0 {
                ink.dim(line)
            } else {
                line.to_owned()
            });
            text.push('\n');
        }
        text
    }
}

/// What is seen of it: a colour takes no room.
fn width(cell: &str) -> usize {
    let mut parts = cell.split("\x1b[");
    let plain = parts.next().map_or(0, |part| part.chars().count());
    let after = |part: &str| {
        part.split_once('m')
            .map_or(0, |(_, rest)| rest.chars().count())
    };
    plain + parts.map(after).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        table.row(vec![
            "µs".to_owned(),
            "x".to_owned(),
            "end of line".to_owned(),
        ]);
        assert_eq!(
            table.render(Ink::Plain),
            "A   LONG  C\nµs  x     end of line\n"
        );
    }

    #[test]
    fn a_colour_takes_no_room() {
        let red = Ink::Colour.light(fencepost::node::status::Summary::Red, "NO");
        assert_eq!(width(&red), 2);
        assert_eq!(width("a[31mb"), 6);
    }
}
