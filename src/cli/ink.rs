//! Colour, only where a person looks: on a terminal, and never with `NO_COLOR` set.

use std::io::IsTerminal;

use fencepost::node::status::Summary;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// ANSI escapes.
    Colour,
    /// Plain text.
    Plain,
}

impl Ink {
    /// For standard output, after the conventions of <https://no-color.org>.
    pub(crate) fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if refused || dumb || !std::io::stdout().is_terminal() {
            Self::Plain
        } else {
            Self::Colour
        }
    }

    /// In the traffic light's colour.
    pub(crate) fn light(self, light: Summary, text: &str) -> String {
        self.paint(
            match light {
                Summary::Green => "32",
                Summary::Yellow => "33",
                Summary::Red => "31",
            },
            text,
        )
    }

    /// Headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
