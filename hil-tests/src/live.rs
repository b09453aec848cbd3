//! A terminal on which lines scroll above a block that is painted over; elsewhere there are only the lines.

use std::io::Write as _;
use std::time::Duration;

pub(crate) const GREEN: &str = "32";
pub(crate) const AMBER: &str = "33";
pub(crate) const RED: &str = "1;31";
pub(crate) const SOFT: &str = "2";
pub(crate) const BOLD: &str = "1";

/// Whether somebody looks at a terminal, and whether it shall be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Lines, nothing else.
    Plain,
    /// A live block, without colours (`NO_COLOR`).
    Live,
    /// A live block in colours.
    Coloured,
}

impl Ink {
    pub(crate) fn of(terminal: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match terminal && !dumb {
            false => Self::Plain,
            true if std::env::var_os("NO_COLOR").is_some() => Self::Live,
            true => Self::Coloured,
        }
    }

    pub(crate) fn live(self) -> bool {
        self != Self::Plain
    }

    pub(crate) fn tint(self, colour: &str, text: &str) -> String {
        if self == Self::Coloured {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Time since the beginning, for the front of a line.
    pub(crate) fn clock(self, since: Duration) -> String {
        self.tint(SOFT, &format!("{:7.1} s", since.as_secs_f64()))
    }
}

/// The block on the terminal now.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Its lines.
    painted: usize,
}

impl Block {
    /// A line above the block, which the next turn paints again.
    pub(crate) fn print_above(&mut self, line: &str) {
        let text = format!("{}{line}\n", self.wipe());
        put(&text);
    }

    /// Paints it, over what it was.
    pub(crate) fn paint(&mut self, block: &str) {
        let text = format!("{}{block}", self.wipe());
        self.painted = block.lines().count();
        put(&text);
    }

    /// Leaves the terminal without it.
    pub(crate) fn end(&mut self) {
        let text = format!("{}\n", self.wipe());
        put(&text);
    }

    /// Removes its lines above the cursor.
    fn wipe(&mut self) -> String {
        match std::mem::take(&mut self.painted) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that went away must not end the demo's clean-up.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
