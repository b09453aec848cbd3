//! `fencepost sync run`: a configured command on the backup, or on both nodes.

use std::path::Path;

use clap::Args;
use fencepost_sync::activation::Ended;
use fencepost_sync::client::Client;
use fencepost_sync::control::{Answer, Request};

use crate::cli::exit::{Exit, Failure};

/// Run a configured command on the backup, and show how it ended
///
/// On the Active. The name is one of `[[sync.activation]]`; one with `on = "both"` is run here first, and on the backup only if
/// it ends with 0. The exit code is the command's, or 1 if it was refused, took too long, or nobody knows how it ended.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Which
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run(socket: &Path, options: Options) -> Result<Exit, Failure> {
    let mut ended = (None, None);
    let name = options.name;
    Client::connect(socket)?.ask(Request::Run { name }, |answer| {
        if let Answer::Ran { here, backup } = answer {
            ended = (here, backup);
        }
    })?;
    let (here, backup) = ended;
    print!("{}", render(here.as_ref(), backup.as_ref()));
    let code = backup.or(here).map_or(1, |last| last.code);
    Ok(Exit::Program(code))
}

fn render(here: Option<&Ended>, backup: Option<&Ended>) -> String {
    let one = |place: &str, ended: &Ended| {
        let said = match ended.output.is_empty() {
            true => String::new(),
            false => format!("{}\n", ended.output),
        };
        format!("{place}: exit code {}\n{said}", ended.code)
    };
    let mut text = here.map_or_else(String::new, |ended| one("here", ended));
    match (here, backup) {
        (_, Some(ended)) => text.push_str(&one("on the backup", ended)),
        (Some(_), None) => text.push_str("on the backup: not run, because it failed here\n"),
        (None, None) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: u8, output: &str) -> Ended {
        Ended {
            code,
            output: output.to_owned(),
        }
    }

    #[test]
    fn both_ends_are_shown() {
        let (here, there) = (ended(0, ""), ended(3, "line 7"));
        assert_eq!(
            render(Some(&here), Some(&there)),
            "here: exit code 0\non the backup: exit code 3\nline 7\n"
        );
        assert_eq!(
            render(Some(&there), None),
            "here: exit code 3\nline 7\non the backup: not run, because it failed here\n"
        );
    }
}
