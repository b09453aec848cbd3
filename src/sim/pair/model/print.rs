//! A state in short: two worlds that print alike here go on alike.
//!
//! Everything that decides derives its print; this reads it and takes out what only makes equal worlds look
//! different. Instants become spans from now, and those long past are one. Numbers that are only ever compared
//! become their rank among the numbers of their kind. What is only counted or told to people is left out.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use super::super::pace::beat_nanos;
use super::super::world::World;

mod kinds;
mod tokens;

use kinds::Kind;
use tokens::{Token, Tokens};

/// Longer ago than this, in beats, all instants are one: longer than anything that counts from an instant.
const PAST_BEATS: i128 = 12;
/// And as much ahead: no wait in these worlds is longer.
const AHEAD_BEATS: i128 = 44;

/// Prints worlds; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(super) struct Printer {
    text: String,
    print: Vec<i128>,
    /// Numbers to be replaced by their rank: where they stand, and what they were.
    numbered: BTreeMap<Kind, Vec<(usize, u64)>>,
}

impl Printer {
    /// The print as one number.
    pub(super) fn fingerprint(&mut self, world: &World) -> u64 {
        self.read(world);
        fnv(&self.print)
    }

    fn read(&mut self, world: &World) {
        self.print.clear();
        self.numbered.clear();
        let now = world.now.as_nanos();
        for node in [0, 1] {
            let tick = world.nodes[node].board.tick(world.now);
            self.section(now, tick, node, |text| {
                let appliance = &world.nodes[node];
                write!(
                    text,
                    "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                    appliance.board,
                    appliance.host,
                    appliance.kernel,
                    appliance.agent,
                    appliance.disk,
                    appliance.paused_until,
                    appliance.bus,
                    appliance.healthy,
                    appliance.told_dark,
                    world.cables[node],
                )
            });
        }
        self.section(now, 0, 0, |text| write!(text, "{:?}", world.links));
        let ledger = &world.ledger;
        let saved = world
            .nodes
            .iter()
            .map(|node| node.disk.memory.map_or(0, |memory| memory.epoch));
        let from = saved.min().unwrap_or(0);
        self.section(now, 0, 0, |text| {
            let (unguarded, tainted, heard) = (ledger.unguarded(), ledger.tainted, ledger.heard_at);
            write!(
                text,
                "{:?} {unguarded:?} {tainted:?} {heard:?}",
                ledger.data_up
            )?;
            let served = ledger.epochs_from(from);
            served
                .into_iter()
                .try_for_each(|(epoch, node)| write!(text, "epoch: {epoch} by: {node} "))
        });
        for (at, node, due) in world.pending() {
            let tick = world.nodes[node].board.tick(world.now);
            self.section(now, tick, node, |text| {
                write!(text, "{at:?} {node} {due:?}")
            });
        }
        for (node, due) in world.held() {
            let tick = world.nodes[node].board.tick(world.now);
            self.section(now, tick, node, |text| write!(text, "held {node} {due:?}"));
        }
        self.rank();
    }

    fn section(
        &mut self,
        now: u64,
        tick: u64,
        node: usize,
        write: impl FnOnce(&mut String) -> core::fmt::Result,
    ) {
        self.text.clear();
        // Writing to a string does not fail.
        let _ = write(&mut self.text);
        let mut awake = 0;
        let mut tokens = Tokens::new(&self.text);
        while let Some(token) = tokens.token() {
            match token {
                Token::Word(hash) => self.print.push(hash),
                Token::Instant(nanos) => self.print.push(from_now(now, nanos)),
                Token::Awake { total, nanos } => {
                    if total {
                        awake = nanos;
                    }
                    self.print.push(from_now(awake, nanos));
                }
                Token::Number(number, place) => match kinds::of(&place, node) {
                    Kind::Plain => self.print.push(i128::from(number)),
                    Kind::AtMost(most) => self.print.push(i128::from(number.min(most))),
                    Kind::Tick => {
                        let nanos = |tick: u64| tick.saturating_mul(1_000_000);
                        self.print.push(from_now(nanos(tick), nanos(number)));
                    }
                    kind => {
                        let at = self.print.len();
                        self.numbered.entry(kind).or_default().push((at, number));
                        self.print.push(0);
                    }
                },
            }
        }
        self.print.push(-1);
    }

    /// Ranks: zero stays zero, neighbours stay neighbours, and what is further apart is a little further apart.
    fn rank(&mut self) {
        for (kind, places) in &mut self.numbered {
            places.sort_by_key(|(_, number)| *number);
            let (mut last, mut rank) = (0, 0);
            for (at, number) in places.iter() {
                let gap = number - last;
                rank += kind.shorten(gap);
                last = *number;
                self.print[*at] = i128::from(rank);
            }
        }
    }
}

fn from_now(now: u64, at: u64) -> i128 {
    let beat = i128::from(beat_nanos());
    (i128::from(at) - i128::from(now)).clamp(-PAST_BEATS * beat, AHEAD_BEATS * beat)
}

fn fnv(print: &[i128]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in print {
        for half in [part & 0xffff_ffff, part >> 32] {
            hash ^= u64::try_from(half & 0xffff_ffff).unwrap_or(0);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        }
    }
    hash
}
