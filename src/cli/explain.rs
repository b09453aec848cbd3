//! `fencepost explain`: why this node serves, or why it does not.

use std::fmt::Write as _;

use clap::Args;
use fencepost::control::{Answer, Request};
use fencepost::node::pair::{PairStatus, Refusal};
use fencepost::wire::Role;

use super::exit::{Exit, Failure};
use super::{Global, agent_link};

/// Say why this node serves, or every reason why it does not take over
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object: role, proof, would_take_over, reasons, and both again for the case that the peer died now
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let path = agent_link::socket(global);
    let status = match agent_link::connect(global)?.ask(Request::Status)? {
        Answer::Status(status) => status,
        other => return Err(agent_link::foreign(&path, &other).into()),
    };
    let Some(pair) = &status.node.pair else {
        return Err(Failure::failed(
            "this node is not half of a pair: its configuration has no [pair]",
        ));
    };
    if options.json {
        println!("{}", json(pair));
    } else {
        print!("{}", explain(pair));
    }
    Ok(Exit::Done)
}

fn reasons(refusals: &[Refusal]) -> Vec<String> {
    refusals.iter().map(ToString::to_string).collect()
}

fn json(pair: &PairStatus) -> serde_json::Value {
    serde_json::json!({
        "role": pair.role,
        "proof": pair.proof,
        "would_take_over": pair.refusals.is_empty(),
        "reasons": reasons(&pair.refusals),
        "would_take_over_if_peer_died": pair.if_peer_died.is_empty(),
        "reasons_if_peer_died": reasons(&pair.if_peer_died),
    })
}

fn explain(pair: &PairStatus) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |said: &str| {
        let _infallible = writeln!(text, "{said}");
    };
    if pair.role == Role::Active {
        let proof = pair.proof.as_deref().unwrap_or("nothing");
        line(&format!("This node is Active in epoch {}.", pair.epoch));
        line(&format!("Its right rests on: {proof}."));
        if pair.bound {
            line(
                "It ends by itself if the peer acknowledges nothing: the dead-man opens the relays.",
            );
        }
        if let Some(fault) = pair.services.as_ref().and_then(|it| it.fault.as_ref()) {
            line(&format!("Its services are not up: {fault}."));
        }
        return text;
    }
    line(&format!("This node is {:?}.", pair.role));
    if let Some(claim) = &pair.claim {
        line(&format!("It is taking over: {claim}."));
    }
    if pair.refusals.is_empty() {
        line("It would take over now.");
    } else {
        line("It does not take over now, because:");
        for reason in reasons(&pair.refusals) {
            line(&format!("  - {reason}"));
        }
    }
    if pair.if_peer_died.is_empty() {
        line("If the peer died now, it would take over.");
    } else {
        line("If the peer died now, it would NOT take over, because:");
        for reason in reasons(&pair.if_peer_died) {
            line(&format!("  - {reason}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use fencepost::node::pair::Refusal;

    use super::*;
    use crate::cli::status::sample;

    #[test]
    fn a_backup_says_every_reason() {
        let text = explain(&sample::backup());
        assert_eq!(
            text,
            "This node is Backup.\nIt does not take over now, because:\n  - the peer serves and is no worse\nIf the peer died now, it would take over.\n"
        );
    }

    #[test]
    fn a_takeover_that_waits_for_sync_says_so_and_what_overrides_it() {
        let pair = PairStatus {
            refusals: vec![Refusal::NotInSync(vec!["vpn: never compared".to_owned()])],
            ..sample::backup()
        };
        let said = explain(&pair);
        let wanted = "not known to be: vpn: never compared; `fencepost switchover` or `fencepost confirm-peer-dead` overrides this";
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn a_backup_that_could_not_says_why() {
        let pair = PairStatus {
            if_peer_died: vec![Refusal::Quarantined, Refusal::NotQuiet],
            ..sample::backup()
        };
        let text = explain(&pair);
        assert!(
            text.contains("would NOT take over, because:\n  - this node was fenced"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 6);
        assert_eq!(json(&pair)["would_take_over_if_peer_died"], false);
    }

    #[test]
    fn an_active_says_its_proof() {
        let pair = PairStatus {
            role: Role::Active,
            proof: Some("fenced by fence-wire".to_owned()),
            bound: false,
            ..sample::backup()
        };
        assert!(explain(&pair).contains("rests on: fenced by fence-wire."));
        assert_eq!(json(&pair)["proof"], "fenced by fence-wire");
    }
}
