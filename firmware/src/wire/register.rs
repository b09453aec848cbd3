//! The register numbers, and what kind of SMBus transaction each one takes.

/// A register: the command byte of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    /// Who and which version: [`super::Identity`].
    Identity,
    /// What the board can do: [`super::Capabilities`].
    Capabilities,
    /// Timer, latch, hold: [`super::Status`].
    Status,
    /// Relays and contacts: [`super::Segments`].
    Segments,
    /// Power-up, power-off and expiry states: [`super::Settings`].
    Settings,
    /// Counters: [`super::Counters`].
    Counters,
    /// Relay moves: [`super::Wear`].
    Wear,
    /// Outcome of the last order: [`super::OrderResult`].
    Result,
    /// Which events are kept: [`super::LogRange`].
    LogRange,
    /// The event at the cursor: [`super::LogEntry`]. Reading does not move the cursor, so a lost read can be repeated.
    LogEntry,
    /// Sets the cursor: [`super::LogCursor`]. Not an order; leaves RESULT alone.
    LogCursor,
    /// [`crate::Command::Arm`].
    Arm,
    /// [`crate::Command::Kick`].
    Kick,
    /// [`crate::Command::Disarm`].
    Disarm,
    /// [`crate::Command::AcknowledgeExpiry`].
    AcknowledgeExpiry,
    /// [`crate::Command::Cut`].
    Cut,
    /// [`crate::Command::TakeTicket`].
    TakeTicket,
    /// [`crate::Command::Close`].
    Close,
    /// [`crate::Command::Fence`].
    Fence,
    /// [`crate::Command::Release`].
    Release,
    /// [`crate::Command::Set`].
    Set,
    /// Window: selects a register. See [`crate::window`].
    WindowSelect,
    /// Window: sets the reading index.
    WindowIndex,
    /// Window: one byte and its index.
    WindowData,
    /// Window: ends a write, with length and CRC.
    WindowCommit,
}

/// The SMBus transaction a register takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Block read of this many bytes.
    ReadBlock(u8),
    /// Block write of this many bytes, PEC mandatory.
    WriteBlock(u8),
    /// Byte write, PEC optional.
    WriteByte,
    /// Word read or word write, PEC optional.
    Word,
}

impl Register {
    /// Every register, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::Identity,
        Self::Capabilities,
        Self::Status,
        Self::Segments,
        Self::Settings,
        Self::Counters,
        Self::Wear,
        Self::Result,
        Self::LogRange,
        Self::LogEntry,
        Self::LogCursor,
        Self::Arm,
        Self::Kick,
        Self::Disarm,
        Self::AcknowledgeExpiry,
        Self::Cut,
        Self::TakeTicket,
        Self::Close,
        Self::Fence,
        Self::Release,
        Self::Set,
        Self::WindowSelect,
        Self::WindowIndex,
        Self::WindowData,
        Self::WindowCommit,
    ];

    /// The command byte.
    #[must_use]
    pub fn code(self) -> u8 {
        self.row().0
    }

    /// The register of a command byte.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|register| register.code() == code)
    }

    /// The transaction it takes.
    #[must_use]
    pub fn shape(self) -> Shape {
        self.row().1
    }

    fn row(self) -> (u8, Shape) {
        use Shape::{ReadBlock, Word, WriteBlock, WriteByte};
        match self {
            Self::Identity => (0x00, ReadBlock(20)),
            Self::Capabilities => (0x01, ReadBlock(24)),
            Self::Status => (0x02, ReadBlock(31)),
            Self::Segments => (0x03, ReadBlock(32)),
            Self::Settings => (0x04, ReadBlock(28)),
            Self::Counters => (0x05, ReadBlock(28)),
            Self::Wear => (0x06, ReadBlock(32)),
            Self::Result => (0x07, ReadBlock(20)),
            Self::LogRange => (0x08, ReadBlock(12)),
            Self::LogEntry => (0x09, ReadBlock(16)),
            Self::LogCursor => (0x0A, WriteBlock(4)),
            Self::Arm => (0x10, WriteBlock(19)),
            Self::Kick => (0x11, WriteBlock(14)),
            Self::Disarm => (0x12, WriteBlock(6)),
            Self::AcknowledgeExpiry => (0x13, WriteBlock(6)),
            Self::Cut => (0x14, WriteBlock(4)),
            Self::TakeTicket => (0x15, WriteBlock(2)),
            Self::Close => (0x16, WriteBlock(8)),
            Self::Fence => (0x17, WriteBlock(14)),
            Self::Release => (0x18, WriteBlock(2)),
            Self::Set => (0x19, WriteBlock(5)),
            Self::WindowSelect => (0x20, WriteByte),
            Self::WindowIndex => (0x21, WriteByte),
            Self::WindowData => (0x22, Word),
            Self::WindowCommit => (0x23, Word),
        }
    }
}
