//! From the proof to serving: own relays read, closed where the topology needs it, vips installed, all read back.
//!
//! Nothing here is decided on what was read before the proof.

use super::super::Pair;
use super::super::event::Presence;
use super::super::ground::{Ground, Moving};
use super::super::guard::{self, Guard};
use super::super::means::Sight;
use super::super::policy::Standby;
use super::super::proof::Proof;
use super::super::vips::Serve;
use super::{Next, Stage};
use crate::board::controller::Latch;
use crate::node::outbox::Outbox;
use crate::node::time::Instant;

impl Pair {
    /// Own relays and latch, seen after the proof.
    pub(super) fn checking(&mut self, proof: Proof, look: u64, out: &mut Outbox) -> (Stage, Next) {
        let Some(sight) = self.means.sight().filter(|sight| sight.number >= look) else {
            return (Stage::Checking { proof, look }, Next::Stay);
        };
        if !guard::holds(Guard::ReadsOwnRelays) && self.policy.topology.standby == Standby::Hot {
            return (self.hold(proof, out), Next::Stay);
        }
        if sight.latch == Latch::Latched {
            return (Stage::Saving, Next::Give("the own latch is set".to_owned()));
        }
        match self.policy.topology.standby {
            Standby::Hot if sight.place.is_closed() => (self.hold(proof, out), Next::Stay),
            Standby::Hot => {
                let why = format!("the own relays are {}", sight.place);
                (Stage::Saving, Next::Give(why))
            }
            Standby::Cold => (Stage::Closing { proof }, Next::Stay),
        }
    }

    /// The segments close by themselves (see [`Pair::wish`]); here it is only seen that they did.
    pub(super) fn closing(
        &mut self,
        proof: Proof,
        ground: &Ground,
        out: &mut Outbox,
    ) -> (Stage, Next) {
        if ground.place.is_closed() && ground.moving == Moving::No {
            (self.hold(proof, out), Next::Stay)
        } else {
            (Stage::Closing { proof }, Next::Stay)
        }
    }

    fn hold(&mut self, proof: Proof, out: &mut Outbox) -> Stage {
        self.lease.forfeit();
        let number = self.vips.serve(Serve::Hold, out);
        Stage::Holding { proof, number }
    }

    /// The vips are installed, or not.
    pub(in super::super) fn vips_held(
        &mut self,
        now: Instant,
        number: u64,
        outcome: &Result<(), String>,
        out: &mut Outbox,
    ) {
        if self.vips.served(number).is_none() {
            return;
        }
        let Some(mut claim) = self.claim.take_if(
            |claim| matches!(&claim.stage, Stage::Holding { number: held, .. } if *held == number),
        ) else {
            return self.vips.renounce(now);
        };
        if let Err(error) = outcome {
            self.claim = Some(claim);
            return self.abandon(now, &format!("the vips are not held: {error}"), out);
        }
        if let Stage::Holding { proof, .. } = claim.stage {
            self.vips.serve(Serve::Announce, out);
            let look = self.look_from_now(now);
            claim.stage = Stage::Verifying { proof, look };
            self.claim = Some(claim);
        }
    }

    /// The last read-back: vips there, relays closed, latch clear, all after the vips were installed.
    pub(super) fn verifying(
        &mut self,
        now: Instant,
        proof: Proof,
        look: u64,
        out: &mut Outbox,
    ) -> (Stage, Next) {
        self.vips.step_look(now, out);
        let seen: Option<Sight> = self.means.sight().filter(|sight| sight.number >= look);
        let (Some(sight), Some(presence)) = (seen, self.vips.presence()) else {
            return (Stage::Verifying { proof, look }, Next::Stay);
        };
        let good = sight.place.is_closed() && sight.latch != Latch::Latched;
        let stage = Stage::Verifying {
            proof: proof.clone(),
            look,
        };
        if !good && guard::holds(Guard::ReadsBack) {
            let why = format!("read back: relays {}, latch {:?}", sight.place, sight.latch);
            return (stage, Next::Give(why));
        }
        if presence != Presence::Present {
            return (stage, Next::Give(format!("read back: vips {presence:?}")));
        }
        (stage, Next::Serve(proof))
    }
}
