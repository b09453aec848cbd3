//! Preflight: what two nodes must have in common before either may take over from the other.
//!
//! The *agreement* in every heartbeat is a digest per part of the settings, so that nodes that differ say in what. Names
//! of nodes, patch versions and the like may differ. What if the peer is not heard? Then nothing was compared, and a
//! takeover rests on its fence alone.

use serde::{Deserialize, Serialize};

use super::Pair;
use super::refusal::Refusal;
use crate::node::time::Instant;
use crate::wire::{Digest, Heartbeat, Versions};

/// Bytes of each part's digest: mistakes are to be found, not attackers; frames are authenticated.
const PART_BYTES: usize = 3;

/// Parts of the settings both nodes must share, as people call them, in the order of the digest.
pub const PARTS: [&str; 5] = [
    "how they are cabled (topology, standby, what segments fail to)",
    "times and means (profile, heartbeat and suspicion, vip_lifetime_s, the [[means]] in their order, the board's lease)",
    "links (names, and which address is whose)",
    "virtual addresses (and the interfaces they are on)",
    "interface names (of segments' ports and links)",
];

/// How one comparison came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Nothing speaks against it.
    Good,
    /// It works; somebody should know.
    Warns,
    /// Not to be relied on as a pair before it is put right. Different rules, boards, settings or the same rank: neither takes
    /// over from the other.
    Refused,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it came out.
    pub fit: Fit,
    /// What was found.
    pub sentence: String,
}

/// Joins the digests of all parts; the last byte is left for a form to come.
#[must_use]
pub fn agreement(parts: [Digest; PARTS.len()]) -> Digest {
    let mut joined = Digest::default();
    for (to, from) in joined.chunks_exact_mut(PART_BYTES).zip(parts) {
        to.copy_from_slice(&from[..PART_BYTES]);
    }
    joined
}

/// Names of the parts that differ.
fn differing(ours: &Digest, theirs: &Digest) -> Vec<&'static str> {
    let (whole, rest) = (
        PARTS.len() * PART_BYTES,
        "settings that only one of them knows",
    );
    let parts = ours
        .chunks_exact(PART_BYTES)
        .zip(theirs.chunks_exact(PART_BYTES));
    let named = parts.zip(PARTS).filter(|((a, b), _)| a != b);
    let mut found: Vec<&str> = named.map(|(_, name)| name).collect();
    if ours[whole..] != theirs[whole..] {
        found.push(rest);
    }
    found
}

impl Pair {
    /// Why neither takes over from the other, one sentence each: other rules, board, settings, or the same rank.
    pub(super) fn disagreements(&self) -> Vec<Refusal> {
        self.peer
            .last()
            .map_or_else(Vec::new, |peer| self.compare(peer))
    }

    fn compare(&self, peer: &Heartbeat) -> Vec<Refusal> {
        let policy = &self.policy;
        let differ = |what: &str| Refusal::Disagreement(what.to_owned());
        let mut found = Vec::new();
        if peer.versions.protocol != policy.versions.protocol {
            found.push(differ("the version of the pair's protocol"));
        }
        if peer.board != policy.board {
            found.push(differ("the kind of board"));
        }
        let parts = differing(&policy.agreement, &peer.agreement);
        found.extend(parts.into_iter().map(differ));
        if peer.flags.preferred == self.preferred() {
            found.push(Refusal::SameRank);
        }
        found
    }

    /// Everything that was compared with the peer.
    pub(super) fn preflight(&self, now: Instant) -> Vec<Finding> {
        let Some(peer) = self.peer.last().filter(|_| self.talking(now)) else {
            return vec![refused(
                "the peer is not heard both ways: nothing can be compared",
            )];
        };
        let mut found: Vec<Finding> = self
            .compare(peer)
            .iter()
            .map(|refusal| refused(&refusal.to_string()))
            .collect();
        if found.is_empty() {
            found.push(good("same protocol, board, cabling, times, links, addresses and interfaces; one is primary"));
        }
        found.push(software(&self.policy.versions, &peer.versions));
        found.extend(self.introductions_compared());
        if peer.flags.maintenance {
            found.push(warns("the peer is in maintenance"));
        } else if !peer.flags.ready && self.active.is_some() {
            found.push(warns(
                "the peer could not take over now (`fencepost explain` there says why)",
            ));
        }
        found
    }
}

fn software(ours: &Versions, theirs: &Versions) -> Finding {
    let text = |[major, minor, patch]: [u16; 3]| format!("{major}.{minor}.{patch}");
    let (here, there) = (text(ours.software), text(theirs.software));
    let same_minor = ours.software[..2] == theirs.software[..2];
    match (ours.software == theirs.software, same_minor) {
        (true, _) => good(&format!("both run fencepost {here}")),
        (_, true) => good(&format!(
            "fencepost {here} here, {there} there: fine while updating"
        )),
        _ => warns(&format!(
            "fencepost {here} here, {there} there; update the older one"
        )),
    }
}

pub(super) fn good(sentence: &str) -> Finding {
    finding(Fit::Good, sentence)
}

pub(super) fn warns(sentence: &str) -> Finding {
    finding(Fit::Warns, sentence)
}

pub(super) fn refused(sentence: &str) -> Finding {
    finding(Fit::Refused, sentence)
}

fn finding(fit: Fit, sentence: &str) -> Finding {
    Finding {
        fit,
        sentence: sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::policy::{PairPolicy, Rank, Timing, Topology};
    use super::*;
    use crate::wire::{Flags, HealthSummary, Hears, Role};

    #[test]
    fn each_part_is_named_by_itself() {
        let same = [[7; 16]; PARTS.len()];
        assert_eq!(
            differing(&agreement(same), &agreement(same)),
            Vec::<&str>::new()
        );
        for (at, name) in PARTS.iter().enumerate() {
            let mut other = same;
            other[at] = [8; 16];
            assert_eq!(differing(&agreement(same), &agreement(other)), [*name]);
        }
        let mut form = agreement(same);
        form[15] = 1;
        assert_eq!(
            differing(&agreement(same), &form),
            ["settings that only one of them knows"]
        );
        let all = differing(&agreement(same), &agreement([[8; 16]; PARTS.len()]));
        assert_eq!(all, PARTS);
    }

    #[test]
    fn a_patch_version_may_differ_a_minor_one_is_said() {
        let of = |software| Versions {
            protocol: 1,
            software,
            firmware: [0; 3],
        };
        let fit = |theirs| software(&of([1, 2, 3]), &of(theirs)).fit;
        assert_eq!(fit([1, 2, 3]), Fit::Good);
        assert_eq!(fit([1, 2, 9]), Fit::Good);
        assert_eq!(fit([1, 3, 3]), Fit::Warns);
        assert!(
            software(&of([1, 2, 3]), &of([1, 2, 9]))
                .sentence
                .contains("1.2.9 there")
        );
    }

    const AGREED: Digest = [2; 16];

    fn pair() -> Pair {
        let ms = Duration::from_millis;
        let policy = PairPolicy {
            topology: Topology::PARALLEL_HOT,
            rank: Rank::Preferred,
            links: vec!["cable".to_owned()],
            timing: Timing {
                heartbeat_every: ms(10),
                suspect_after: ms(50),
                active_lead: ms(40),
                restart_grace: ms(500),
                boot_hold: ms(1_000),
                give_up_after: ms(400),
                retry_after: ms(40),
                join_after: ms(80),
                yield_after: ms(40),
                refresh_every: ms(1_500),
                probe_every: ms(200),
                probe_stale_after: ms(1_000),
                look_every: ms(2),
            },
            means: Vec::new(),
            relink: Duration::ZERO,
            services: None,
            sync: None,
            lease: None,
            preempt: None,
            handovers_per_hour_max: 6,
            board: [1; 16],
            agreement: AGREED,
            versions: versions(),
        };
        Pair::new(policy, Instant::ZERO)
    }

    fn versions() -> Versions {
        Versions {
            protocol: 1,
            ..Versions::default()
        }
    }

    /// A peer that fits.
    fn heartbeat() -> Heartbeat {
        Heartbeat {
            role: Role::Backup,
            flags: Flags::default(),
            epoch: 1,
            hears: Hears::default(),
            interval_us: 10_000,
            lateness_us: 0,
            health: HealthSummary::default(),
            generation: None,
            names_generation: None,
            versions: versions(),
            board: [1; 16],
            agreement: AGREED,
            sync_roots: Vec::new(),
        }
    }

    #[test]
    fn every_difference_is_a_reason_not_to_take_over() {
        type Change = fn(&mut Heartbeat);
        let cases: [(Change, &str); 6] = [
            (
                |it| it.versions.protocol = 2,
                "the nodes differ in the version of the pair's protocol",
            ),
            (
                |it| it.board = [9; 16],
                "the nodes differ in the kind of board",
            ),
            (
                |it| it.agreement[0] = 9,
                "the nodes differ in how they are cabled",
            ),
            (
                |it| it.agreement[11] = 9,
                "the nodes differ in virtual addresses",
            ),
            (
                |it| it.agreement[14] = 9,
                "the nodes differ in interface names",
            ),
            (
                |it| it.flags.preferred = true,
                "both nodes have the same rank",
            ),
        ];
        let pair = pair();
        assert_eq!(pair.compare(&heartbeat()), []);
        let mut all = heartbeat();
        for (change, sentence) in cases {
            let mut peer = heartbeat();
            change(&mut peer);
            change(&mut all);
            let found = pair.compare(&peer);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].to_string().starts_with(sentence), "{}", found[0]);
        }
        assert_eq!(pair.compare(&all).len(), cases.len(), "none hides another");
        // A patch version is no difference.
        let mut patched = heartbeat();
        patched.versions.software[2] = 7;
        assert_eq!(pair.compare(&patched), []);
    }

    #[test]
    fn a_peer_that_is_not_heard_was_not_compared() {
        let found = pair().preflight(Instant::ZERO);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].fit, Fit::Refused);
        assert!(
            pair().disagreements().is_empty(),
            "and speaks against nothing"
        );
    }
}
