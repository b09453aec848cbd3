//! Who the board is, what it can do, how it is set.

use super::{ABSENT, Report};
use crate::MAX_SEGMENTS;
use crate::relay::{CutState, StateSet};
use crate::strapping::{CutPath, Rank};
use crate::wire::payload::Fields;
use crate::wire::{Block, MAGIC, Register};

/// Who this is. On the wire preceded by [`MAGIC`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Protocol version; [`crate::wire::PROTOCOL`].
    pub protocol: u8,
    /// Firmware version: major, minor, patch.
    pub firmware: [u8; 3],
    /// Unique id of the part.
    pub unique_id: [u8; 12],
}

/// What the board can do, and how it is strapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Segments, 1 to 8.
    pub segments: u8,
    /// Relay states allowed.
    pub supported: StateSet,
    /// State that cuts this host off in this topology.
    pub fenced: CutState,
    /// State without power.
    pub power_off: CutState,
    /// How a cut to `Bypass` is carried out.
    pub path: CutPath,
    /// Rank strap.
    pub rank: Rank,
    /// Shortest dead-man window, in ms.
    pub window_min_ms: u32,
    /// Longest dead-man window, in ms.
    pub window_max_ms: u32,
    /// Greatest age of a ticket and of a fence order (V), in ms.
    pub ticket_max_age_ms: u32,
    /// How long a latched controller that must yield keeps asking, in ms.
    pub standing_ms: u32,
    /// Events the log keeps.
    pub log_capacity: u8,
    /// Oldest sample of the lines on which a close is executed, in ms.
    pub inputs_max_age_ms: u8,
}

/// The three settings of one segment besides the run-time state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingReport {
    /// State at power-up; non-volatile.
    pub power_up: CutState,
    /// State without power; a strap.
    pub power_off: CutState,
    /// State at expiry; non-volatile.
    pub expiry: CutState,
}

/// All settings; `None` past the board's last segment (0xFF on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// By segment.
    pub segments: [Option<SettingReport>; MAX_SEGMENTS],
    /// Changes of the non-volatile image since the factory.
    pub writes: u32,
}

impl Report for Identity {
    const REGISTER: Register = Register::Identity;

    fn encode(&self) -> Block {
        Block::new()
            .put(&MAGIC)
            .put(&[self.protocol])
            .put(&self.firmware)
            .put(&self.unique_id)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        if fields.take()? != MAGIC {
            return None;
        }
        let identity = Self {
            protocol: fields.u8()?,
            firmware: fields.take()?,
            unique_id: fields.take()?,
        };
        fields.end(identity)
    }
}

impl Report for Capabilities {
    const REGISTER: Register = Register::Capabilities;

    fn encode(&self) -> Block {
        Block::new()
            .put(&[self.segments, self.supported.bits(), self.fenced.code()])
            .put(&[self.power_off.code(), self.path.code(), self.rank.code()])
            .put_u32(self.window_min_ms)
            .put_u32(self.window_max_ms)
            .put_u32(self.ticket_max_age_ms)
            .put_u32(self.standing_ms)
            .put(&[self.log_capacity, self.inputs_max_age_ms])
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let capabilities = Self {
            segments: fields.u8()?,
            supported: StateSet::from_bits(fields.u8()?),
            fenced: CutState::from_code(fields.u8()?)?,
            power_off: CutState::from_code(fields.u8()?)?,
            path: CutPath::from_code(fields.u8()?)?,
            rank: Rank::from_code(fields.u8()?)?,
            window_min_ms: fields.u32()?,
            window_max_ms: fields.u32()?,
            ticket_max_age_ms: fields.u32()?,
            standing_ms: fields.u32()?,
            log_capacity: fields.u8()?,
            inputs_max_age_ms: fields.u8()?,
        };
        fields.end(capabilities)
    }
}

impl Report for Settings {
    const REGISTER: Register = Register::Settings;

    fn encode(&self) -> Block {
        self.segments
            .iter()
            .fold(Block::new(), |block, setting| {
                block.put(&setting.map_or([ABSENT; 3], |setting| {
                    [
                        setting.power_up.code(),
                        setting.power_off.code(),
                        setting.expiry.code(),
                    ]
                }))
            })
            .put_u32(self.writes)
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let mut segments = [None; MAX_SEGMENTS];
        for segment in &mut segments {
            let [power_up, power_off, expiry] = fields.take()?;
            if [power_up, power_off, expiry] == [ABSENT; 3] {
                continue;
            }
            *segment = Some(SettingReport {
                power_up: CutState::from_code(power_up)?,
                power_off: CutState::from_code(power_off)?,
                expiry: CutState::from_code(expiry)?,
            });
        }
        let writes = fields.u32()?;
        fields.end(Self { segments, writes })
    }
}
