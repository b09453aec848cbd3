//! Fencepost's own controller: registers, orders with answers, deadline kicks, tickets of its own.
//!
//! Hardware: a microcontroller on I2C or SMBus that drives the relays, reads their contacts and decides by itself
//! whether a close is still justified. Registers and bytes are those of `fencepost_firmware::wire`, one definition
//! for both ends; every transfer is checked by a packet error code.
//!
//! What the part does itself is not done again here: tickets, stickiness, never shortening a deadline. The
//! driver translates time. A kick says "trusted until T" in node time; the controller counts its own ticks. Every
//! answer carries the tick at which it was made, and node time is taken *after* it came in, so the translated
//! deadline is early by the answer's way, never late; it is rounded down and shortened by
//! an allowance for two clocks that disagree.
//!
//! What if the agent dies here? An order is one frame, executed whole or not at all. The dead-man runs out at the
//! last deadline and the controller takes the segments to their expiry state. A new agent reads the session and
//! goes on kicking: nothing moves.

use core::time::Duration;

use fencepost_firmware::command::{Reply, Setting};
use fencepost_firmware::wire::{self, Settings, Status};
use fencepost_firmware::{self as firmware, Command, Refusal, SegmentMask, TimerState};

use super::controller::{
    ArmProof, Armed, CloseProof, Controller, CutState, Evidence, Fault, FenceReading, Identity,
    Latch, Moved, Reading, RelayState, SegmentReading, SegmentSettings, Ticket,
};
use super::retrying::{Retrying, not_stale};
use super::vendor::{self, CUT_COMMANDS_MAX, Segment, UNSEEN};
use crate::node::Instant;

mod translate;
mod transport;

use translate::{
    ControllerTime, dead_man_of, fence_reading, proof_of, refused, segment_masks, segment_of,
    state_of, to_firmware,
};
use transport::{Outcome, Transport};

/// The driver.
pub(crate) struct Reference {
    transport: Transport,
    segments: Vec<Segment>,
    /// The latest tick that was read, and the node time when it was in; with the session it belongs to.
    time: Option<ControllerTime>,
}

impl Reference {
    pub(crate) fn new(io: Retrying, address: u8, segments: Vec<Segment>) -> Self {
        Self {
            transport: Transport::new(io, address),
            segments,
            time: None,
        }
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let (status, seen) = self.transport.read::<Status>()?;
        self.time = Some(ControllerTime {
            session: status.session,
            tick: status.tick,
            seen,
        });
        Ok(status)
    }

    fn time(&mut self) -> Result<ControllerTime, Fault> {
        if let Some(time) = self.time {
            return Ok(time);
        }
        let status = self.status()?;
        let seen = self.transport.io.now();
        Ok(ControllerTime {
            session: status.session,
            tick: status.tick,
            seen,
        })
    }

    /// Give an order; a refusal becomes a fault in the controller's own words.
    fn order(&mut self, what: &str, command: Command) -> Result<Reply, Fault> {
        let outcome = self.transport.order(command, None)?;
        self.accept(what, outcome)
    }

    fn accept(&mut self, what: &str, outcome: Outcome) -> Result<Reply, Fault> {
        match outcome.reply {
            Ok(reply) => {
                if let Some(time) = &mut self.time {
                    (time.tick, time.seen) = (outcome.tick, outcome.seen);
                    if let Reply::Session(session) = reply {
                        time.session = session;
                    }
                }
                Ok(reply)
            }
            Err(refusal) => {
                // Whatever we knew of its time and session may be what was wrong.
                self.time = None;
                Err(refused(what, refusal))
            }
        }
    }

    fn used(&self) -> SegmentMask {
        let used = self
            .segments
            .iter()
            .zip(segment_masks())
            .filter(|(segment, _)| segment.is_used());
        used.fold(SegmentMask::NONE, |mask, (_, one)| {
            SegmentMask(mask.0 | one.0)
        })
    }

    fn mask(&self, segment: usize, wanted: RelayState) -> Result<SegmentMask, Fault> {
        vendor::settle_of(&self.segments, segment, wanted)?;
        segment_masks()
            .nth(segment)
            .ok_or_else(|| Fault::Incapable {
                what: format!("segment {segment}"),
                advice: format!("a controller has at most {}", firmware::MAX_SEGMENTS),
            })
    }

    fn look_at_all(&mut self) -> Result<Vec<SegmentReading>, Fault> {
        let (report, _) = self.transport.read::<wire::Segments>()?;
        let readings = self.segments.iter().enumerate().map(|(index, segment)| {
            let seen = report.0.get(index).copied().flatten();
            match seen {
                Some(seen) if segment.is_used() => SegmentReading {
                    state: state_of(seen.contact),
                    evidence: Evidence::Contacts,
                },
                _ => UNSEEN,
            }
        });
        Ok(readings.collect())
    }

    fn look(&mut self, segment: usize) -> Result<SegmentReading, Fault> {
        Ok(self.look_at_all()?.get(segment).copied().unwrap_or(UNSEEN))
    }

    /// Wait for the relay and read where it is.
    fn settled(
        &mut self,
        segment: usize,
        before: RelayState,
        wanted: RelayState,
    ) -> Result<Moved, Fault> {
        let settle = vendor::settle_of(&self.segments, segment, wanted)?;
        self.transport.io.wait(settle);
        let after = self.look(segment)?;
        if after.state == wanted {
            return Ok(Moved {
                before,
                after,
                commanded: true,
            });
        }
        Err(Fault::NotMoved {
            segment,
            wanted,
            read: after.state,
        })
    }
}

impl Controller for Reference {
    fn identify(&mut self) -> Result<Identity, Fault> {
        let (identity, _) = self.transport.read::<wire::Identity>()?;
        if identity.protocol != wire::PROTOCOL {
            return Err(Fault::Integrity {
                what: "protocol of the controller".to_owned(),
                expected: format!("version {}", wire::PROTOCOL),
                got: format!("version {}; update the older of the two", identity.protocol),
            });
        }
        let (able, _) = self.transport.read::<wire::Capabilities>()?;
        if usize::from(able.segments) < self.segments.len() {
            return Err(Fault::Incapable {
                what: format!("{} segments", self.segments.len()),
                advice: format!(
                    "the controller drives {}; use its board profile",
                    able.segments
                ),
            });
        }
        let [major, minor, patch] = identity.firmware;
        let unique_id = identity
            .unique_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Identity {
            model: "Fencepost reference controller".to_owned(),
            firmware: Some(format!("{major}.{minor}.{patch}")),
            unique_id: Some(unique_id),
        })
    }

    fn read(&mut self) -> Result<Reading, Fault> {
        Ok(self.read_all()?.1)
    }

    fn configure(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        vendor::check_settings(&self.segments, settings)?;
        let (stored, _) = self.transport.read::<Settings>()?;
        let mut changed = false;
        let used: Vec<bool> = self.segments.iter().map(Segment::is_used).collect();
        for ((index, wanted), _) in settings
            .iter()
            .enumerate()
            .zip(used)
            .filter(|(_, used)| *used)
        {
            let (Some(now), Some(segment)) = (
                stored.segments.get(index).copied().flatten(),
                segment_of(index),
            ) else {
                return Err(Fault::Incapable {
                    what: format!("settings of segment {index}"),
                    advice: "the controller has no such segment".to_owned(),
                });
            };
            if let Some(strap) = wanted
                .power_off
                .filter(|it| to_firmware(*it) != now.power_off)
            {
                return Err(Fault::Incapable {
                    what: format!("power-off state {strap} of segment {index}"),
                    advice: format!(
                        "the controller is strapped for {:?}; strap it for the cabling that the configuration names",
                        now.power_off
                    ),
                });
            }
            let orders = [
                (Setting::PowerUp, wanted.power_up, now.power_up),
                (Setting::Expiry, wanted.expiry, now.expiry),
            ];
            for (setting, wanted, now) in orders {
                let Some(state) = wanted.map(to_firmware).filter(|state| *state != now) else {
                    continue;
                };
                let state = state.into();
                self.order(
                    "a setting",
                    Command::Set {
                        segment,
                        setting,
                        state,
                    },
                )?;
                changed = true;
            }
        }
        if changed {
            self.check_stored(settings)
        } else {
            Ok(())
        }
    }

    fn arm(&mut self, period: Duration) -> Result<Armed, Fault> {
        let window_ms = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        let segments = self.used();
        let mut status = self.status()?;
        if status.timer == TimerState::Expired {
            let session = status.session;
            self.order(
                "acknowledging the expiry",
                Command::AcknowledgeExpiry { session },
            )?;
            status = self.status()?;
        }
        let as_wanted = status.timer == TimerState::Running
            && status.window_ms == window_ms
            && status.armed == segments;
        let deadline = status.tick.saturating_add(window_ms.into());
        let session = status.session;
        if as_wanted {
            self.order("a kick", Command::Kick { session, deadline })?;
        } else {
            self.order(
                "arming",
                Command::Arm {
                    session,
                    segments,
                    window_ms,
                    deadline,
                },
            )?;
        }
        let status = self.status()?;
        if status.timer != TimerState::Running || status.armed != segments {
            return Err(Fault::Integrity {
                what: "dead-man after arming".to_owned(),
                expected: format!("running for segments 0x{:02x}", segments.0),
                got: format!("{:?} for segments 0x{:02x}", status.timer, status.armed.0),
            });
        }
        let effective = Duration::from_millis(status.window_ms.into());
        Ok(Armed {
            effective,
            proof: ArmProof::ReadBack,
        })
    }

    fn kick(&mut self, alive_until: Instant) -> Result<(), Fault> {
        let time = self.time()?;
        not_stale(self.transport.io.now(), alive_until)?;
        let command = Command::Kick {
            session: time.session,
            deadline: time.deadline(alive_until),
        };
        let outcome = self.transport.order(command, Some(alive_until))?;
        if outcome.reply == Err(Refusal::DeadlinePassed) {
            let late = outcome.seen.since(alive_until).as_millis();
            let late_ms = u64::try_from(late).unwrap_or(u64::MAX);
            return Err(Fault::Stale {
                what: "kick".to_owned(),
                late_ms,
            });
        }
        self.accept("a kick", outcome).map(drop)
    }

    fn disarm(&mut self) -> Result<(), Fault> {
        let status = self.status()?;
        let session = status.session;
        let command = match status.timer {
            TimerState::Disarmed => return Ok(()),
            TimerState::Running => Command::Disarm { session },
            TimerState::Expired => Command::AcknowledgeExpiry { session },
        };
        self.order("disarming", command)?;
        match self.status()?.timer {
            TimerState::Disarmed => Ok(()),
            timer => Err(Fault::Integrity {
                what: "dead-man after disarming".to_owned(),
                expected: "Disarmed".to_owned(),
                got: format!("{timer:?}"),
            }),
        }
    }

    fn take_ticket(&mut self) -> Result<Ticket, Fault> {
        match self.order("a ticket", Command::TakeTicket)? {
            Reply::Ticket(number) => Ok(Ticket(number)),
            other => Err(Fault::Integrity {
                what: "answer to TAKE_TICKET".to_owned(),
                expected: "a ticket".to_owned(),
                got: format!("{other:?}"),
            }),
        }
    }

    fn close(&mut self, segment: usize, ticket: Ticket) -> Result<Moved, Fault> {
        self.close_on(segment, ticket, CloseProof::Solo)
    }

    fn close_on(
        &mut self,
        segment: usize,
        ticket: Ticket,
        proof: CloseProof,
    ) -> Result<Moved, Fault> {
        let segments = self.mask(segment, RelayState::Normal)?;
        let before = self.look(segment)?;
        if before.state == RelayState::Normal {
            return Ok(Moved {
                before: before.state,
                after: before,
                commanded: false,
            });
        }
        let command = Command::Close {
            ticket: ticket.0,
            proof: proof_of(proof),
            segments,
        };
        self.order("close", command)?;
        self.settled(segment, before.state, RelayState::Normal)
    }

    fn cut(&mut self, segment: usize, state: CutState) -> Result<Moved, Fault> {
        let wanted = RelayState::from(state);
        let segments = self.mask(segment, wanted)?;
        let before = self.look(segment);
        if let Ok(reading) = before
            && reading.state == wanted
        {
            // Ordered all the same: it voids the ticket that is out, and a relay that stuck on its way to
            // `Normal` must not get there when it comes loose. The controller moves nothing that is there.
            self.order(
                "cut",
                Command::Cut {
                    segments,
                    state: to_firmware(state),
                },
            )?;
            let after = self.look(segment)?;
            if after.state == wanted {
                return Ok(Moved {
                    before: wanted,
                    after,
                    commanded: false,
                });
            }
        }
        let before = before.map_or(RelayState::Unknown, |reading| reading.state);
        let mut commands = 1;
        loop {
            self.order(
                "cut",
                Command::Cut {
                    segments,
                    state: to_firmware(state),
                },
            )?;
            match self.settled(segment, before, wanted) {
                Err(Fault::NotMoved { .. }) if commands < CUT_COMMANDS_MAX => commands += 1,
                outcome => return outcome,
            }
        }
    }

    fn fence(&mut self, decided: Instant) -> Result<(), Fault> {
        let time = self.time()?;
        let command = Command::Fence {
            session: time.session,
            read_at: time.tick_at(decided),
        };
        self.order("a fence", command).map(drop)
    }

    fn unfence(&mut self) -> Result<(), Fault> {
        self.order("letting the peer go", Command::Release)
            .map(drop)
    }

    fn read_fence(&mut self) -> Result<FenceReading, Fault> {
        let (status, reading) = self.read_all()?;
        Ok(fence_reading(status, reading))
    }
}

impl Reference {
    fn read_all(&mut self) -> Result<(Status, Reading), Fault> {
        let status = self.status()?;
        let segments = self.look_at_all()?;
        let reading = Reading {
            segments,
            dead_man: dead_man_of(status),
            latch: if status.flags.latched {
                Latch::Latched
            } else {
                Latch::Clear
            },
            generation: status.generation,
        };
        Ok((status, reading))
    }

    /// The cells hold what was ordered.
    fn check_stored(&mut self, settings: &[SegmentSettings]) -> Result<(), Fault> {
        let (stored, _) = self.transport.read::<Settings>()?;
        for (index, (wanted, segment)) in settings.iter().zip(&self.segments).enumerate() {
            let Some(now) = stored.segments.get(index).copied().flatten() else {
                continue;
            };
            for (wanted, now) in [(wanted.power_up, now.power_up), (wanted.expiry, now.expiry)] {
                if segment.is_used() && wanted.is_some_and(|wanted| to_firmware(wanted) != now) {
                    return Err(Fault::Integrity {
                        what: format!("stored setting of segment {}", segment.name),
                        expected: wanted.map_or(String::new(), |state| state.to_string()),
                        got: format!("{now:?}"),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
