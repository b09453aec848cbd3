//! Programs of the host, run to their end, with their words in the error.

use std::process::Command;

use crate::error::{AtPath, Result, RigError};

/// Longest tail of a failed program's output that an error repeats, bytes.
const TAIL: usize = 2000;

/// Runs it; its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    // Answers are parsed: they must not be translated.
    let done = command
        .env("LC_ALL", "C")
        .output()
        .at("cannot run", command.get_program())?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(TAIL)..]).into_owned();
    Err(RigError::Command {
        command: format!("{command:?}"),
        status: done.status.to_string(),
        output: said,
    })
}
