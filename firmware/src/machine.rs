//! The state machine: every rule that joins timer, ticket, fence and relays.
//!
//! One entry point at a time, each with the present tick: [`Controller::inputs`] when lines or contacts are sampled,
//! [`Controller::tick`] at least once a millisecond, [`Controller::command`] when the host speaks. Each first lets
//! time pass (expiry, ticket age), then does its own work, then applies the standing rules, all in one indivisible
//! step. [`Controller::outputs`] is what the pins must show afterwards.
//!
//! What if this dies here? See the crate's head: reset, and cut by mechanics. There is no state that must survive.

use crate::command::{Command, Refusal, Reply};
use crate::deadman::DeadMan;
use crate::fence::{Change, Fence, Line, Surroundings};
use crate::log::{EventKind, Log};
use crate::nonvolatile::NonVolatile;
use crate::relay::{Bank, Cause, Contact, RelayState, SegmentMask};
use crate::strapping::Strapping;
use crate::ticket::{TicketDesk, VoidCause};
use crate::{MAX_SEGMENTS, Tick};

mod orders;
mod readings;

/// Random numbers for one power-up. They must differ from power-up to power-up: they are what tells a late order of
/// the last life from one of this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entropy {
    /// First latch generation.
    pub generation: u32,
    /// First ticket number.
    pub ticket: u32,
    /// First dead-man session.
    pub session: u32,
}

/// What the controller's pins read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Fence line from the peer: asserted while it holds us.
    pub fence: Line,
    /// Acknowledge line from the peer: asserted while it is latched and its contacts read cut.
    pub peer_ack: Line,
    /// Contacts, by segment.
    pub contacts: [Contact; MAX_SEGMENTS],
}

/// What the controller's pins must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// State given to each segment's coils; entries past the board's segments mean nothing.
    pub relays: [RelayState; MAX_SEGMENTS],
    /// Fence line to the peer.
    pub fence: Line,
    /// Acknowledge line to the peer.
    pub ack: Line,
}

/// The controller.
#[derive(Clone, Debug)]
pub struct Controller {
    now: Tick,
    strapping: Strapping,
    settings: NonVolatile,
    settings_dirty: bool,
    inputs_at: Tick,
    relays: Bank,
    deadman: DeadMan,
    tickets: TicketDesk,
    fence: Fence,
    log: Log,
    tally: Tally,
}

/// How often things have happened since power-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands executed.
    pub executed: u32,
    /// Commands refused.
    pub refused: u32,
    /// Dead-man expiries.
    pub expiries: u32,
    /// Times the latch was set.
    pub latches: u32,
}

impl Inputs {
    /// Idle lines, all contacts reading `contact`.
    #[must_use]
    pub fn quiet(contact: Contact) -> Self {
        Self {
            fence: Line::Idle,
            peer_ack: Line::Idle,
            contacts: [contact; MAX_SEGMENTS],
        }
    }
}

impl Controller {
    /// Oldest sample of the lines on which a close is executed, in ms. The main loop samples every
    /// millisecond; this leaves room for one long bus interrupt.
    pub const INPUTS_MAX_AGE_MS: u64 = 10;

    /// Starts after power-up: relays to their power-up state, no hold, no ticket, no timer, latched = input.
    ///
    /// `stored` is the non-volatile image as read, or `None` if it could not be trusted.
    #[must_use]
    pub fn power_up(
        strapping: Strapping,
        stored: Option<NonVolatile>,
        entropy: Entropy,
        inputs: Inputs,
        now: Tick,
    ) -> Self {
        let unreadable = u8::from(stored.is_none());
        let mut settings = stored.unwrap_or_else(|| strapping.factory_settings());
        let supported = strapping.supported();
        settings.restrict(strapping.fenced(), |state| supported.contains(state.into()));
        let relays = Bank::new(
            strapping.present(),
            strapping.path(),
            strapping.power_off(),
            settings.power_up(),
        );
        let mut controller = Self {
            now,
            settings_dirty: false,
            inputs_at: now,
            relays,
            deadman: DeadMan::new(entropy.session),
            tickets: TicketDesk::new(entropy.ticket, strapping.ticket_max_age_ms()),
            fence: Fence::new(entropy.generation, inputs.fence, inputs.peer_ack),
            log: Log::new(),
            tally: Tally::default(),
            strapping,
            settings,
        };
        controller
            .log
            .push_plain(now, EventKind::PowerUp, unreadable);
        if controller.fence.latched() {
            controller.note_latched();
        }
        controller
            .relays
            .read_contacts(now, &inputs.contacts, &mut controller.log);
        controller.settle();
        controller
    }

    /// Takes a fresh sample of the pins. To be called before every bus transaction and at least every millisecond:
    /// a close is decided on it, and refused when it is older than [`Controller::INPUTS_MAX_AGE_MS`].
    pub fn inputs(&mut self, now: Tick, inputs: Inputs) {
        self.pass_time(now);
        self.inputs_at = self.now;
        self.fence.read_lines(inputs.fence, inputs.peer_ack);
        self.relays
            .read_contacts(self.now, &inputs.contacts, &mut self.log);
        self.settle();
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Tick) {
        self.pass_time(now);
        self.settle();
    }

    /// Executes one order, or refuses it and changes nothing.
    pub fn command(&mut self, now: Tick, command: Command) -> Result<Reply, Refusal> {
        self.tick(now);
        let outcome = self.execute(command);
        let counter = match outcome {
            Ok(_) => &mut self.tally.executed,
            Err(_) => &mut self.tally.refused,
        };
        *counter = counter.saturating_add(1);
        self.settle();
        match (command, outcome) {
            // Whether the coils follow is known only after the latch and the straps have had their say.
            (Command::Cut { segments, state }, Ok(_)) => Ok(self.cut_reply(segments, state)),
            _ => outcome,
        }
    }

    /// What the pins must show now.
    #[must_use]
    pub fn outputs(&self) -> Outputs {
        let power_off = RelayState::from(self.strapping.power_off());
        let mut relays = [power_off; MAX_SEGMENTS];
        for (relay, segment) in relays.iter_mut().zip(SegmentMask::first(8).iter()) {
            *relay = self
                .relays
                .relay(segment)
                .map_or(power_off, |relay| relay.drive);
        }
        Outputs {
            relays,
            fence: Line::from_bool(self.fence.holds()),
            ack: self.acknowledge(),
        }
    }

    /// The next tick at which something happens by itself, for drivers that sleep until then.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Tick> {
        let yields = self.fence.yields_at(self.strapping.standing_ms());
        self.deadman.deadline().into_iter().chain(yields).min()
    }

    /// The settings image to store, once after each change. The caller writes it to non-volatile memory.
    pub fn settings_to_store(&mut self) -> Option<NonVolatile> {
        core::mem::take(&mut self.settings_dirty).then(|| self.settings.clone())
    }

    fn acknowledge(&self) -> Line {
        Line::from_bool(self.fence.latched() && self.relays.all_read(self.strapping.fenced()))
    }

    /// Time never runs backwards, whatever the caller says.
    fn pass_time(&mut self, now: Tick) {
        self.now = self.now.max(now);
        self.tickets.expire(self.now);
        let Some(armed) = self.deadman.expire(self.now) else {
            return;
        };
        self.tickets.void(VoidCause::Expiry);
        self.tally.expiries = self.tally.expiries.saturating_add(1);
        self.log.push_plain(self.now, EventKind::Expired, armed.0);
        for segment in armed.iter() {
            let Some(state) = self.settings.expiry().get(segment.index()) else {
                continue;
            };
            self.relays
                .order(SegmentMask::only(segment), (*state).into(), Cause::Expiry);
        }
    }

    /// Applies latch, hold and relay rules until nothing changes. The latch can change once and the hold can go
    /// once, so three rounds always suffice.
    fn settle(&mut self) {
        for _ in 0..3 {
            let around = self.surroundings();
            match self.fence.judge(self.now, around) {
                None => break,
                Some(Change::Latched) => {
                    self.tickets.void(VoidCause::LatchChanged);
                    self.note_latched();
                }
                Some(Change::Unlatched) => {
                    self.tickets.void(VoidCause::LatchChanged);
                    self.relays.unlatch();
                    self.log.push_plain(self.now, EventKind::LatchCleared, 0);
                }
                Some(Change::Yielded) => {
                    self.tickets.void(VoidCause::HoldDropped);
                    self.log.push_plain(self.now, EventKind::HoldYielded, 0);
                }
            }
        }
        let fenced = self.fence.latched().then_some(self.strapping.fenced());
        self.relays.drive(self.now, fenced, &mut self.log);
    }

    fn note_latched(&mut self) {
        self.relays.latch(self.strapping.fenced());
        self.tally.latches = self.tally.latches.saturating_add(1);
        self.log.push_plain(self.now, EventKind::LatchSet, 0);
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            closed: self.relays.any_closed(self.strapping.present()),
            open: self.relays.all_open(),
            host_alive: self.deadman.is_running(),
            rank: self.strapping.rank(),
            standing_ms: self.strapping.standing_ms(),
        }
    }
}

/// What the board shows without power: relays in their power-off state, no hold, and an acknowledge from the passive
/// latch input and the passive contacts.
///
/// No code runs then. It is stated here, beside the rules it must agree with, for the boards' designers and for
/// whoever simulates a board.
#[must_use]
pub fn unpowered(strapping: &Strapping, inputs: &Inputs) -> Outputs {
    let wanted = Contact::from(RelayState::from(strapping.fenced()));
    let cut = strapping
        .present()
        .iter()
        .all(|segment| inputs.contacts.get(segment.index()) == Some(&wanted));
    Outputs {
        relays: [strapping.power_off().into(); MAX_SEGMENTS],
        fence: Line::Idle,
        ack: Line::from_bool(inputs.fence.is_asserted() && cut),
    }
}
