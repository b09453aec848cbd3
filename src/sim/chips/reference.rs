//! Fencepost's own controller: the real firmware library behind modelled pins.
//!
//! The model adds what a board adds: relays and their contacts, an oscillator that starts at power-up, cells
//! for the settings image, random numbers, and the passive part of the fence circuit that works without
//! power. Between two calls it steps through every instant at which firmware or a contact does something, on
//! the millisecond, as the firmware's main loop would.
//!
//! A hung controller is reset by its hardware watchdog and held there: no code runs and the relays fall.

use core::time::Duration;

use fencepost_firmware::{
    Cause, Command, Contact, Controller, CutState, Entropy, EventKind, I2cTarget, Inputs, Line,
    MAX_SEGMENTS, NonVolatile, RelayState as FirmwareState, Segment, SegmentMask, Strapping,
    unpowered,
};

use super::chance::SplitMix;
use super::{Body, Chip, Drive, Health, Power};
use crate::board::RelayState;
use crate::node::Instant;
use crate::sim::fault::NotApplicable;
use crate::sim::journal::BoardFact;
use crate::sim::port::I2cFault;
use crate::sim::relay::{MoveCause, Relay, RelayKind, RelayTiming};

/// The reference board's controller.
#[derive(Debug)]
pub struct ReferenceController {
    body: Body,
    strapping: Strapping,
    address: u8,
    /// The running firmware; none while off or hung.
    target: Option<I2cTarget>,
    powered_at: Instant,
    stepped_at: Instant,
    image: Option<[u8; NonVolatile::IMAGE_LEN]>,
    image_writes: u64,
    entropy: SplitMix,
    fence: Line,
    peer_acknowledge: Line,
    events_seen: u32,
    /// Segment whose last order came from another master: firmware cannot tell its masters apart, the journal must.
    strangers: SegmentMask,
}

impl ReferenceController {
    /// Input pin: the peer's fence order.
    pub const ORDER_IN: usize = 0;
    /// Input pin: the peer's acknowledge.
    pub const ACKNOWLEDGE_IN: usize = 1;
    /// Output pin: our fence order.
    pub const ORDER_OUT: usize = 2;
    /// Output pin: our acknowledge.
    pub const ACKNOWLEDGE_OUT: usize = 3;

    /// A controller powered up at `now` with factory settings; its relays were in their power-off state.
    pub fn new(
        now: Instant,
        strapping: Strapping,
        address: u8,
        seed: u64,
        timing: RelayTiming,
    ) -> Self {
        let rest = to_board(strapping.power_off().into());
        let relay = Relay::new(RelayKind::Monostable { rest }, timing, rest);
        let mut chip = Self {
            body: Body::new(vec![relay; usize::from(strapping.segments())]),
            address,
            target: None,
            powered_at: now,
            stepped_at: now,
            image: Some(strapping.factory_settings().to_image()),
            image_writes: 0,
            entropy: SplitMix::new(seed),
            fence: Line::Idle,
            peer_acknowledge: Line::Idle,
            events_seen: 0,
            strangers: SegmentMask::NONE,
            strapping,
        };
        chip.power(now, Power::On);
        chip
    }

    /// Damages the stored settings image, as a torn write would; seen at the next power-up.
    pub fn tear_settings(&mut self) {
        if let Some([first, ..]) = &mut self.image {
            *first ^= 0xFF;
        }
    }

    fn sample(&self) -> Inputs {
        let mut contacts = [Contact::Unknown; MAX_SEGMENTS];
        for (index, relay) in self.body.relays.iter().enumerate() {
            contacts[index] = to_contact(self.body.shown(index, relay.auxiliary()));
        }
        Inputs {
            fence: self.fence,
            peer_ack: self.peer_acknowledge,
            contacts,
        }
    }

    /// One turn of the firmware's main loop.
    fn step(&mut self, at: Instant) {
        for relay in &mut self.body.relays {
            relay.tick(at);
        }
        self.stepped_at = at;
        let inputs = self.sample();
        let tick = self.tick_of(at);
        if let Some(target) = &mut self.target {
            target.controller_mut().inputs(tick, inputs);
            self.follow(at);
        }
    }

    /// Carries the firmware's outputs to coils, cells and journal.
    fn follow(&mut self, at: Instant) {
        let Some(target) = &mut self.target else {
            return;
        };
        if let Some(settings) = target.controller_mut().settings_to_store() {
            self.image = Some(settings.to_image());
            self.image_writes += 1;
            let writes = self.image_writes;
            self.body.note(at, BoardFact::NvmWritten { writes });
        }
        let controller = target.controller();
        let coils = controller.outputs().relays;
        for segment in SegmentMask::first(self.strapping.segments()).iter() {
            let by = controller.cause(segment);
            if by != Some(Cause::HostCut) {
                self.strangers = self.strangers.without(SegmentMask::only(segment));
            }
            let cause = if self.strangers.contains(segment) {
                MoveCause::External
            } else {
                by.map_or(MoveCause::PowerUp, to_move)
            };
            let wanted = to_board(coils[segment.index()]);
            self.body.command(at, segment.index(), wanted, cause);
        }
        let range = controller.event_range();
        for sequence in range.start.max(self.events_seen)..range.end {
            if let Some(event) = controller.event(sequence)
                && let Some(fact) = to_fact(event.kind, controller.window_ms())
            {
                let event_at = self.powered_at + Duration::from_millis(event.tick);
                self.body.note(event_at, fact);
            }
        }
        self.events_seen = range.end;
    }

    fn tick_of(&self, at: Instant) -> u64 {
        at.since(self.powered_at)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// The first millisecond of the firmware's clock that is not before `at`.
    fn sampling(&self, at: Instant) -> Instant {
        let whole = at.since(self.powered_at).as_nanos().div_ceil(1_000_000);
        self.powered_at + Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    /// When firmware or a contact next does something, after the last step.
    fn next_step(&self) -> Option<Instant> {
        let controller = self.firmware()?;
        let wakeup =
            (controller.next_wakeup()).map(|tick| self.powered_at + Duration::from_millis(tick));
        let relays = self.body.relays.iter().filter_map(Relay::deadline);
        let contacts = relays.map(|due| self.sampling(due));
        wakeup
            .into_iter()
            .chain(contacts)
            .filter(|at| *at > self.stepped_at)
            .min()
    }

    fn stop(&mut self, now: Instant, health: Health) {
        self.target = None;
        self.body.health = health;
        for relay in &mut self.body.relays {
            relay.lose_power(now, MoveCause::PowerOff);
        }
    }

    fn start(&mut self, now: Instant) {
        self.body.health = Health::Running;
        self.powered_at = now;
        self.stepped_at = now;
        self.events_seen = 0;
        let stored = self
            .image
            .as_ref()
            .and_then(|image| NonVolatile::from_image(image));
        let entropy = Entropy {
            generation: self.entropy.draw(),
            ticket: self.entropy.draw(),
            session: self.entropy.draw(),
        };
        let inputs = self.sample();
        let controller = Controller::power_up(self.strapping.clone(), stored, entropy, inputs, 0);
        self.target = Some(I2cTarget::new(controller, self.address));
        self.follow(now);
    }

    /// Facts that only show as a difference across one transaction.
    fn note_orders(&mut self, now: Instant, before: Seen, register: Option<u8>) {
        let Some(after) = self.firmware().map(Seen::of) else {
            return;
        };
        if let (Some(old), Some(new)) = (before.deadline, after.deadline)
            && new > old
            && before.armed == after.armed
        {
            self.body.note(now, BoardFact::DeadManKicked { timer: 1 });
        }
        if after.refused > before.refused {
            let register = register.unwrap_or(0);
            self.body
                .refuse(now, format!("order in register 0x{register:02x}"));
        }
    }
}

/// What the firmware does not log by itself.
#[derive(Debug, Clone, Copy)]
struct Seen {
    deadline: Option<u64>,
    armed: u32,
    refused: u32,
}

impl Seen {
    fn of(controller: &Controller) -> Self {
        Self {
            deadline: controller.deadline(),
            armed: controller.session(),
            refused: controller.tally().refused,
        }
    }
}

impl Chip for ReferenceController {
    fn body(&self) -> &Body {
        &self.body
    }

    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    fn tick(&mut self, now: Instant) {
        while let Some(at) = self.next_step().filter(|at| *at <= now) {
            self.step(at);
        }
        self.step(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_step()
    }

    fn write(&mut self, now: Instant, _address: u8, bytes: &[u8]) -> Result<(), I2cFault> {
        let tick = self.tick_of(now);
        let target = self.target.as_mut().ok_or(I2cFault::Nack)?;
        let before = Seen::of(target.controller());
        let outcome = target.write(tick, bytes);
        self.follow(now);
        self.note_orders(now, before, bytes.first().copied());
        outcome.map_err(|nack| {
            self.body.refuse(now, format!("frame: {nack}"));
            I2cFault::Nack
        })
    }

    fn read(&mut self, now: Instant, _address: u8, out: &mut [u8]) -> Result<(), I2cFault> {
        let tick = self.tick_of(now);
        let target = self.target.as_mut().ok_or(I2cFault::Nack)?;
        target.read(tick, out);
        self.follow(now);
        Ok(())
    }

    fn drive(&mut self, now: Instant, pin: usize, drive: Drive) {
        let level = Line::from_bool(drive == Drive::Active);
        match pin {
            Self::ORDER_IN => self.fence = level,
            Self::ACKNOWLEDGE_IN => self.peer_acknowledge = level,
            _ => return,
        }
        self.step(now);
    }

    fn firmware(&self) -> Option<&Controller> {
        self.target.as_ref().map(I2cTarget::controller)
    }

    fn asserts(&self, pin: usize) -> bool {
        let outputs = match self.firmware() {
            Some(controller) => controller.outputs(),
            None => unpowered(&self.strapping, &self.sample()),
        };
        match pin {
            Self::ORDER_OUT => outputs.fence.is_asserted(),
            Self::ACKNOWLEDGE_OUT => outputs.ack.is_asserted(),
            _ => false,
        }
    }

    fn power(&mut self, now: Instant, power: Power) {
        match power {
            Power::On => self.start(now),
            Power::Off => self.stop(now, Health::Off),
        }
    }

    fn die(&mut self, now: Instant) {
        self.tick(now);
        self.stop(now, Health::Dead);
    }

    fn external_write(
        &mut self,
        now: Instant,
        relay: usize,
        state: RelayState,
    ) -> Result<(), NotApplicable> {
        let refused = |reason| NotApplicable::new("external write", reason);
        let state = match state {
            RelayState::Bypass => CutState::Bypass,
            RelayState::Disconnect => CutState::Disconnect,
            RelayState::Normal => return Err(refused("nobody closes without a ticket")),
            RelayState::Unknown => return Err(refused("nobody can order an unknown state")),
        };
        let segment = u8::try_from(relay).ok().and_then(Segment::new);
        let segments = segment.map_or(SegmentMask::NONE, SegmentMask::only);
        let tick = self.tick_of(now);
        let Some(target) = &mut self.target else {
            return Err(refused("the controller is not running"));
        };
        let order = Command::Cut { segments, state };
        let outcome = target.controller_mut().command(tick, order);
        self.strangers = segments;
        self.follow(now);
        outcome
            .map(|_| ())
            .map_err(|_| refused("the cut was refused"))
    }
}

fn to_board(state: FirmwareState) -> RelayState {
    match state {
        FirmwareState::Normal => RelayState::Normal,
        FirmwareState::Bypass => RelayState::Bypass,
        FirmwareState::Disconnect => RelayState::Disconnect,
    }
}

fn to_contact(state: RelayState) -> Contact {
    match state {
        RelayState::Normal => Contact::Normal,
        RelayState::Bypass => Contact::Bypass,
        RelayState::Disconnect => Contact::Disconnect,
        RelayState::Unknown => Contact::Unknown,
    }
}

fn to_move(cause: Cause) -> MoveCause {
    match cause {
        Cause::PowerUp => MoveCause::PowerUp,
        Cause::HostClose | Cause::HostCut => MoveCause::Command,
        Cause::FenceLatch | Cause::LatchCleared => MoveCause::Fence,
        Cause::Expiry => MoveCause::Expiry,
    }
}

fn to_fact(kind: EventKind, window_ms: u32) -> Option<BoardFact> {
    let timer = 1;
    match kind {
        EventKind::Armed => Some(BoardFact::DeadManArmed {
            timer,
            period: Duration::from_millis(u64::from(window_ms)),
        }),
        EventKind::Disarmed => Some(BoardFact::DeadManDisarmed { timer }),
        EventKind::Expired => Some(BoardFact::DeadManExpired { timer }),
        _ => None,
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
