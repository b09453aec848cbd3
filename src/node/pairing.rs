//! Where the node meets its pair: what the pair is told of the own hardware, and what its wishes mean for segments
//! and kicks. Without a pair nothing here does anything.

use super::action::Action;
use super::event::Stop;
use super::health::Objection;
use super::machine::Node;
use super::pair::ground::{Controller, Ground, Guard, Moving, Place};
use super::pair::{KickRight, PairEvent, Wish};
use super::record::Cause;
use super::segment::Segment;
use super::time::Instant;
use crate::board::controller::{CloseProof, RelayState};
use crate::wire::HealthSummary;

impl Node {
    /// An event of the pair's. A look at the fence lines is a look at the hardware too.
    pub(super) fn pair_event(&mut self, now: Instant, event: PairEvent) {
        let mut event = event;
        if let PairEvent::FenceRead { outcome, .. } = &mut event {
            if let Some(short) = (outcome.as_ref().ok()).and_then(|it| self.short(&it.reading)) {
                *outcome = Err(short);
            }
            let outcome = outcome.clone().map(|fence| fence.reading);
            let asked = self
                .pair
                .as_ref()
                .and_then(super::pair::Pair::looking_since);
            self.read(now, asked, outcome);
        }
        match (&mut self.pair, event) {
            (Some(pair), event) => pair.handle(now, event, &mut self.out),
            (None, PairEvent::Requested { request, .. }) => {
                let answer = Err(
                    "this node is not half of a pair: its configuration has no [pair]".to_owned(),
                );
                self.out.push(Action::Reply { request, answer });
            }
            (None, _) => {}
        }
    }

    /// The pair's turn, before the relays'.
    pub(super) fn steer_pair(&mut self, now: Instant) {
        if self.pair.is_none() {
            return;
        }
        let ground = self.ground();
        if let Some(pair) = &mut self.pair {
            pair.step(now, ground, &mut self.out);
            let identity = self.link.identity.as_ref();
            pair.introduce(now, identity, self.policy.commissioning, &mut self.out);
        }
    }

    fn ground(&self) -> Ground {
        let fenced = self
            .policy
            .pair
            .as_ref()
            .map_or(crate::board::CutState::Disconnect, |pair| {
                pair.topology.fenced
            });
        let moving = if self.segments.iter().any(Segment::closing) {
            Moving::Closing
        } else if self.segments.iter().any(Segment::busy) {
            Moving::Cutting
        } else {
            Moving::No
        };
        Ground {
            place: Place::of(self.segments.iter().map(Segment::place), fenced),
            latch: self.latch,
            generation: self.link.generation(),
            reachable: self.link.is_open(),
            controller: if self.link.is_good() {
                Controller::Answers
            } else {
                Controller::Silent
            },
            dead_man: if self.dead_man.stands() {
                Guard::Stands
            } else {
                Guard::Missing
            },
            arming: self.dead_man.arming(),
            moving,
            health: self.health_summary(),
            stated: self.stated(),
            out_of_service: self.out_of_service(),
            stopping: matches!(self.stop, Some((Stop::Ordered, _))),
        }
    }

    fn health_summary(&self) -> HealthSummary {
        let serving = self.pair.as_ref().is_some_and(super::pair::Pair::is_active);
        let speaks_against = |objection: &Option<Objection>| match objection {
            Some(Objection::Failing(_) | Objection::Silent(_)) => true,
            // A check that has not decided yet is no reason to stop, and none to begin.
            Some(Objection::Pending(_)) => !serving,
            None => false,
        };
        let segments = self.segments.iter().map(|one| self.health.objection(one));
        // Without segments the checks speak for the host.
        let host = self
            .segments
            .is_empty()
            .then(|| self.health.objection_to_host());
        let failing = segments.chain(host).filter(speaks_against).count();
        HealthSummary {
            failing: u8::try_from(failing).unwrap_or(u8::MAX),
            warning: 0,
        }
    }

    fn stated(&self) -> bool {
        if self.segments.is_empty() {
            return self.health.stated_of_host();
        }
        self.segments.iter().any(|one| self.health.stated(one))
    }

    fn out_of_service(&self) -> Option<String> {
        if let Some(order) = self.orders.disarmed() {
            return Some(format!("disarmed by {}", order.by));
        }
        if let Some(order) = self.orders.maintenance() {
            return Some(format!("maintenance by {}", order.by));
        }
        let forced = self.segments.iter().find_map(|segment| {
            let forced = self.orders.forced(&segment.policy.name)?;
            (forced.state != RelayState::Normal).then_some((segment, forced))
        });
        forced.map(|(segment, forced)| {
            let name = &segment.policy.name;
            format!("segment {name} forced to {} by {}", forced.state, forced.by)
        })
    }

    /// Where the pair wants a segment that nothing above it decides for.
    pub(super) fn want_by_pair(&self, segment: &Segment, wish: Wish) -> (RelayState, Cause) {
        let fail = RelayState::from(segment.policy.fail);
        let Some(pair) = &self.pair else {
            return (fail, Cause::Pair);
        };
        if pair.unwell_cuts() {
            match self.health.objection(segment) {
                Some(Objection::Failing(check)) => return (fail, Cause::CheckFailed(check)),
                Some(Objection::Silent(check)) => return (fail, Cause::CheckSilent(check)),
                Some(Objection::Pending(_)) | None => {}
            }
        }
        let ready = if pair.is_active() {
            Cause::Serving
        } else {
            Cause::Standby
        };
        match wish {
            Wish::Close(_) => (RelayState::Normal, ready),
            Wish::Keep if segment.held() => (RelayState::Normal, ready),
            Wish::Keep | Wish::Cut => (fail, Cause::Pair),
        }
    }

    /// What a close may say was proved about the peer.
    pub(super) fn close_proof(&self) -> CloseProof {
        match self.pair.as_ref().map(super::pair::Pair::wish) {
            Some(Wish::Close(proof)) => proof,
            Some(Wish::Keep | Wish::Cut) => CloseProof::NotServing,
            None => CloseProof::Solo,
        }
    }

    /// It still serves, or may: relays and maintenance wait for the peer, for a bounded time.
    pub(super) fn handing_over(&self) -> bool {
        self.pair
            .as_ref()
            .is_some_and(super::pair::Pair::handing_over)
    }

    /// Up to when the dead-man may be kicked: `Err` if not at all, `None` for its whole window.
    pub(super) fn kick_limit(&self, now: Instant) -> Result<Option<Instant>, String> {
        match self.pair.as_ref().map(|pair| pair.kick_right(now)) {
            None | Some(KickRight::Free(None)) => Ok(None),
            Some(KickRight::Free(Some(reach))) => Ok(Some(now + reach)),
            Some(KickRight::Until(until)) => Ok(Some(until)),
            Some(KickRight::Denied) => {
                Err("the peer acknowledges nothing and the lease has ended".to_owned())
            }
        }
    }
}
