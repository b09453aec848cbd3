//! The board's I2C tree: who hears an address, given what the muxes have open.
//!
//! Adjacent operations of one kind are one phase, as embedded-hal demands. Two targets that hear the same
//! address both obey a write and answer a read together, low bits winning, as open drain does.

use embedded_hal::i2c::Operation;

use super::chips::mux::{I2cMux, Path};
use super::chips::{Chip, Health};
use super::journal::{BoardFact, Journal};
use super::port::I2cFault;
use crate::node::Instant;

/// A chip's place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attachment {
    path: Path,
    address: u8,
    chip: usize,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Mux(usize),
    Chip(usize),
}

/// Inverted bits on the wire, as long as they last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noise {
    /// Replies still to be hit.
    pub replies: u32,
    /// Which bit.
    pub bit: u32,
}

/// Muxes and attachments.
#[derive(Debug, Default)]
pub struct Bus {
    muxes: Vec<I2cMux>,
    attachments: Vec<Attachment>,
    /// Hits replies.
    pub noise: Noise,
}

impl Bus {
    /// Puts a chip at `address` behind `path`, with the muxes the path needs.
    pub fn attach(&mut self, path: &[(u8, u8)], address: u8, chip: usize) {
        for (depth, (mux, _)) in path.iter().enumerate() {
            let way = path[..depth].to_vec();
            let known = |known: &I2cMux| known.address == *mux && known.path == way;
            if !self.muxes.iter().any(known) {
                self.muxes.push(I2cMux::new(way, *mux));
            }
        }
        self.attachments.push(Attachment {
            path: path.to_vec(),
            address,
            chip,
        });
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        self.attachments.is_empty()
    }

    /// Power came back: muxes forget.
    pub fn reset(&mut self) {
        self.muxes.iter_mut().for_each(I2cMux::reset);
    }

    /// Muxes of the tree, for tests and pictures.
    pub fn muxes(&self) -> &[I2cMux] {
        &self.muxes
    }

    /// One transaction, START to STOP.
    ///
    /// # Errors
    /// [`I2cFault::Nack`] when nobody hears the address or a target refuses.
    pub fn transact(
        &mut self,
        now: Instant,
        address: u8,
        operations: &mut [Operation<'_>],
        chips: &mut [Box<dyn Chip>],
        journal: &mut Journal,
    ) -> Result<(), I2cFault> {
        let targets = self.hearers(address);
        if targets.is_empty() {
            return Err(I2cFault::Nack);
        }
        if targets.len() > 1 {
            journal.note(now, BoardFact::Collided { address });
        }
        if operations.is_empty() {
            return self.write(now, address, &[], &targets, chips);
        }
        let kind = |op: &Operation<'_>| matches!(op, Operation::Read(_));
        for phase in operations.chunk_by_mut(|a, b| kind(a) == kind(b)) {
            if kind(&phase[0]) {
                let mut bytes = vec![0; phase.iter().map(length).sum()];
                self.read(now, address, &mut bytes, &targets, chips)?;
                hand_out(&bytes, phase);
            } else {
                let bytes = gather(phase);
                self.write(now, address, &bytes, &targets, chips)?;
            }
        }
        Ok(())
    }

    fn hearers(&self, address: u8) -> Vec<Target> {
        let muxes = (self.muxes.iter().enumerate())
            .filter(|(_, mux)| mux.address == address && self.reaches(&mux.path))
            .map(|(index, _)| Target::Mux(index));
        let chips = (self.attachments.iter())
            .filter(|part| part.address == address && self.reaches(&part.path))
            .map(|part| Target::Chip(part.chip));
        muxes.chain(chips).collect()
    }

    fn reaches(&self, path: &[(u8, u8)]) -> bool {
        path.iter().enumerate().all(|(depth, (address, channels))| {
            (self.muxes.iter())
                .find(|mux| mux.address == *address && mux.path == path[..depth])
                .is_some_and(|mux| mux.opens(*channels))
        })
    }

    fn write(
        &mut self,
        now: Instant,
        address: u8,
        bytes: &[u8],
        targets: &[Target],
        chips: &mut [Box<dyn Chip>],
    ) -> Result<(), I2cFault> {
        // One acknowledge from anybody pulls the line low, so the adapter sees success.
        let mut outcome = Err(I2cFault::Nack);
        for target in targets {
            let answer = match *target {
                Target::Mux(index) => self.muxes[index].write(now, bytes),
                Target::Chip(index) => {
                    answering(&mut chips[index]).and_then(|chip| chip.write(now, address, bytes))
                }
            };
            outcome = outcome.or(answer);
        }
        outcome
    }

    fn read(
        &mut self,
        now: Instant,
        address: u8,
        out: &mut [u8],
        targets: &[Target],
        chips: &mut [Box<dyn Chip>],
    ) -> Result<(), I2cFault> {
        let mut outcome = Err(I2cFault::Nack);
        out.fill(u8::MAX);
        for target in targets {
            let mut reply = vec![u8::MAX; out.len()];
            let answer = match *target {
                Target::Mux(index) => {
                    self.muxes[index].read(&mut reply);
                    Ok(())
                }
                Target::Chip(index) => answering(&mut chips[index])
                    .and_then(|chip| chip.read(now, address, &mut reply)),
            };
            if answer.is_ok() {
                out.iter_mut().zip(&reply).for_each(|(a, b)| *a &= b);
            }
            outcome = outcome.or(answer);
        }
        if outcome.is_ok() {
            self.disturb(out);
        }
        outcome
    }

    fn disturb(&mut self, reply: &mut [u8]) {
        if self.noise.replies == 0 || reply.is_empty() {
            return;
        }
        self.noise.replies -= 1;
        let bit = usize::try_from(self.noise.bit).unwrap_or(0) % (reply.len() * 8);
        reply[bit / 8] ^= 1 << (bit % 8);
    }
}

/// A chip that hangs or has no power does not pull the acknowledge low.
fn answering(chip: &mut Box<dyn Chip>) -> Result<&mut Box<dyn Chip>, I2cFault> {
    match chip.body().health {
        Health::Running => Ok(chip),
        Health::Dead | Health::Off => Err(I2cFault::Nack),
    }
}

fn length(operation: &Operation<'_>) -> usize {
    match operation {
        Operation::Read(buffer) => buffer.len(),
        Operation::Write(bytes) => bytes.len(),
    }
}

fn gather(phase: &[Operation<'_>]) -> Vec<u8> {
    let written = |op: &Operation<'_>| match op {
        Operation::Write(bytes) => bytes.to_vec(),
        Operation::Read(_) => Vec::new(),
    };
    phase.iter().flat_map(written).collect()
}

fn hand_out(bytes: &[u8], phase: &mut [Operation<'_>]) {
    let mut rest = bytes;
    for operation in phase {
        if let Operation::Read(buffer) = operation {
            let (now, later) = rest.split_at(buffer.len().min(rest.len()));
            buffer[..now.len()].copy_from_slice(now);
            rest = later;
        }
    }
}
