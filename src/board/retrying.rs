//! A bus that is tried again, a bounded number of times.
//!
//! A single NACK on a shared SMBus is ordinary: the part was busy with its own relay, another master (BIOS,
//! BMC, sensors) took the bus. Three in a row are not, and then the caller must know soon, because a
//! dead-man is running. Each attempt is the *whole* sequence under one bus lock, so a repeated command is
//! preceded by its mux selection again. Nothing is remembered between attempts.
//!
//! What if this dies here? The lock is a kernel file lock and goes with the process; half a sequence leaves at
//! most a mux on some channel, which the next sequence sets anew.

use core::time::Duration;

use super::bus::{BusError, Clock, SmBus};
use super::controller::Fault;
use crate::node::Instant;

/// Attempts in total. One repeats a glitch, a second one tells a glitch from a fault; more would only eat the
/// dead-man's period: at an adapter time-out of 30 ms, three attempts are 90 ms of a period of at least 1 s.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// Pause between attempts. Longer than a relay MCU is deaf after a command (well below 1 ms in vendor sources),
/// short against any dead-man period.
pub(crate) const ATTEMPT_PAUSE: Duration = Duration::from_millis(2);

/// An adapter and a clock, with bounded attempts.
pub(crate) struct Retrying {
    bus: Box<dyn SmBus>,
    clock: Box<dyn Clock>,
    pause: Duration,
}

impl Retrying {
    pub(crate) fn new(bus: Box<dyn SmBus>, clock: Box<dyn Clock>) -> Self {
        Self {
            bus,
            clock,
            pause: ATTEMPT_PAUSE,
        }
    }

    /// For a part that must be left alone for longer between two messages.
    pub(crate) fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        wait(self.clock.as_mut(), span);
    }

    /// Run `sequence` under the bus lock until it succeeds, fails for good, or was tried often enough.
    pub(crate) fn attempt<T>(
        &mut self,
        sequence: impl FnMut(&mut dyn SmBus) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.attempts(None, sequence)
    }

    /// The same for a bare kick: no attempt is begun at or after `alive_until`. A bare kick always buys one whole
    /// period, so a late one would prolong a right that has ended.
    pub(crate) fn attempt_before<T>(
        &mut self,
        alive_until: Instant,
        sequence: impl FnMut(&mut dyn SmBus) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.attempts(Some(alive_until), sequence)
    }

    fn attempts<T>(
        &mut self,
        before: Option<Instant>,
        mut sequence: impl FnMut(&mut dyn SmBus) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut tries = 1;
        loop {
            self.bus.lock()?;
            // Looked at under the lock: waiting for it may be what made us late.
            let in_time = before.map_or(Ok(()), |limit| not_stale(self.clock.now(), limit));
            let outcome = in_time.and_then(|()| sequence(self.bus.as_mut()));
            self.bus.unlock();
            match outcome {
                Err(fault) if tries < ATTEMPTS_MAX && may_pass(&fault) => {
                    tries += 1;
                    wait(self.clock.as_mut(), self.pause);
                }
                outcome => return outcome,
            }
        }
    }
}

/// Refuse a kick whose time has passed.
pub(crate) fn not_stale(now: Instant, alive_until: Instant) -> Result<(), Fault> {
    if now < alive_until {
        return Ok(());
    }
    let late_ms = u64::try_from(now.since(alive_until).as_millis()).unwrap_or(u64::MAX);
    Err(Fault::Stale {
        what: "kick".to_owned(),
        late_ms,
    })
}

/// Wait, for spans longer than one delay call can name.
pub(crate) fn wait(clock: &mut dyn Clock, span: Duration) {
    let mut left_ns = span.as_nanos();
    while left_ns > 0 {
        let step = u32::try_from(left_ns).unwrap_or(u32::MAX);
        clock.delay_ns(step);
        left_ns -= u128::from(step);
    }
}

/// Whether doing the same again may end differently. An adapter does not learn a transaction, a held address is
/// not let go within milliseconds, and a refusal is an answer.
fn may_pass(fault: &Fault) -> bool {
    match fault {
        Fault::Bus(error) => matches!(
            error,
            BusError::Nack { .. }
                | BusError::Timeout { .. }
                | BusError::Pec { .. }
                | BusError::Io { .. }
        ),
        Fault::Integrity { .. } => true,
        Fault::Refused { .. }
        | Fault::NotMoved { .. }
        | Fault::Stale { .. }
        | Fault::Incapable { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::script::{Script, ScriptClock};

    fn retrying(script: &Script) -> Retrying {
        Retrying::new(script.bus(), ScriptClock::new().boxed())
    }

    #[test]
    fn a_burst_of_two_is_survived_and_of_three_is_reported() {
        let script = Script::new();
        script
            .read_nack(0x20, 1)
            .read_nack(0x20, 1)
            .read(0x20, 1, 7);
        let read = |bus: &mut dyn SmBus| Ok(bus.read_byte_data(0x20, 1)?);
        assert_eq!(retrying(&script).attempt(read), Ok(7));
        script.assert_done();

        let script = Script::new();
        script
            .read_nack(0x20, 1)
            .read_nack(0x20, 1)
            .read_nack(0x20, 1);
        let fault = retrying(&script).attempt(read).unwrap_err();
        assert!(
            matches!(fault, Fault::Bus(BusError::Nack { .. })),
            "{fault}"
        );
        script.assert_done();
    }

    #[test]
    fn what_cannot_pass_is_not_repeated() {
        let script = Script::new();
        script.read_fails(0x20, 1, script.unsupported("read byte data"));
        let fault = retrying(&script)
            .attempt(|bus| Ok(bus.read_byte_data(0x20, 1)?))
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "script cannot do read byte data; it offers: send byte"
        );
        script.assert_done();
    }

    #[test]
    fn a_kick_whose_time_ran_out_between_attempts_is_not_sent() {
        let script = Script::new();
        script.read_nack(0x20, 1);
        let clock = ScriptClock::new();
        let mut retrying = Retrying::new(script.bus(), clock.boxed());
        let alive_until = retrying.now() + Duration::from_millis(1);
        let fault = retrying
            .attempt_before(alive_until, |bus| Ok(bus.read_byte_data(0x20, 1)?))
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "kick came 1 ms too late and was not sent"
        );
        assert!(!script.is_locked());
        script.assert_done();
    }

    #[test]
    fn the_lock_is_given_back_whatever_happens() {
        let script = Script::new();
        script
            .read_nack(0x20, 1)
            .read_nack(0x20, 1)
            .read_nack(0x20, 1);
        assert!(
            retrying(&script)
                .attempt(|bus| Ok(bus.read_byte_data(0x20, 1)?))
                .is_err()
        );
        assert!(!script.is_locked());
        assert_eq!(script.times_locked(), 3);
    }
}
