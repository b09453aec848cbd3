//! What two nodes that talk have in common, and what keeps them from being a pair.

use std::fmt::Write as _;

use clap::Args;
use fencepost::control::AgentStatus;
use fencepost::node::pair::preflight::{Finding, Fit};
use fencepost::node::policy::Commissioning;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{Global, status};

#[derive(Debug, Args)]
pub(crate) struct PreflightOptions {
    /// One JSON array of { fit, sentence }
    #[arg(long)]
    json: bool,
}

pub(super) fn preflight(global: &Global, options: &PreflightOptions) -> Result<Exit, Failure> {
    let found = findings(&status::fetch(global)?)?;
    if options.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print!("{}", render(&found));
    }
    let refused = found.iter().any(|finding| finding.fit == Fit::Refused);
    Ok(if refused { Exit::Failed } else { Exit::Done })
}

fn findings(status: &AgentStatus) -> Result<Vec<Finding>, Failure> {
    let Some(pair) = &status.node.pair else {
        return Err(Failure::failed(
            "this node is not half of a pair: its configuration has no [pair]",
        ));
    };
    let mut found = pair.preflight.clone();
    if status.node.commissioning == Commissioning::Missing {
        found.push(Finding {
            fit: Fit::Refused,
            sentence: "the wiring of this board was never proven: run `fencepost board commission`"
                .to_owned(),
        });
    }
    Ok(found)
}

fn render(found: &[Finding]) -> String {
    found.iter().fold(String::new(), |mut text, finding| {
        let word = match finding.fit {
            Fit::Good => "ok",
            Fit::Warns => "warning",
            Fit::Refused => "REFUSED",
        };
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{word:<8} {}", finding.sentence);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn every_finding_is_a_line_and_a_board_that_was_never_proven_is_one() {
        let mut status = sample::healthy();
        assert!(
            findings(&status).is_err(),
            "a single appliance has no peer to compare with"
        );
        status.node.pair = Some(sample::backup());
        let found = findings(&status).unwrap();
        assert_eq!(render(&found), "ok       both run fencepost 0.1.0\n");
        status.node.commissioning = Commissioning::Missing;
        let found = findings(&status).unwrap();
        assert!(render(&found).contains("\nREFUSED  the wiring of this board"));
    }
}
