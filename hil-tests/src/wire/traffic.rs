//! Numbered frames, one each millisecond one way and fewer back, and what became of them. This, not an agent's word, is a result.
//!
//! Fewer back, because an emulated machine spends half its time on them: what the way back must show is that it carries, and
//! what is lost is lost both ways at once.
//!
//! Frames are unicast (own EtherType 0x88B5, "local experimental") between two stations, so that bridges learn them. Each segment
//! stamps the way it passed a frame on, so that a frame tells whether it came through an appliance or through its bypass.
//! Reports tell apart what was *lost* (numbers that never came; the sender's lateness does not matter) and how long *nothing came*
//! (as a user sees it; a frame that a sleeping node delivers five seconds late ends a gap of five seconds).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fencepost::node::Instant;
use serde::Serialize;

use super::{SharedPort, Threads};
use crate::board::Clock;

/// IEEE 802 local experimental EtherType 1.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
/// Tells our frames from another experiment's.
const MAGIC: [u8; 2] = *b"Fp";
/// Offsets in a frame: addresses, type, magic, then these.
const AT_PATH: usize = 16;
const AT_NUMBER: usize = 20;
/// Shortest frame without its check sequence.
const LENGTH: usize = 60;
/// Segments a frame can show.
const SEGMENTS: usize = 4;
/// Frames remembered in each direction: an hour.
const NUMBERS_MAX: usize = 3_600_000;
/// Between frames from net A to net B.
pub const PERIOD: Duration = Duration::from_millis(1);
/// Between frames the other way.
pub const PERIOD_BACK: Duration = Duration::from_millis(8);

/// How a frame passed a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Via {
    /// It did not pass this segment's relay.
    Nothing,
    /// Through the appliance.
    Host,
    /// Through the bypass.
    Bypass,
}

impl Via {
    fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Host,
            2 => Self::Bypass,
            _ => Self::Nothing,
        }
    }
}

/// Marks a numbered frame that a segment passes on; others are left alone.
pub(super) fn stamp(frame: &mut [u8], segment: u8, via: Via) {
    let place = AT_PATH + usize::from(segment).min(SEGMENTS - 1);
    if number(frame).is_some() {
        frame[place] = match via {
            Via::Nothing => 0,
            Via::Host => 1,
            Via::Bypass => 2,
        };
    }
}

/// The number of a frame of ours.
fn number(frame: &[u8]) -> Option<usize> {
    if frame.get(12..14)? != ETHERTYPE || frame.get(14..16)? != MAGIC {
        return None;
    }
    let number: [u8; 8] = frame.get(AT_NUMBER..AT_NUMBER + 8)?.try_into().ok()?;
    usize::try_from(u64::from_be_bytes(number)).ok()
}

fn frame(from: Station, number: usize) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[..6].copy_from_slice(&from.other().mac());
    frame[6..12].copy_from_slice(&from.mac());
    frame[12..14].copy_from_slice(&ETHERTYPE);
    frame[14..16].copy_from_slice(&MAGIC);
    frame[AT_NUMBER..AT_NUMBER + 8].copy_from_slice(&(number as u64).to_be_bytes());
    frame
}

/// The two stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Station {
    A,
    B,
}

impl Station {
    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn period(self) -> Duration {
        match self {
            Self::A => PERIOD,
            Self::B => PERIOD_BACK,
        }
    }

    /// Locally administered, unicast.
    fn mac(self) -> [u8; 6] {
        let last = if self == Self::A { 0x0a } else { 0x0b };
        [0x02, 0xfe, 0x00, 0x00, 0x00, last]
    }
}

/// One frame's life.
#[derive(Debug, Clone, Copy)]
struct Record {
    sent: Instant,
    came: Option<Instant>,
    path: [u8; SEGMENTS],
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
    repeated: u64,
}

type SharedLog = Arc<Mutex<Log>>;

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running measurement.
pub struct Traffic {
    a_to_b: SharedLog,
    b_to_a: SharedLog,
    clock: Clock,
    _threads: Threads,
}

impl Traffic {
    /// Sends and receives at `a` and `b`.
    pub fn start(clock: Clock, a: &SharedPort, b: &SharedPort) -> Self {
        let mut threads = Threads::default();
        let a_to_b = run_direction(&mut threads, clock, Station::A, a, b);
        let b_to_a = run_direction(&mut threads, clock, Station::B, b, a);
        Self {
            a_to_b,
            b_to_a,
            clock,
            _threads: threads,
        }
    }

    /// What became of the frames sent in `from..to`. Ask a little after `to`: what is still under way counts as lost.
    pub fn report(&self, from: Instant, to: Instant) -> Report {
        self.watch().report(from, to)
    }

    /// Waits until a frame has come through in each direction that was sent after `since`. `false`: not within `timeout`.
    pub fn wait_flowing(&self, since: Instant, timeout: Duration) -> bool {
        let until = std::time::Instant::now() + timeout;
        let flows = |log: &SharedLog| {
            let log = lock(log);
            let recent = log
                .records
                .iter()
                .rev()
                .take_while(|record| record.sent > since);
            recent.into_iter().any(|record| record.came.is_some())
        };
        loop {
            if flows(&self.a_to_b) && flows(&self.b_to_a) {
                return true;
            }
            if std::time::Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Somebody else's look at the same frames, for as long as they like.
    pub fn watch(&self) -> Watch {
        Watch {
            a_to_b: Arc::clone(&self.a_to_b),
            b_to_a: Arc::clone(&self.b_to_a),
        }
    }

    /// The clock that reports are asked in.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// A look at frames that others send.
#[derive(Clone)]
pub struct Watch {
    a_to_b: SharedLog,
    b_to_a: SharedLog,
}

impl Watch {
    /// What became of the frames sent in `from..to`.
    pub fn report(&self, from: Instant, to: Instant) -> Report {
        let direction = |log: &SharedLog| Direction::of(&lock(log), from, to);
        Report {
            a_to_b: direction(&self.a_to_b),
            b_to_a: direction(&self.b_to_a),
        }
    }
}

fn run_direction(
    threads: &mut Threads,
    clock: Clock,
    station: Station,
    from: &SharedPort,
    to: &SharedPort,
) -> SharedLog {
    let log = SharedLog::default();
    let (ours, port) = (Arc::clone(&log), SharedPort::clone(from));
    let mut due = std::time::Instant::now();
    threads.run(move || {
        due += station.period();
        let now = std::time::Instant::now();
        match due.checked_duration_since(now) {
            Some(wait) => std::thread::sleep(wait),
            // We were starved. Catching up in a burst would fill queues that a real source would not.
            None => due = now,
        }
        let mut log = lock(&ours);
        if log.records.len() < NUMBERS_MAX {
            let number = log.records.len();
            log.records.push(Record {
                sent: clock.now(),
                came: None,
                path: [0; SEGMENTS],
            });
            drop(log);
            port.send(&frame(station, number));
        }
        Ok(())
    });
    let theirs = Arc::clone(&log);
    threads.receive(SharedPort::clone(to), move |frame| {
        let is_for_us = frame.get(6..12) == Some(&station.mac()[..]);
        let Some(number) = number(frame).filter(|_| is_for_us) else {
            return;
        };
        let mut log = lock(&theirs);
        match log.records.get_mut(number) {
            Some(record) if record.came.is_none() => {
                record.came = Some(clock.now());
                record
                    .path
                    .copy_from_slice(&frame[AT_PATH..AT_PATH + SEGMENTS]);
            }
            Some(_) => log.repeated += 1,
            None => {}
        }
    });
    log
}

/// What became of the frames, both ways.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// From net A to net B.
    pub a_to_b: Direction,
    /// From net B to net A.
    pub b_to_a: Direction,
}

/// What became of the frames of one direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Direction {
    /// Frames sent.
    pub sent: u64,
    /// Frames that came, at all.
    pub came: u64,
    /// Frames that came more than once since the start: a loop.
    pub repeated: u64,
    /// Frames that passed each segment's appliance.
    pub through_host: [u64; SEGMENTS],
    /// Frames that passed each segment's bypass.
    pub through_bypass: [u64; SEGMENTS],
    /// Longest time in which nothing came, milliseconds. Includes the rig's own lateness.
    pub longest_gap_ms: f64,
    /// Longest run of lost frames, measured by when they were sent, milliseconds. Free of the rig's own lateness.
    pub longest_loss_ms: f64,
    /// Longest time a frame was under way, milliseconds.
    pub longest_delay_ms: f64,
    /// All runs of lost frames.
    pub losses: Vec<Loss>,
    /// Arrivals: when, and how the frame passed the segments; one entry for each change of path.
    pub paths: Vec<Path>,
}

/// A run of lost frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loss {
    /// When the first of them was sent.
    pub from: Instant,
    /// From the first lost one to the next that came, milliseconds.
    pub length_ms: f64,
    /// How many.
    pub frames: u64,
}

/// From this arrival on, frames came this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Path {
    /// First arrival.
    pub at: Instant,
    /// By segment number.
    pub via: [Via; SEGMENTS],
}

impl Direction {
    fn of(log: &Log, from: Instant, to: Instant) -> Self {
        let first = log.records.partition_point(|record| record.sent < from);
        let end = log.records.partition_point(|record| record.sent < to);
        let records = &log.records[first..end];
        let mut report = Self {
            repeated: log.repeated,
            losses: losses(records, to),
            ..Self::default()
        };
        report.sent = records.len() as u64;
        let mut arrivals: Vec<(Instant, &Record)> = records
            .iter()
            .filter_map(|record| Some((record.came?, record)))
            .collect();
        arrivals.sort_by_key(|(at, _)| *at);
        report.came = arrivals.len() as u64;

        let mut last = from;
        for (at, record) in &arrivals {
            report.longest_gap_ms = report.longest_gap_ms.max(ms(last, *at));
            report.longest_delay_ms = report.longest_delay_ms.max(ms(record.sent, *at));
            report.count_path(*at, record.path.map(Via::from_byte));
            last = *at;
        }
        report.longest_gap_ms = report.longest_gap_ms.max(ms(last, to));
        report.longest_loss_ms = report
            .losses
            .iter()
            .map(|loss| loss.length_ms)
            .fold(0.0, f64::max);
        report
    }

    fn count_path(&mut self, at: Instant, via: [Via; SEGMENTS]) {
        for (segment, via) in via.iter().enumerate() {
            match via {
                Via::Host => self.through_host[segment] += 1,
                Via::Bypass => self.through_bypass[segment] += 1,
                Via::Nothing => {}
            }
        }
        if self.paths.last().is_none_or(|path| path.via != via) {
            self.paths.push(Path { at, via });
        }
    }
}

fn losses(records: &[Record], to: Instant) -> Vec<Loss> {
    let mut found = Vec::new();
    let mut open: Option<(Instant, u64)> = None;
    for record in records {
        match (record.came, open) {
            (None, None) => open = Some((record.sent, 1)),
            (None, Some((since, frames))) => open = Some((since, frames + 1)),
            (Some(_), Some((since, frames))) => {
                found.push(Loss {
                    from: since,
                    length_ms: ms(since, record.sent),
                    frames,
                });
                open = None;
            }
            (Some(_), None) => {}
        }
    }
    found.extend(open.map(|(since, frames)| Loss {
        from: since,
        length_ms: ms(since, to),
        frames,
    }));
    found
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.since(from).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(frames: &[(u64, Option<u64>)]) -> Log {
        let record = |(sent, came): &(u64, Option<u64>)| Record {
            sent: Instant::from_millis(*sent),
            came: came.map(Instant::from_millis),
            path: [1, 2, 0, 0],
        };
        Log {
            records: frames.iter().map(record).collect(),
            repeated: 0,
        }
    }

    fn report(frames: &[(u64, Option<u64>)], to: u64) -> Direction {
        Direction::of(
            &log(frames),
            Instant::from_millis(1),
            Instant::from_millis(to),
        )
    }

    #[test]
    fn losses_are_measured_by_sending_and_gaps_by_arrival() {
        let seen = report(
            &[
                (1, Some(2)),
                (2, None),
                (3, None),
                (9, Some(10)),
                (10, Some(11)),
            ],
            12,
        );
        assert_eq!((seen.sent, seen.came), (5, 4 - 1));
        assert_eq!(seen.losses.len(), 1);
        assert_eq!((seen.losses[0].frames, seen.longest_loss_ms), (2, 7.0));
        assert_eq!(seen.longest_gap_ms, 8.0);
        assert_eq!(
            (seen.through_host, seen.through_bypass),
            ([3, 0, 0, 0], [0, 3, 0, 0])
        );
    }

    #[test]
    fn what_never_comes_back_is_lost_to_the_end() {
        let seen = report(&[(1, Some(2)), (2, None), (3, None)], 50);
        assert_eq!((seen.longest_loss_ms, seen.longest_gap_ms), (48.0, 48.0));
        assert_eq!(report(&[], 50).longest_gap_ms, 49.0);
    }

    #[test]
    fn a_late_frame_is_no_loss_but_ends_a_gap() {
        let seen = report(&[(1, Some(5001)), (2, Some(5001))], 5002);
        assert_eq!((seen.longest_loss_ms, seen.longest_gap_ms), (0.0, 5000.0));
        assert_eq!(seen.longest_delay_ms, 5000.0);
    }

    #[test]
    fn only_our_frames_are_stamped() {
        let mut ours = frame(Station::A, 70_000);
        stamp(&mut ours, 1, Via::Bypass);
        assert_eq!((number(&ours), ours[AT_PATH + 1]), (Some(70_000), 2));
        let mut foreign = [0; LENGTH];
        stamp(&mut foreign, 1, Via::Bypass);
        assert_eq!(foreign, [0; LENGTH]);
    }
}
