//! The controller asked by the rig itself, as any host could: for what runs without our agent.

use embedded_hal::i2c::Operation;
use fencepost::sim::VirtualBoard;
use fencepost::sim::port::HostPort as _;
use fencepost_firmware::wire::{ADDRESS, Register, Request, parse_block, write_block};
use fencepost_firmware::{Command, Proof, SegmentMask};

use super::{Bed, Side};
use crate::error::{Result, RigError};

const ALL: SegmentMask = SegmentMask(1);
/// The longest the controller allows.
const WINDOW_MS: u32 = 60_000;

fn wrong(what: impl core::fmt::Display) -> RigError {
    RigError::Input(format!("the controller: {what}"))
}

/// Arms the dead-man for a minute, takes a ticket, closes the relay.
pub fn close(bed: &Bed, side: &Side) -> Result<()> {
    let (session, now) = firmware(side, |it| (it.session(), it.now()))?;
    let arm = Command::Arm {
        session,
        segments: ALL,
        window_ms: WINDOW_MS,
        deadline: now + u64::from(WINDOW_MS),
    };
    order(bed, side, arm)?;
    order(bed, side, Command::TakeTicket)?;
    let mut raw = [0; 34];
    let select = [Register::Result.code()];
    let read = &mut [Operation::Write(&select), Operation::Read(&mut raw)];
    let now = bed.now();
    let done = side.board().i2c(now, ADDRESS, read);
    done.map_err(|fault| wrong(format!("its result cannot be read: {fault:?}")))?;
    parse_block(ADDRESS, Register::Result, &raw).map_err(|error| wrong(format!("{error:?}")))?;
    let ticket = u32::from_le_bytes([raw[5], raw[6], raw[7], raw[8]]);
    let close = Command::Close {
        ticket,
        proof: Proof::Solo,
        segments: ALL,
    };
    order(bed, side, close)
}

/// Holds the other side's latch over the fence cable.
pub fn fence(bed: &Bed, side: &Side) -> Result<()> {
    let (session, read_at) = firmware(side, |it| (it.session(), it.now()))?;
    order(bed, side, Command::Fence { session, read_at })
}

fn firmware<T>(side: &Side, look: impl FnOnce(&fencepost_firmware::Controller) -> T) -> Result<T> {
    let board: &VirtualBoard = &side.board();
    board
        .firmware()
        .map(look)
        .ok_or_else(|| wrong("this board runs no firmware of ours"))
}

fn order(bed: &Bed, side: &Side, command: Command) -> Result<()> {
    let request = Request {
        sequence: 1,
        command,
    };
    let frame = write_block(ADDRESS, request.register(), &request.encode());
    let now = bed.now();
    let done = side
        .board()
        .i2c(now, ADDRESS, &mut [Operation::Write(frame.as_slice())]);
    done.map_err(|fault| wrong(format!("an order was not taken: {fault:?}")))
}
