//! What a fault of the Active costs: estimates from the same times, not promises.

use core::time::Duration;

use super::super::chain::{ms, side};
use super::super::{RELINK, TURN};
use super::{Given, Outage};
use crate::node::pair::policy::{Reach, Standby, Topology};

/// What a takeover does to the survivor's relays.
pub(super) fn takeover(topology: Topology, relays: bool) -> &'static str {
    match topology.standby {
        Standby::Hot if topology.reach == Reach::Behind => {
            "moves no relay of the survivor and waits for the other's to fall to Bypass: its links renegotiate, which is \
             physics and not in the times below"
        }
        Standby::Hot if !relays => {
            "moves the addresses and nothing else: no link goes down, milliseconds"
        }
        Standby::Hot => "moves no relay of the survivor: no link goes down, milliseconds",
        Standby::Cold => {
            "closes the survivor's relays: its links renegotiate, which is physics and not in the times below"
        }
    }
}

pub(super) fn outages(given: &Given) -> Vec<Outage> {
    let timing = &given.timing;
    let silence = [
        (timing.suspect_after, "suspicion"),
        (timing.active_lead, "the Active's lead"),
    ];
    let serve = serve(given);
    let word = [(TURN * 2, "its word, asked and given")];
    let mut list = vec![outage("switchover, ordered stop", &[&word, &serve])];
    if given.port_watched {
        let dark = [
            (TURN, "the kernel's word"),
            (TURN, "own relays read after it"),
        ];
        list.push(outage("data port lost", &[&dark, &word, &serve]));
    }
    list.push(outage("agent killed, supervised", &[]));
    if let Some(fence) = given.fence {
        let fence = [(fence, "fence, verified")];
        list.extend([
            // Until it is fenced its kernel answers and forwards.
            outage("agent killed or hung for good", &[&fence, &serve]),
            outage("all heartbeats lost, both live", &[]),
            outage("power cut, kernel hung", &[&silence, &fence, &serve]),
            outage(
                "power cut, every link a direct cable that goes dark",
                &[&silence[1..], &fence, &serve],
            ),
        ]);
    }
    if let Some(lease) = &given.lease {
        let ended = [(lease.wait, "the lease ends")];
        let doubt = [(lease.doubt, "its kernel's addresses end")];
        list.extend([
            outage("power cut, no means usable", &[&ended, &serve]),
            outage(
                "power cut, fence fired and not acknowledged",
                &[&ended, &doubt, &serve],
            ),
        ]);
    }
    list
}

/// From the proof to serving: a cold node closes and reads back first.
fn serve(given: &Given) -> Vec<(Duration, &'static str)> {
    let close =
        (given.standby == Standby::Cold).then_some((TURN + given.command, "close, read back"));
    let vips = (given.vips, "addresses");
    let tracking = given.tracking;
    let tracking = tracking.map(|limit| (limit, "at most, connection tracking committed"));
    close
        .into_iter()
        .chain([(TURN, "own relays read")])
        .chain(tracking)
        .chain([vips])
        .collect()
}

fn outage(what: &str, steps: &[&[(Duration, &str)]]) -> Outage {
    let steps: Vec<(Duration, &str)> = steps.concat();
    let words: Vec<String> = steps
        .iter()
        .map(|(time, what)| format!("{} {what}", ms(*time)))
        .collect();
    let made_of = if words.is_empty() {
        "nobody takes over; nothing on the wire changes".to_owned()
    } else {
        words.join(" + ")
    };
    Outage {
        what: what.to_owned(),
        about: side(steps.iter().map(|(time, _)| *time).sum(), made_of),
    }
}

/// What copper adds where relays moved, in words; `None` where none does.
pub(super) fn relink(relinks: bool) -> Option<String> {
    relinks.then(|| {
        format!(
            "Where the Active changes, {} to {} s of renegotiation are added.",
            RELINK.0.as_secs(),
            RELINK.1.as_secs()
        )
    })
}
