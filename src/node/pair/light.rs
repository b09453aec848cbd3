//! What keeps a pair from being green: a sentence for each thing.

use super::Pair;
use super::event::LinkMeasure;
use super::preflight::Fit;
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
        let beside = self.introductions_compared().into_iter();
        for finding in beside.filter(|finding| heard && finding.fit == Fit::Refused) {
            say(Summary::Yellow, finding.sentence);
        }
        if let Some(apart) = self.clocks_apart().filter(|_| heard) {
            say(Summary::Yellow, apart);
        }
        if self.quarantined {
            let sentence = "this node was fenced or crashed and has not joined since";
            say(Summary::Yellow, sentence.to_owned());
        }
        if !serves && let Some(withheld) = self.sync_refusal(now) {
            say(Summary::Yellow, withheld.to_string());
        }
        for (name, link) in self.policy.links.iter().zip(self.peer.links()) {
            let limit = self.policy.timing.suspect_after * QUIET_LINK;
            let quiet = link.heard_at.is_none_or(|at| now.since(at) > limit);
            if let Some(why) = &link.measure.fault {
                say(
                    Summary::Yellow,
                    format!("link {name} cannot be used: {why}"),
                );
            } else if heard && quiet {
                say(
                    Summary::Yellow,
                    format!("link {name}: the peer is not heard over it"),
                );
            } else if heard && loses(&link.measure) {
                let LinkMeasure { missing, of, .. } = link.measure;
                say(
                    Summary::Yellow,
                    format!(
                        "link {name}: {missing} of the peer's last {of} heartbeats did not come over it"
                    ),
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
/// A link is said to lose from this share of the peer's last messages on: one in so many.
const LOSES_ONE_IN: u32 = 20;

fn loses(measure: &LinkMeasure) -> bool {
    measure.of >= LOSES_ONE_IN && measure.missing * LOSES_ONE_IN >= measure.of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_heartbeat_is_no_news_and_one_in_twenty_is() {
        let loses = |missing, of| {
            loses(&LinkMeasure {
                missing,
                of,
                ..LinkMeasure::default()
            })
        };
        assert!(!loses(0, 0) && !loses(0, 128) && !loses(1, 8) && !loses(6, 128));
        assert!(loses(1, 20) && loses(7, 128) && loses(128, 128));
    }
}
