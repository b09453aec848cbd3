//! One seed, one board, one mode: a world from its beginning to its end, and the one line that runs it again.

use core::fmt;
use core::time::Duration;
use std::str::FromStr;

use super::board::VirtualBoard;
use super::dice::Dice;
use super::hands::Hands;
use super::ideal::{Ideal, IdealController, SETTLE};
use super::invariants::{Broken, FailOpen, Oracle, Promise};
use super::mutant::Mutant;
use super::plant::{Hardware, Plant};
use super::scenario::Scenario;
pub use super::world::Tally;
use super::world::{Opener, World};
use crate::board::open::open;
use crate::board::profile::{Board, DeadManKind, OnRelease};
use crate::board::{RelayState, catalogue};
use crate::node::policy::{Arming, Commissioning, ReadBackPolicy};
use crate::node::{Cause, Instant, Policy};

/// The controller as one would wish it, where a board is named.
pub const IDEAL: &str = "ideal";
/// A healed world is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So long must everything serve until a healed world is called healed; longer than any retry waits.
const SERVES_FOR: Duration = Duration::from_secs(12);
/// Lines of film that are shown with a failure.
pub(super) const FILM_SHOWN: usize = 60;

/// What is asked of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Any faults, any number, to the end: safety only.
    Storm,
    /// Some faults, then all is repaired: safety, and everything must serve again in time.
    Heal,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Storm => "storm",
            Self::Heal => "heal",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "storm" => Ok(Self::Storm),
            "heal" => Ok(Self::Heal),
            other => Err(format!("no mode {other:?}; there are storm and heal")),
        }
    }
}

/// A world that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How long it lived.
    pub lived: Duration,
    /// What happened in it.
    pub tally: Tally,
}

/// A world that did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// Its board.
    pub board: String,
    /// Its seed.
    pub seed: u64,
    /// What was asked of it.
    pub mode: Mode,
    /// When it broke.
    pub at: Instant,
    /// What broke.
    pub broken: Broken,
    /// Its last moments.
    pub film: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_film(FILM_SHOWN))
    }
}

impl Failure {
    /// The last `count` lines of its film, what broke, and the line that runs it again.
    pub fn with_film(&self, count: usize) -> String {
        let skipped = self.film.len().saturating_sub(count);
        let mut told: Vec<String> = self.film.iter().skip(skipped).cloned().collect();
        told.push(format!("{:>12} BROKEN    {}", self.at, self.broken));
        told.push(self.again());
        told.join("\n")
    }

    /// What broke, after the line that runs it again.
    pub fn line(&self) -> String {
        format!("{}: {}", self.again(), self.broken)
    }

    fn again(&self) -> String {
        format!(
            "hil sim --board {} --seed {} --mode {}",
            self.board, self.seed, self.mode
        )
    }
}

/// A board to simulate: loaded once, used by many seeds.
#[derive(Debug, Clone)]
pub struct Subject {
    id: String,
    board: Option<Board>,
}

impl Subject {
    /// The board of this name, or the ideal controller.
    ///
    /// # Errors
    /// If no profile has this name, or it is wrong.
    pub fn load(id: &str) -> Result<Self, catalogue::LoadError> {
        let board = if id == IDEAL {
            None
        } else {
            Some(catalogue::load(&[], id)?)
        };
        Ok(Self {
            id: id.to_owned(),
            board,
        })
    }

    /// The ideal controller and every board that is built in.
    pub fn all() -> Vec<Self> {
        let ideal = Self {
            id: IDEAL.to_owned(),
            board: None,
        };
        let profiles = catalogue::list(&[]).into_iter();
        let boards = profiles.filter_map(|entry| entry.profile.ok());
        let boards = boards.flat_map(|profile| profile.boards).map(|board| Self {
            id: board.id.clone(),
            board: Some(board),
        });
        core::iter::once(ideal).chain(boards).collect()
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Lives one seed. If it breaks, it is lived again with a film.
///
/// # Errors
/// What broke, with its last moments and the line that runs it again.
pub fn run(seed: u64, subject: &Subject, mode: Mode) -> Result<Summary, Box<Failure>> {
    run_mutant(seed, subject, mode, Mutant::Faithful)
}

/// Lives one seed with a deliberate mistake in it.
///
/// # Errors
/// As [`run`].
pub fn run_mutant(
    seed: u64,
    subject: &Subject,
    mode: Mode,
    mutant: Mutant,
) -> Result<Summary, Box<Failure>> {
    let mut world = world(seed, subject, mode, mutant);
    live(&mut world);
    if verdict(&world, mode).is_none() {
        return Ok(Summary {
            lived: world.now().since(Instant::ZERO),
            tally: world.tally,
        });
    }
    let mut world = self::world(seed, subject, mode, mutant);
    world.film.roll();
    live(&mut world);
    let (at, broken) = verdict(&world, mode).unwrap_or_else(|| {
        let says = "broke once and not again: the world is not deterministic".to_owned();
        let invariant = "invariant_one_seed_is_one_world";
        (world.now(), Broken { invariant, says })
    });
    Err(Box::new(Failure {
        board: subject.id.clone(),
        seed,
        mode,
        at,
        broken,
        film: world.film.lines(),
    }))
}

/// To its end; a healed one only until all has served for long enough.
fn live(world: &mut World) {
    let Some(healed) = world.scenario().heal_at else {
        return world.run(world.scenario().end);
    };
    world.run(healed);
    let mut served = Duration::ZERO;
    while world.failed.is_none() && world.now() < world.scenario().end && served < SERVES_FOR {
        world.run((world.now() + LOOK_EVERY).min(world.scenario().end));
        let serves = not_back(world).is_none() && !world.has_standing_orders();
        served = if serves {
            served + LOOK_EVERY
        } else {
            Duration::ZERO
        };
    }
}

fn world(seed: u64, subject: &Subject, mode: Mode, mutant: Mutant) -> World {
    let board = subject.board.as_ref();
    let scenario = Scenario::draw(seed, board, mode);
    let oracle = Oracle::new(
        &scenario.policy,
        promise(board, &scenario.policy, scenario.habits.watchdog),
    );
    let (hardware, opener) = hardware(board, scenario.policy.segments.len(), seed);
    let plant = Plant::new(hardware, scenario.habits.drift_ppm);
    let dice = Dice::new(!seed);
    World::new(scenario, plant, opener, oracle, dice, mutant)
}

fn hardware(board: Option<&Board>, segments: usize, seed: u64) -> (Hardware, Opener) {
    match board {
        None => {
            let opener: Opener = Box::new(|shop| Ok(Box::new(IdealController(shop.clone()))));
            (Hardware::Ideal(Ideal::new(segments)), opener)
        }
        Some(board) => {
            let options = super::wiring::Options {
                seed,
                ..super::wiring::Options::default()
            };
            let hardware = Hardware::Board(Box::new(VirtualBoard::for_board(board, options)));
            let (board, used) = (board.clone(), (0..segments).collect());
            let opener: Opener =
                Box::new(move |shop| open(&board, &used, &mut Hands(shop.clone())));
            (hardware, opener)
        }
    }
}

/// What the board promises, from its profile alone.
fn promise(board: Option<&Board>, policy: &Policy, watchdog: Duration) -> Promise {
    let settle = board.map_or(SETTLE, |board| {
        board
            .segments
            .iter()
            .map(|segment| segment.settle)
            .max()
            .unwrap_or(SETTLE)
    });
    // 1 % of drift, contacts, and a margin for the last transaction that was under way.
    let slack = settle * 2 + Duration::from_millis(100);
    let period = policy.dead_man.period;
    let by_dead_man = FailOpen::DeadMan(period + period / 100 + slack);
    let fail_open = match board {
        None => by_dead_man,
        Some(board) if board.dead_man.kind != DeadManKind::Absent => by_dead_man,
        Some(board) if board.on_release == OnRelease::FallsToRest => {
            FailOpen::Reset(watchdog + slack)
        }
        Some(_) => FailOpen::Never,
    };
    let arming = board.map_or(Arming::Required, |_| policy.dead_man.arming);
    Promise {
        fail_open,
        arming,
        settle,
    }
}

/// What broke, at once or in the end.
fn verdict(world: &World, mode: Mode) -> Option<(Instant, Broken)> {
    if let Some(failed) = &world.failed {
        return Some(failed.clone());
    }
    let says = match mode {
        Mode::Storm => None,
        Mode::Heal => not_back(world),
    }?;
    let invariant = "invariant_serves_again";
    Some((world.now(), Broken { invariant, says }))
}

/// After all faults were repaired: who does not serve, and has no good reason not to.
fn not_back(world: &World) -> Option<String> {
    let policy = &world.scenario().policy;
    let unguarded = policy.dead_man.arming == Arming::Absent && policy.watchdog.is_none();
    if policy.commissioning == Commissioning::Missing || unguarded {
        return None;
    }
    let Some(status) = world.status() else {
        return Some("no agent runs".to_owned());
    };
    let standing = status.maintenance.is_some() || status.disarmed.is_some();
    for (index, segment) in status.segments.iter().enumerate() {
        let held_back = standing || segment.cause == Cause::CloseLimit;
        let serves = world.contacts(index) == RelayState::Normal;
        // Moved by somebody else on a board that cannot be read: nobody can know.
        let unseen = policy.segments[index].read_back == ReadBackPolicy::Impossible
            && world.tally.strangers > 0;
        if !serves && !held_back && !unseen {
            return Some(format!(
                "segment {index} is {} and wanted in {} ({})",
                segment.state, segment.wanted, segment.cause
            ));
        }
    }
    None
}
