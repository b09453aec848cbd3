//! What the node waits for. Deadlines are derived from state each turn, so none can be left behind.

use super::time::Instant;

/// Why the node asked to be woken. Shown in traces, so that a log can say why it woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next kick of the dead-man.
    Kick,
    /// The last kick's right ends: from here on the dead-man must be assumed to have fired.
    Lapse,
    /// The next keepalive of the watchdog.
    Keepalive,
    /// The next sign of life to the service manager.
    Alive,
    /// The next look at the hardware.
    Read,
    /// Another try to open the controller or to arm its dead-man.
    Retry,
    /// Another try to move a relay.
    Move,
    /// A segment's dwell ends.
    Dwell,
    /// A close leaves the hour that is counted.
    CloseLimit,
    /// A check has been silent for too long.
    CheckSilent,
    /// Another try to open the watchdog.
    Watchdog,
    /// Something of the pair's.
    Pair,
    /// The stop has waited long enough for the hardware.
    Stop,
}

/// The earliest of some deadlines.
#[derive(Debug, Default)]
pub(super) struct Earliest(Option<(Instant, Timer)>);

impl Earliest {
    pub(super) fn offer(&mut self, at: Instant, timer: Timer) {
        if self.0.is_none_or(|(best, _)| at < best) {
            self.0 = Some((at, timer));
        }
    }

    pub(super) fn offer_some(&mut self, at: Option<Instant>, timer: Timer) {
        if let Some(at) = at {
            self.offer(at, timer);
        }
    }

    pub(super) fn get(self) -> Option<(Instant, Timer)> {
        self.0
    }
}
