//! What keeps a pair from being green: a sentence for each thing.

use super::Pair;
use crate::node::status::Summary;
use crate::node::time::Instant;
use crate::wire::Role;

impl Pair {
    /// Worst first is the caller's business; here they come from the wire inwards.
    pub(in crate::node) fn reasons(&self, now: Instant) -> Vec<(Summary, String)> {
        let mut reasons = Vec::new();
        let mut say = |light, sentence: String| reasons.push((light, sentence));
        let serves = self.active.is_some();
        let heard = self.peer.silent_for(&self.clock) < self.policy.timing.suspect_after;
        let peer_serves = heard && self.peer.role() == Some(Role::Active);
        if !serves && !peer_serves {
            let why = self.takeover_refusals(now).first().map(ToString::to_string);
            let why = why.unwrap_or_else(|| "it is about to".to_owned());
            say(
                Summary::Red,
                format!("nobody serves that this node hears of; it does not itself: {why}"),
            );
        }
        if self.ledger.wanted().peer_off {
            let sentence =
                "this node took the peer's power; it stays off until somebody gives it back";
            say(Summary::Yellow, sentence.to_owned());
        } else if !heard {
            say(Summary::Yellow, "the peer is not heard".to_owned());
        } else if !self.talking(now) {
            say(
                Summary::Yellow,
                "the peer is heard and does not hear this node".to_owned(),
            );
        } else if serves && !self.peer_ready() {
            say(
                Summary::Yellow,
                "the peer could not take over now".to_owned(),
            );
        }
        if self.pinned() {
            let sentence = "takeovers are pinned: nothing moves by itself until a person ends that";
            say(Summary::Yellow, sentence.to_owned());
        }
        for differs in self.disagreements() {
            say(Summary::Yellow, differs.to_string());
        }
        if self.quarantined {
            let sentence = "this node was fenced or crashed and has not joined since";
            say(Summary::Yellow, sentence.to_owned());
        }
        for (name, link) in self.policy.links.iter().zip(self.peer.links()) {
            let limit = self.policy.timing.suspect_after * QUIET_LINK;
            if heard && link.heard_at.is_none_or(|at| now.since(at) > limit) {
                say(
                    Summary::Yellow,
                    format!("link {name}: the peer is not heard over it"),
                );
            }
        }
        for (index, means) in self.policy.means.iter().enumerate() {
            if let Err(why) = self.means.usable(now, index, heard) {
                say(Summary::Yellow, format!("means {}: {why}", means.name));
            }
        }
        reasons
    }
}

/// A link is quiet after this many times the silence that would start a fence: one that loses frames is not yet dead.
const QUIET_LINK: u32 = 4;
