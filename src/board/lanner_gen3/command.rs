//! The MCU's commands and the values that go with them. Source: `boards/lanner-gen3.toml`.

/// Commands, as the vendor numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Command {
    FirmwareMajor = 0x01,
    FirmwareMinor = 0x02,
    Capabilities = 0x03,
    SystemOffPairs = 0x04,
    JustOnPairs = 0x05,
    RunTimePairs = 0x06,
    Watchdog1Max = 0x07,
    SaveSettings = 0x0B,
    SystemOff = 0x10,
    JustOn = 0x11,
    RunTime = 0x12,
    Watchdog1Status = 0x20,
    Watchdog1Pairs = 0x21,
    Watchdog1Period = 0x22,
    Watchdog1Remaining = 0x23,
    Watchdog1Start = 0x24,
    Watchdog1Stop = 0x25,
}

/// Bits of [`Command::Capabilities`].
pub(super) const CAPABLE_RUN_TIME: u8 = 1 << 2;
pub(super) const CAPABLE_WATCHDOG1: u8 = 1 << 3;

/// Values of [`Command::Watchdog1Status`].
pub(super) const STOPPED: u8 = 0;
pub(super) const RUNNING: u8 = 1;
pub(super) const EXPIRED: u8 = 2;

/// The byte that goes with commands that have no argument.
pub(super) const NO_ARGUMENT: u8 = 0;
