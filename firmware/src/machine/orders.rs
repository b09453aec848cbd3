//! The host's orders, one function each: what is checked, in which order, and what follows.

use super::{Controller, Tick};
use crate::command::{Command, Proof, Refusal, Reply, Setting};
use crate::log::EventKind;
use crate::relay::{Cause, CutState, RelayState, Segment, SegmentMask};
use crate::ticket::VoidCause;

impl Controller {
    pub(super) fn execute(&mut self, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::Arm {
                session,
                segments,
                window_ms,
                deadline,
            } => self.arm(session, segments, window_ms, deadline),
            Command::Kick { session, deadline } => self.kick(session, deadline),
            Command::Disarm { session } => self.disarm(session),
            Command::AcknowledgeExpiry { session } => self.acknowledge_expiry(session),
            Command::Cut { segments, state } => self.cut(segments, state),
            Command::TakeTicket => self.take_ticket(),
            Command::Close {
                ticket,
                proof,
                segments,
            } => {
                let outcome = self.close(ticket, proof, segments);
                if let Err(refusal) = outcome {
                    self.log
                        .push_plain(self.now, EventKind::CloseRefused, refusal.code());
                }
                outcome
            }
            Command::Fence { session, read_at } => self.fence_peer(session, read_at),
            Command::Release => Ok(self.release()),
            Command::Set {
                segment,
                setting,
                state,
            } => self.set(segment, setting, state),
        }
    }

    fn arm(
        &mut self,
        session: u32,
        segments: SegmentMask,
        window_ms: u32,
        deadline: Tick,
    ) -> Result<Reply, Refusal> {
        self.check_segments(segments)?;
        self.deadman.check_session(session)?;
        // Re-arming may not leave a closed segment without a dead-man.
        if self
            .relays
            .any_closed(self.deadman.armed().without(segments))
        {
            return Err(Refusal::StillClosed);
        }
        let session = self.deadman.arm(self.now, segments, window_ms, deadline)?;
        self.log.push_plain(self.now, EventKind::Armed, segments.0);
        Ok(Reply::Session(session))
    }

    /// The state is told before the session: a kick after expiry is `Expired`, not merely stale.
    fn kick(&mut self, session: u32, deadline: Tick) -> Result<Reply, Refusal> {
        self.deadman.check_running()?;
        self.deadman.check_session(session)?;
        self.deadman.kick(self.now, deadline).map(Reply::Remaining)
    }

    fn disarm(&mut self, session: u32) -> Result<Reply, Refusal> {
        self.deadman.check_running()?;
        self.deadman.check_session(session)?;
        if self.relays.any_closed(self.deadman.armed()) {
            return Err(Refusal::StillClosed);
        }
        self.deadman.disarm()?;
        self.log.push_plain(self.now, EventKind::Disarmed, 0);
        Ok(Reply::Session(self.deadman.session()))
    }

    fn acknowledge_expiry(&mut self, session: u32) -> Result<Reply, Refusal> {
        self.deadman.check_session(session)?;
        self.deadman.acknowledge_expiry()?;
        self.log
            .push_plain(self.now, EventKind::ExpiryAcknowledged, 0);
        Ok(Reply::Session(self.deadman.session()))
    }

    fn cut(&mut self, segments: SegmentMask, state: CutState) -> Result<Reply, Refusal> {
        let segments = segments.and(self.relays.present());
        if segments.is_empty() {
            return Err(Refusal::NoSuchSegment);
        }
        self.tickets.void(VoidCause::OwnCut);
        let state = if self.allows(state.into()) {
            state
        } else {
            self.strapping.fenced()
        };
        self.relays.order(segments, state.into(), Cause::HostCut);
        Ok(Reply::Done)
    }

    /// Whether a cut ended where it asked. `BreakAllFirst` gets there on its own, so the target counts there.
    pub(super) fn cut_reply(&self, segments: SegmentMask, state: CutState) -> Reply {
        let fenced = self.fence.latched().then_some(self.strapping.fenced());
        let as_asked = self.check_segments(segments).is_ok()
            && self.allows(state.into())
            && fenced.is_none_or(|fenced| fenced == state);
        if as_asked {
            Reply::Done
        } else {
            Reply::Superseded
        }
    }

    fn take_ticket(&mut self) -> Result<Reply, Refusal> {
        if self.fence.latched() {
            return Err(Refusal::Latched);
        }
        Ok(Reply::Ticket(self.tickets.issue(self.now)))
    }

    fn close(
        &mut self,
        ticket: u32,
        proof: Proof,
        segments: SegmentMask,
    ) -> Result<Reply, Refusal> {
        self.check_segments(segments)?;
        // "Not latched" and "acknowledged" are worth as much as the sample they come from.
        if self.now.saturating_sub(self.inputs_at) > Self::INPUTS_MAX_AGE_MS {
            return Err(Refusal::InputsStale);
        }
        if self.fence.latched() {
            return Err(Refusal::Latched);
        }
        self.deadman.check_running()?;
        self.tickets.check(ticket)?;
        if !segments.without(self.deadman.armed()).is_empty() {
            return Err(Refusal::NotArmed);
        }
        if proof == Proof::Fenced {
            self.check_peer_fenced()?;
        }
        self.tickets.void(VoidCause::Used);
        self.relays
            .order(segments, RelayState::Normal, Cause::HostClose);
        self.log
            .push_plain(self.now, EventKind::Closed, proof.code());
        Ok(Reply::Done)
    }

    /// The interlock: the controller reads the acknowledge itself, in the step that closes.
    fn check_peer_fenced(&self) -> Result<(), Refusal> {
        if !self.fence.holds() {
            return Err(Refusal::NotHolding);
        }
        if !self.fence.peer_ack().is_asserted() {
            return Err(Refusal::PeerNotAcknowledged);
        }
        if !self.fence.ack_seen_idle() {
            return Err(Refusal::AcknowledgeNotSeenToChange);
        }
        Ok(())
    }

    /// A latched controller may ask too: the receiver decides.
    fn fence_peer(&mut self, session: u32, read_at: Tick) -> Result<Reply, Refusal> {
        self.deadman.check_running()?;
        self.deadman.check_session(session)?;
        let age = self.now.checked_sub(read_at).ok_or(Refusal::TickAhead)?;
        if age > u64::from(self.strapping.ticket_max_age_ms()) {
            return Err(Refusal::OrderTooOld);
        }
        if !self.fence.hold() {
            return Ok(Reply::Unchanged);
        }
        self.log.push_plain(self.now, EventKind::HoldTaken, 0);
        Ok(Reply::Done)
    }

    /// Voids the ticket even without a hold: a release says that the claim is over.
    fn release(&mut self) -> Reply {
        self.tickets.void(VoidCause::HoldDropped);
        if !self.fence.drop_hold() {
            return Reply::Unchanged;
        }
        self.log.push_plain(self.now, EventKind::HoldReleased, 0);
        Reply::Done
    }

    fn set(
        &mut self,
        segment: Segment,
        setting: Setting,
        state: RelayState,
    ) -> Result<Reply, Refusal> {
        self.check_segments(SegmentMask::only(segment))?;
        let cut = state.as_cut().filter(|_| self.allows(state));
        let cut = cut.ok_or(Refusal::StateNotAllowed);
        let written = match setting {
            Setting::RunTime | Setting::PowerOff => return Err(Refusal::SettingFixed),
            Setting::PowerUp => self.settings.set_power_up(segment, cut?),
            Setting::Expiry => self.settings.set_expiry(segment, cut?),
        };
        if !written {
            return Ok(Reply::Unchanged);
        }
        self.settings_dirty = true;
        let detail = setting.code();
        self.log.push(
            self.now,
            EventKind::SettingChanged,
            Some(segment),
            Some(state),
            detail,
        );
        Ok(Reply::Done)
    }

    fn allows(&self, state: RelayState) -> bool {
        self.strapping.supported().contains(state)
    }

    fn check_segments(&self, segments: SegmentMask) -> Result<(), Refusal> {
        if segments.is_empty() || !segments.without(self.relays.present()).is_empty() {
            return Err(Refusal::NoSuchSegment);
        }
        Ok(())
    }
}
