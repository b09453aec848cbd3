//! Who the two nodes are: names, controllers, firmware, wiring and clocks, told each other now and then and compared.
//!
//! For people and for the preflight; nothing that serves, fences or moves a relay asks for any of it. What the peer has not
//! told in its present start is unknown: an older one tells nothing, and what an earlier start of it said is forgotten.

use core::time::Duration;

use super::Pair;
use super::preflight::{Finding, good, refused, warns};
use crate::board::controller::Identity;
use crate::node::outbox::Outbox;
use crate::node::policy::Commissioning;
use crate::node::record::{Fact, Level};
use crate::node::time::Instant;
use crate::wire::{BootId, Introduction, Message, Text, Versions};

/// An introduction is repeated after this long: one that was lost is not missed for longer.
const EVERY: Duration = Duration::from_secs(10);
/// Clocks further apart than this make the histories of the two nodes hard to read side by side.
const CLOCKS_APART_MAX_MS: u64 = 2_000;

/// What was told, both ways.
#[derive(Debug, Clone)]
pub(super) struct Introductions {
    host: Option<Text>,
    own: Option<Introduction>,
    next_at: Instant,
    /// The start of the peer that was told, and heard us.
    told_to: Option<BootId>,
    peer: Option<(BootId, Introduction)>,
    /// By how many milliseconds the peer's clock is ahead of ours.
    ahead_ms: Option<i64>,
}

impl Introductions {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            host: None,
            own: None,
            next_at: now,
            told_to: None,
            peer: None,
            ahead_ms: None,
        }
    }

    pub(super) fn name(&mut self, host: Option<Text>) {
        self.host = host;
    }

    pub(super) fn own(&self) -> Option<&Introduction> {
        self.own.as_ref()
    }

    /// The controller's firmware as numbers, for heartbeats; zeros where it says none, or says it in another form.
    pub(super) fn firmware(&self) -> [u8; 3] {
        let said = self.own().and_then(|own| own.firmware.as_ref());
        said.and_then(numbers).unwrap_or_default()
    }

    /// What this node is, as its hardware says now.
    fn know(&mut self, now: Instant, identity: Option<&Identity>, commissioning: Commissioning) {
        let Some(host) = &self.host else { return };
        let own = Introduction {
            host: host.clone(),
            model: identity.and_then(|it| Text::of(&it.model)),
            firmware: identity.and_then(|it| Text::of(it.firmware.as_deref()?)),
            commissioning,
            wall_clock_ms: None,
        };
        if self.own.as_ref() != Some(&own) {
            self.own = Some(own);
            self.next_at = now;
        }
    }

    /// Whether it is time to tell, and so told.
    fn due(&mut self, now: Instant, hears_us: Option<BootId>) -> Option<Introduction> {
        self.own.as_ref()?;
        let anew = hears_us.is_some() && hears_us != self.told_to;
        if now < self.next_at && !anew {
            return None;
        }
        self.next_at = now + EVERY;
        self.told_to = hears_us.or(self.told_to);
        self.own.clone()
    }

    /// The peer told; whether that is news.
    fn take(&mut self, boot: BootId, told: Introduction) -> bool {
        let told = Introduction {
            wall_clock_ms: None,
            ..told
        };
        let same_start = self.peer.as_ref().is_some_and(|(known, _)| *known == boot);
        if !same_start {
            self.ahead_ms = None;
        }
        let known = self.peer.replace((boot, told));
        known.map(|(_, known)| known) != self.peer.as_ref().map(|(_, told)| told.clone())
    }
}

impl Pair {
    /// Tells the peer who this node is, if it is time.
    pub(in crate::node) fn introduce(
        &mut self,
        now: Instant,
        identity: Option<&Identity>,
        commissioning: Commissioning,
        out: &mut Outbox,
    ) {
        if self.boot.is_none() {
            return;
        }
        self.introductions.know(now, identity, commissioning);
        let hears_us = self.peer.boot().filter(|_| self.talking(now));
        if let Some(own) = self.introductions.due(now, hears_us) {
            self.send(now, Message::Introduction(own), out);
        }
    }

    /// The peer told who it is.
    pub(super) fn introduced(
        &mut self,
        now: Instant,
        boot: BootId,
        told: Introduction,
        out: &mut Outbox,
    ) {
        let fact = Fact::PeerIntroduced {
            host: told.host.to_string(),
            model: told.model.as_ref().map(Text::to_string),
            firmware: told.firmware.as_ref().map(Text::to_string),
            commissioning: told.commissioning,
        };
        if self.introductions.take(boot, told) {
            out.record(now, Level::Info, fact);
        }
    }

    /// The peer told its clock.
    pub(super) fn clocks_compared(&mut self, now: Instant, ahead_ms: i64, out: &mut Outbox) {
        let before = self.introductions.ahead_ms.replace(ahead_ms);
        if far(ahead_ms) && !before.is_some_and(far) {
            out.record(now, Level::Warning, Fact::ClocksApart { ahead_ms });
        }
    }

    /// What the peer told in its present start.
    pub(super) fn told_by_peer(&self) -> Option<&Introduction> {
        let (boot, told) = self.introductions.peer.as_ref()?;
        (self.peer.boot() == Some(*boot)).then_some(told)
    }

    /// By how many milliseconds the peer's clock is ahead of ours, as told in its present start.
    pub(super) fn clock_ahead_ms(&self) -> Option<i64> {
        self.told_by_peer().and(self.introductions.ahead_ms)
    }

    /// That the clocks are apart, as a sentence, if they are.
    pub(super) fn clocks_apart(&self) -> Option<String> {
        self.clock_ahead_ms().filter(|ms| far(*ms)).map(apart)
    }

    /// What runs here.
    pub(super) fn versions(&self) -> Versions {
        Versions {
            firmware: self.introductions.firmware(),
            ..self.policy.versions
        }
    }

    /// How the two introductions compare.
    pub(super) fn introductions_compared(&self) -> Vec<Finding> {
        let Some(own) = self.introductions.own() else {
            return vec![warns(
                "this node does not know its own host name: names, firmware, wiring and clocks are not compared",
            )];
        };
        let Some(peer) = self.told_by_peer() else {
            return vec![warns(
                "host name, firmware, wiring and clock are not told by the peer: its fencepost is older, or has just started",
            )];
        };
        compare(own, peer, self.clock_ahead_ms())
    }
}

/// Every comparison is a finding: what was not told is never good.
fn compare(own: &Introduction, peer: &Introduction, ahead_ms: Option<i64>) -> Vec<Finding> {
    let mut found = vec![names(own, peer)];
    found.extend(models(own, peer));
    found.push(firmware(own, peer));
    found.push(match peer.commissioning {
        Commissioning::Done => good("the wiring of the peer's board is commissioned"),
        Commissioning::Waived => {
            warns("the wiring of the peer's board was never proven; it runs with --uncommissioned")
        }
        Commissioning::Missing => refused(
            "the wiring of the peer's board was never proven: run `fencepost board commission` there",
        ),
    });
    found.push(clocks(ahead_ms));
    found
}

fn names(own: &Introduction, peer: &Introduction) -> Finding {
    let (here, there) = (own.host.as_str(), peer.host.as_str());
    if here.eq_ignore_ascii_case(there) {
        return refused(&format!(
            "both hosts are called {here}: nobody can tell their logs and alarms apart; rename one (hostnamectl set-hostname)"
        ));
    }
    good(&format!("this host is {here}, the peer is {there}"))
}

/// Both controllers of one kind is said already, by the kind of board; here it is what they call themselves.
fn models(own: &Introduction, peer: &Introduction) -> Option<Finding> {
    match (&own.model, &peer.model) {
        (Some(here), Some(there)) if here == there => None,
        (Some(here), Some(there)) => Some(warns(&format!(
            "the controller here is a {here}, the peer's a {there}"
        ))),
        (Some(_), None) => Some(warns("the peer's controller was not read yet")),
        (None, _) => Some(warns("this node's controller was not read yet")),
    }
}

fn firmware(own: &Introduction, peer: &Introduction) -> Finding {
    match (&own.firmware, &peer.firmware) {
        (None, None) => good("controller firmware: none told by either board"),
        (Some(here), Some(there)) if here == there => {
            good(&format!("controller firmware {here} on both"))
        }
        (here, there) => {
            let say =
                |it: &Option<Text>| it.as_ref().map_or("none told".to_owned(), Text::to_string);
            warns(&format!(
                "controller firmware: {} here, {} there; update the older one",
                say(here),
                say(there)
            ))
        }
    }
}

fn clocks(ahead_ms: Option<i64>) -> Finding {
    let Some(ahead_ms) = ahead_ms else {
        return warns("the peer's clock is not told by the peer");
    };
    if far(ahead_ms) {
        return warns(&format!(
            "{}: their events cannot be read side by side; set both by NTP",
            apart(ahead_ms)
        ));
    }
    good("the clocks agree within 2 s")
}

fn apart(ahead_ms: i64) -> String {
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let (seconds, rest) = (
        ahead_ms.unsigned_abs() / 1000,
        ahead_ms.unsigned_abs() % 1000,
    );
    format!(
        "the peer's clock is {seconds}.{} s {side} this one",
        rest / 100
    )
}

fn far(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() > CLOCKS_APART_MAX_MS
}

/// `major.minor.patch`, and nothing else.
fn numbers(text: &Text) -> Option<[u8; 3]> {
    let mut parts = text.as_str().split('.').map(|part| part.parse::<u8>().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::super::preflight::Fit;
    use super::*;

    fn text(text: &str) -> Text {
        Text::of(text).unwrap()
    }

    fn node(host: &str) -> Introduction {
        Introduction {
            host: text(host),
            model: Some(text("reference")),
            firmware: Some(text("1.0.0")),
            commissioning: Commissioning::Done,
            wall_clock_ms: None,
        }
    }

    fn worst(peer: &Introduction, ahead_ms: Option<i64>) -> (Fit, String) {
        let found = compare(&node("gate-a"), peer, ahead_ms);
        let worst = found
            .iter()
            .max_by_key(|finding| finding.fit as u8)
            .unwrap();
        (worst.fit, worst.sentence.clone())
    }

    #[test]
    fn two_that_fit_are_named_and_their_firmware_is_shown() {
        let found = compare(&node("gate-a"), &node("gate-b"), Some(-40));
        assert!(
            found.iter().all(|finding| finding.fit == Fit::Good),
            "{found:?}"
        );
        let said: Vec<&str> = found.iter().map(|it| it.sentence.as_str()).collect();
        assert!(said.contains(&"this host is gate-a, the peer is gate-b"));
        assert!(said.contains(&"controller firmware 1.0.0 on both"));
    }

    #[test]
    fn each_difference_has_its_sentence() {
        type Change = fn(&mut Introduction);
        let cases: [(Change, Fit, &str); 7] = [
            (
                |it| it.host = text("GATE-A"),
                Fit::Refused,
                "both hosts are called gate-a",
            ),
            (
                |it| it.commissioning = Commissioning::Missing,
                Fit::Refused,
                "the wiring of the peer's board was never proven: run",
            ),
            (
                |it| it.commissioning = Commissioning::Waived,
                Fit::Warns,
                "the wiring of the peer's board was never proven; it runs with",
            ),
            (
                |it| it.model = Some(text("other")),
                Fit::Warns,
                "the controller here is a reference, the peer's a other",
            ),
            (
                |it| it.model = None,
                Fit::Warns,
                "the peer's controller was not read",
            ),
            (
                |it| it.firmware = Some(text("0.9.0")),
                Fit::Warns,
                "controller firmware: 1.0.0 here, 0.9.0 there",
            ),
            (
                |it| it.firmware = None,
                Fit::Warns,
                "controller firmware: 1.0.0 here, none told there",
            ),
        ];
        for (change, fit, sentence) in cases {
            let mut peer = node("gate-b");
            change(&mut peer);
            let (found, said) = worst(&peer, Some(0));
            assert_eq!(found, fit, "{said}");
            assert!(said.starts_with(sentence), "{said}");
        }
    }

    #[test]
    fn clocks_warn_beyond_two_seconds_and_are_never_good_untold() {
        let peer = node("gate-b");
        assert_eq!(worst(&peer, Some(2_000)).0, Fit::Good);
        assert_eq!(worst(&peer, Some(-2_000)).0, Fit::Good);
        assert_eq!(worst(&peer, None).0, Fit::Warns);
        let (fit, said) = worst(&peer, Some(-3_250));
        assert_eq!(fit, Fit::Warns);
        assert!(
            said.starts_with("the peer's clock is 3.2 s behind this one"),
            "{said}"
        );
        assert_eq!(
            apart(i64::MIN),
            "the peer's clock is 9223372036854775.8 s behind this one"
        );
    }

    #[test]
    fn it_is_told_at_the_start_to_each_start_of_the_peer_and_now_and_then() {
        let at = Instant::from_millis;
        let mut told = Introductions::new(at(0));
        told.know(at(0), None, Commissioning::Done);
        assert_eq!(
            told.due(at(0), None),
            None,
            "without a name there is nothing to tell"
        );
        told.name(Some(text("gate-a")));
        told.know(at(1), None, Commissioning::Done);
        assert!(told.due(at(1), None).is_some());
        assert!(told.due(at(2), None).is_none());
        assert!(
            told.due(at(3), Some(BootId(7))).is_some(),
            "now it hears us"
        );
        assert!(told.due(at(4), Some(BootId(7))).is_none());
        assert!(
            told.due(at(5), Some(BootId(8))).is_some(),
            "it started anew"
        );
        told.know(at(6), None, Commissioning::Waived);
        assert!(told.due(at(6), Some(BootId(8))).is_some(), "we changed");
        assert!(told.due(at(10_005), Some(BootId(8))).is_none());
        assert!(told.due(at(10_006), Some(BootId(8))).is_some());
    }

    #[test]
    fn firmware_in_numbers_is_exact_or_not_told() {
        assert_eq!(numbers(&text("1.20.3")), Some([1, 20, 3]));
        for other in ["1.2", "1.2.3.4", "1.2.300", "v1.2.3", "MCU 1.2.3"] {
            assert_eq!(numbers(&text(other)), None, "{other}");
        }
    }
}
