//! One appliance's board: the real controller firmware, its relays, and the driver's verbs upon them.
//!
//! The verbs do what the reference driver does, without the bytes: commands are prepared from what the driver knew
//! and carried out later, so that a pause can come between. Relays take their time; the contacts read as moving
//! meanwhile.

use core::time::Duration;

use fencepost_firmware::{
    Command, Contact, Controller, Entropy, Inputs, Line, MAX_SEGMENTS, Outputs, Proof, Refusal,
    RelayState as Coil, Reply, SegmentMask, Strapping, TimerState, unpowered,
};

use super::mutant::Mutant;
use crate::board::controller::{
    Acknowledge, ArmProof, Armed, CloseProof, CutState, DeadManReading, Evidence, Fault,
    FenceReading, Hold, Latch, Reading, RelayState, SegmentReading,
};
use crate::node::Instant;

/// A board of the reference kind.
#[derive(Debug, Clone)]
pub(super) struct Board {
    strapping: Strapping,
    pub(super) controller: Option<Controller>,
    powered_at: Instant,
    /// The controller's oscillator, in parts per million of true time.
    ppm: i64,
    relays: Vec<Relay>,
    pub(super) lines: (Line, Line),
    entropy: u32,
    /// There are relays. Without, the host is connected whenever it runs, and only tickets are given.
    pub(super) fitted: bool,
    /// The acknowledge output reads asserted whatever is so.
    pub(super) acknowledge_stuck: bool,
}

#[derive(Debug, Clone, Copy)]
struct Relay {
    position: Coil,
    moving: Option<(Coil, Instant)>,
    travel: Duration,
    stuck: bool,
}

impl Board {
    pub(super) fn new(strapping: Strapping, seed: u32, ppm: i64, travel: Duration) -> Self {
        let rest = strapping.power_off().into();
        let relay = Relay {
            position: rest,
            moving: None,
            travel,
            stuck: false,
        };
        Self {
            controller: None,
            powered_at: Instant::ZERO,
            ppm,
            relays: vec![relay; usize::from(strapping.segments())],
            lines: (Line::Idle, Line::Idle),
            entropy: seed,
            fitted: true,
            acknowledge_stuck: false,
            strapping,
        }
    }

    pub(super) fn power(&mut self, now: Instant, on: bool) {
        if on == self.controller.is_some() {
            return;
        }
        if !on {
            self.controller = None;
            return;
        }
        self.powered_at = now;
        let mut draw = || {
            self.entropy = self
                .entropy
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            self.entropy
        };
        let entropy = Entropy {
            generation: draw(),
            ticket: draw(),
            session: draw(),
        };
        let inputs = self.inputs();
        let strapping = self.strapping.clone();
        self.controller = Some(Controller::power_up(strapping, None, entropy, inputs, 0));
    }

    /// The controller's tick at this instant of true time.
    pub(super) fn tick(&self, now: Instant) -> u64 {
        let micros = i128::from(u64::try_from(now.since(self.powered_at).as_micros()).unwrap_or(0));
        let ran = micros + micros * i128::from(self.ppm) / 1_000_000;
        u64::try_from(ran / 1_000).unwrap_or(0)
    }

    fn inputs(&self) -> Inputs {
        let mut contacts = [Contact::Unknown; MAX_SEGMENTS];
        for (contact, relay) in contacts.iter_mut().zip(&self.relays) {
            *contact = relay.contact();
        }
        Inputs {
            fence: self.lines.0,
            peer_ack: self.lines.1,
            contacts,
        }
    }

    /// What its pins show, with a controller that acknowledges as `mutant` does.
    pub(super) fn outputs_of(&self, mutant: Mutant) -> Outputs {
        let mut outputs = self.outputs();
        let Some(controller) = &self.controller else {
            return outputs;
        };
        match mutant {
            Mutant::AcknowledgesByLatch => outputs.ack = Line::from_bool(controller.latched()),
            Mutant::AcknowledgesByContact => outputs.ack = Line::from_bool(!self.connected()),
            _ => {}
        }
        outputs
    }

    pub(super) fn outputs(&self) -> Outputs {
        let mut outputs = match &self.controller {
            Some(controller) => controller.outputs(),
            None => unpowered(&self.strapping, &self.inputs()),
        };
        if self.acknowledge_stuck {
            outputs.ack = Line::Asserted;
        }
        outputs
    }

    /// One round of the firmware's main loop, and of the relays. Whether anything is still on its way.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        let outputs = self.outputs();
        let mut moving = false;
        for (relay, coil) in self.relays.iter_mut().zip(outputs.relays) {
            relay.step(now, coil);
            moving |= relay.moving.is_some() && !relay.stuck;
        }
        let (tick, inputs) = (self.tick(now), self.inputs());
        if let Some(controller) = &mut self.controller {
            controller.inputs(tick, inputs);
        }
        moving
    }

    /// When the controller next does something by itself.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let tick = self.controller.as_ref()?.next_wakeup()?;
        let left = tick.saturating_sub(self.tick(now)).max(1);
        Some(now + Duration::from_millis(left))
    }

    /// When a relay that travels is there.
    pub(super) fn arrives_at(&self) -> Option<Instant> {
        let moving = self.relays.iter().filter(|relay| !relay.stuck);
        moving.filter_map(|relay| Some(relay.moving?.1)).min()
    }

    /// A data contact is, or may be, connected.
    pub(super) fn connected(&self) -> bool {
        if !self.fitted {
            return true;
        }
        let normal = |coil: Coil| coil == Coil::Normal;
        self.relays
            .iter()
            .any(|relay| normal(relay.position) || relay.moving.is_some_and(|(to, _)| normal(to)))
    }

    /// Its relays are a plain wire, and stay so for now: what moves has opened already.
    pub(super) fn passes(&self) -> bool {
        let at = |relay: &Relay| relay.position == Coil::Bypass && relay.moving.is_none();
        self.relays.iter().all(at)
    }

    pub(super) fn all_closed(&self) -> bool {
        let at = |relay: &Relay| relay.position == Coil::Normal && relay.moving.is_none();
        !self.fitted || self.relays.iter().all(at)
    }

    pub(super) fn stick(&mut self, relay: usize, stuck: bool) {
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.stuck = stuck;
        }
    }

    pub(super) fn any_stuck(&self) -> bool {
        self.relays.iter().any(|relay| relay.stuck)
    }

    /// A ticket of this very moment: what a controller without tickets amounts to.
    pub(super) fn take_any_ticket(&mut self, now: Instant) -> u32 {
        match self.command(now, Command::TakeTicket) {
            Some(Ok(Reply::Ticket(number))) => number,
            _ => 0,
        }
    }

    pub(super) fn segments(&self) -> usize {
        if self.fitted { self.relays.len() } else { 0 }
    }

    pub(super) fn status(&self) -> Option<Status> {
        let controller = self.controller.as_ref()?;
        Some(Status {
            session: controller.session(),
            tick: controller.now(),
        })
    }

    /// Carries out an order at this instant.
    pub(super) fn command(
        &mut self,
        now: Instant,
        command: Command,
    ) -> Option<Result<Reply, Refusal>> {
        let (tick, inputs) = (self.tick(now), self.inputs());
        let controller = self.controller.as_mut()?;
        controller.inputs(tick, inputs);
        Some(controller.command(tick, command))
    }

    pub(super) fn arm(&mut self, now: Instant, period: Duration) -> Option<Result<Armed, Fault>> {
        let status = self.status()?;
        let mut session = status.session;
        if self.controller.as_ref()?.timer() == TimerState::Expired {
            let reply = self.command(now, Command::AcknowledgeExpiry { session })?;
            if let Ok(Reply::Session(next)) = reply {
                session = next;
            }
        }
        let window_ms = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        let deadline = self.tick(now) + u64::from(window_ms);
        let segments = SegmentMask::first(self.strapping.segments());
        let arm = Command::Arm {
            session,
            segments,
            window_ms,
            deadline,
        };
        let outcome = self.command(now, arm)?;
        Some(
            outcome
                .map_err(|refusal| refused("arming", refusal))
                .map(|_| Armed {
                    effective: period,
                    proof: ArmProof::ReadBack,
                }),
        )
    }

    /// One complete look; `None` if nobody answers.
    pub(super) fn read(&mut self, now: Instant) -> Option<FenceReading> {
        if !self.fitted {
            return Some(nothing());
        }
        let (tick, inputs) = (self.tick(now), self.inputs());
        let controller = self.controller.as_mut()?;
        controller.inputs(tick, inputs);
        let dead_man = match controller.timer() {
            TimerState::Disarmed => DeadManReading::Disarmed,
            TimerState::Expired => DeadManReading::Expired,
            TimerState::Running => DeadManReading::Running {
                period: Duration::from_millis(controller.window_ms().into()),
                remaining: Some(Duration::from_millis(controller.remaining_ms().into())),
            },
        };
        let hold = if controller.peer_fenced() {
            Hold::Acknowledged
        } else if controller.holds() {
            Hold::Asserted
        } else {
            Hold::Released
        };
        let acknowledge = if controller.peer_ack().is_asserted() {
            Acknowledge::Asserted
        } else {
            Acknowledge::Idle
        };
        let latch = if controller.latched() {
            Latch::Latched
        } else {
            Latch::Clear
        };
        let generation = controller.generation();
        let segments = self.relays.iter().map(|relay| relay.reading()).collect();
        Some(FenceReading {
            reading: Reading {
                segments,
                dead_man,
                latch,
                generation,
            },
            hold,
            acknowledge,
        })
    }

    pub(super) fn contact(&self, segment: usize) -> SegmentReading {
        self.relays.get(segment).map_or(
            SegmentReading {
                state: RelayState::Unknown,
                evidence: Evidence::Nothing,
            },
            Relay::reading,
        )
    }
}

/// What is read where there is nothing.
fn nothing() -> FenceReading {
    FenceReading {
        reading: Reading {
            segments: Vec::new(),
            dead_man: DeadManReading::Absent,
            latch: Latch::Absent,
            generation: 0,
        },
        hold: Hold::Released,
        acknowledge: Acknowledge::Idle,
    }
}

/// What the driver remembers of the controller's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) session: u32,
    pub(super) tick: u64,
}

impl Relay {
    fn step(&mut self, now: Instant, coil: Coil) {
        if self.stuck {
            return;
        }
        if let Some((to, at)) = self.moving {
            if to != coil {
                self.moving = Some((coil, now + self.travel));
            } else if now >= at {
                self.position = to;
                self.moving = None;
            }
        } else if self.position != coil {
            self.moving = Some((coil, now + self.travel));
        }
    }

    fn contact(&self) -> Contact {
        if self.moving.is_some() {
            Contact::Unknown
        } else {
            self.position.into()
        }
    }

    fn reading(&self) -> SegmentReading {
        let state = match self.contact() {
            Contact::Normal => RelayState::Normal,
            Contact::Bypass => RelayState::Bypass,
            Contact::Disconnect => RelayState::Disconnect,
            Contact::Unknown => RelayState::Unknown,
        };
        SegmentReading {
            state,
            evidence: Evidence::Contacts,
        }
    }
}

pub(super) fn refused(what: &str, refusal: Refusal) -> Fault {
    Fault::Refused {
        what: what.to_owned(),
        reason: refusal.to_string(),
    }
}

pub(super) fn to_firmware(proof: CloseProof) -> Proof {
    match proof {
        CloseProof::Solo => Proof::Solo,
        CloseProof::NotServing => Proof::NotServing,
        CloseProof::Fenced => Proof::Fenced,
        CloseProof::Released => Proof::Released,
        CloseProof::LeaseExpired => Proof::LeaseExpired,
        CloseProof::OperatorConfirmed => Proof::OperatorConfirmed,
    }
}

pub(super) fn cut_of(state: CutState) -> fencepost_firmware::CutState {
    match state {
        CutState::Bypass => fencepost_firmware::CutState::Bypass,
        CutState::Disconnect => fencepost_firmware::CutState::Disconnect,
    }
}
