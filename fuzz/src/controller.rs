//! The reference controller's firmware behind its bus, judged from outside.
//!
//! Contract judged: no bytes, at no time, make it panic; a relay goes to `Normal` only in the step in which a sound
//! close arrives, with a ticket out, the latch clear and the dead-man running over that segment; it is never `Normal`
//! otherwise; expiry is sticky; every block it answers carries the right length and packet error code.

use fencepost_firmware::wire::frame::write_pec;
use fencepost_firmware::wire::{self, ADDRESS, Block, Register, Request, Shape};
use fencepost_firmware::{
    Command, Contact, Controller, CutState, Entropy, I2cTarget, Inputs, Line, Proof, RelayState,
    Segment, SegmentMask, Setting, Strapping, Tick, TimerState,
};

use crate::feed::Feed;

/// Segments of the board under test.
const SEGMENTS: u8 = 2;

/// A board of any strapping, driven by `bytes` until they are used up. How often a relay went to `Normal`.
pub fn frames(bytes: &[u8]) -> u32 {
    let mut feed = Feed::new(bytes);
    let mut bench = Bench::new(&mut feed);
    while !feed.is_empty() {
        bench.step(&mut feed);
    }
    bench.closes
}

struct Bench {
    target: I2cTarget,
    inputs: Inputs,
    now: Tick,
    sequence: u16,
    closes: u32,
}

/// What a step may depend on.
struct Before {
    driven: [Option<RelayState>; SEGMENTS as usize],
    armed: SegmentMask,
    timer: TimerState,
    latched: bool,
    ticket_out: bool,
}

/// Whether the step carried an order that may close, or must cut.
#[derive(Clone, Copy, PartialEq)]
enum Carried {
    Nothing,
    Close,
    Cut,
}

impl Bench {
    fn new(feed: &mut Feed) -> Self {
        let strapping = match feed.below(4) {
            0 => Strapping::inline(SEGMENTS),
            1 => Strapping::series(SEGMENTS),
            2 => Strapping::parallel(SEGMENTS),
            _ => Strapping::chained(SEGMENTS),
        }
        .expect("the standard strappings are sound");
        let inputs = Inputs::quiet(RelayState::from(strapping.fenced()).into());
        let entropy = Entropy {
            generation: 1,
            ticket: 2,
            session: 3,
        };
        let stored = Some(strapping.factory_settings());
        let controller = Controller::power_up(strapping, stored, entropy, inputs, 0);
        Self {
            target: I2cTarget::new(controller, ADDRESS),
            inputs,
            now: 0,
            sequence: 0,
            closes: 0,
        }
    }

    fn step(&mut self, feed: &mut Feed) {
        match feed.below(8) {
            0 => self.now += u64::from(feed.byte()),
            1 => self.now += u64::from(feed.word()),
            2 => self.lines(feed),
            3 => self.inputs.contacts = self.controller().outputs().relays.map(Contact::from),
            4 => {
                let count = feed.below(40);
                self.write(feed.bytes(count));
            }
            5 => {
                let frame = self.framed(feed);
                self.write(&frame);
            }
            6 => {
                let frame = self.order(feed);
                self.write(&frame);
            }
            _ => self.read(feed),
        }
        self.sample();
        self.always();
    }

    fn controller(&self) -> &Controller {
        self.target.controller()
    }

    fn sample(&mut self) {
        let timer = self.controller().timer();
        self.target.controller_mut().inputs(self.now, self.inputs);
        if timer == TimerState::Expired {
            assert_eq!(self.controller().timer(), timer, "expiry is sticky");
        }
    }

    fn lines(&mut self, feed: &mut Feed) {
        let bits = feed.byte();
        self.inputs.fence = Line::from_bool(bits & 1 != 0);
        self.inputs.peer_ack = Line::from_bool(bits & 2 != 0);
        let contacts = [
            Contact::Normal,
            Contact::Bypass,
            Contact::Disconnect,
            Contact::Unknown,
        ];
        self.inputs.contacts[usize::from(bits >> 2 & 1)] = contacts[usize::from(bits >> 3 & 3)];
    }

    /// Any register with any data, in a sound frame.
    fn framed(&self, feed: &mut Feed) -> Vec<u8> {
        let register = Register::ALL[feed.below(Register::ALL.len())];
        let frame = match register.shape() {
            Shape::ReadBlock(_) => return vec![register.code()],
            Shape::WriteBlock(count) => {
                let data = feed.bytes(usize::from(count));
                let block = Block::from_slice(data).expect("no register is longer than a block");
                wire::write_block(ADDRESS, register, &block)
            }
            Shape::WriteByte => wire::write_byte(ADDRESS, register, feed.byte()),
            Shape::Word => wire::write_word(ADDRESS, register, feed.byte(), feed.byte()),
        };
        frame.as_slice().to_vec()
    }

    /// An order as a host would give it, sometimes late or wrong.
    fn order(&mut self, feed: &mut Feed) -> Vec<u8> {
        let session = self.controller().session();
        let segments = SegmentMask(feed.byte() & 0b111);
        let ahead = |feed: &mut Feed| self.now + u64::from(feed.byte()) * 8;
        let command = match feed.below(10) {
            0 => Command::Arm {
                session,
                segments,
                window_ms: u32::from(feed.word()),
                deadline: ahead(feed),
            },
            1 => Command::Kick {
                session,
                deadline: ahead(feed),
            },
            2 => Command::Disarm { session },
            3 => Command::AcknowledgeExpiry { session },
            4 => Command::Cut {
                segments,
                state: cut_state(feed),
            },
            5 => Command::TakeTicket,
            6 => Command::Close {
                // Tickets count up from a start the bench knows.
                ticket: u32::from(feed.byte()),
                proof: proof(feed),
                segments,
            },
            7 => Command::Fence {
                session,
                read_at: self.now.saturating_sub(u64::from(feed.byte())),
            },
            8 => Command::Release,
            _ => Command::Set {
                segment: Segment::new(feed.byte() & 7).expect("below eight"),
                setting: [Setting::PowerUp, Setting::Expiry, Setting::RunTime][feed.below(3)],
                state: cut_state(feed).into(),
            },
        };
        self.sequence = self.sequence.wrapping_add(1);
        let request = Request {
            sequence: self.sequence,
            command,
        };
        let frame = wire::write_block(ADDRESS, request.register(), &request.encode());
        frame.as_slice().to_vec()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.sample();
        let before = self.before();
        let carried = carried(bytes);
        let _refused = self.target.write(self.now, bytes);
        self.judge(&before, carried);
    }

    fn read(&mut self, feed: &mut Feed) {
        let register = Register::ALL[feed.below(Register::ALL.len())];
        let selected = self.target.write(self.now, &[register.code()]);
        let mut out = [0; wire::BLOCK_MAX + 8];
        let wanted = feed.below(out.len() + 1);
        self.target.read(self.now, &mut out[..wanted]);
        self.target.read(self.now, &mut out);
        match (selected, register.shape()) {
            (Ok(()), Shape::ReadBlock(count)) => {
                let block = wire::parse_block(ADDRESS, register, &out).expect("a sound answer");
                assert_eq!(block.count(), count, "{register:?}");
            }
            (Ok(()), Shape::Word) => {
                wire::parse_word(ADDRESS, register, &out).expect("a sound answer");
            }
            (Ok(()), _) => panic!("{register:?} cannot be read"),
            (Err(_), _) => {}
        }
    }

    fn before(&self) -> Before {
        let controller = self.controller();
        Before {
            driven: self.driven(),
            armed: controller.armed(),
            timer: controller.timer(),
            latched: controller.latched(),
            ticket_out: controller.ticket_out(),
        }
    }

    fn driven(&self) -> [Option<RelayState>; SEGMENTS as usize] {
        [0, 1].map(|number| self.controller().drive(Segment::new(number)?))
    }

    fn judge(&mut self, before: &Before, carried: Carried) {
        for (number, (was, is)) in before.driven.iter().zip(self.driven()).enumerate() {
            let normal = Some(RelayState::Normal);
            if is != normal || *was == normal {
                continue;
            }
            let bit = SegmentMask(1 << number);
            assert!(carried == Carried::Close, "closed without an order");
            assert!(before.ticket_out, "closed without a ticket");
            assert!(!before.latched, "closed while latched");
            assert_eq!(before.timer, TimerState::Running, "closed without dead-man");
            assert!(bit.without(before.armed).is_empty(), "closed unarmed");
            assert!(!self.controller().ticket_out(), "a ticket used twice");
            self.closes += 1;
        }
        if carried == Carried::Cut && before.ticket_out {
            let still = self.driven() == before.driven;
            assert!(still || !self.controller().ticket_out(), "cut, ticket kept");
        }
    }

    /// What holds at every instant.
    fn always(&self) {
        let controller = self.controller();
        let outputs = controller.outputs();
        for segment in controller.strapping().present().iter() {
            let drive = controller.drive(segment).expect("present");
            assert!(controller.strapping().supported().contains(drive));
            if drive == RelayState::Normal {
                assert_eq!(controller.timer(), TimerState::Running, "no dead-man");
                assert!(controller.armed().contains(segment), "Normal, not armed");
                assert!(!controller.latched(), "Normal while latched");
            }
            if outputs.ack.is_asserted() {
                let fenced = RelayState::from(controller.strapping().fenced());
                assert_eq!(controller.contact(segment), Some(fenced.into()));
            }
        }
        assert!(!outputs.ack.is_asserted() || controller.latched());
    }
}

/// Read off the bytes alone: a sound close frame, a sound cut frame, or the commit of a window write, which may be
/// either.
fn carried(bytes: &[u8]) -> Carried {
    let sound = bytes
        .split_last()
        .is_some_and(|(check, body)| write_pec(ADDRESS, body) == *check);
    match bytes.first().copied().and_then(Register::from_code) {
        Some(Register::Close) if sound => Carried::Close,
        Some(Register::Cut) if sound => Carried::Cut,
        Some(Register::WindowCommit) => Carried::Close,
        _ => Carried::Nothing,
    }
}

fn cut_state(feed: &mut Feed) -> CutState {
    [CutState::Bypass, CutState::Disconnect][feed.below(2)]
}

fn proof(feed: &mut Feed) -> Proof {
    [
        Proof::Solo,
        Proof::Fenced,
        Proof::Released,
        Proof::LeaseExpired,
        Proof::OperatorConfirmed,
        Proof::NotServing,
    ][feed.below(6)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the judge would never be asked.
    #[test]
    fn the_corpus_closes_relays() {
        let closes: u32 = crate::inputs("controller_frames")
            .iter()
            .map(|bytes| frames(bytes))
            .sum();
        assert!(closes > 10, "{closes} closes");
    }
}
