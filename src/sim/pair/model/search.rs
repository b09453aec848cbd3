//! The search over all courses, each state once for each number of faults that may still strike.

use core::fmt;
use core::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::Instant as Clock;

use super::super::mutant::Mutant;
use super::super::pace::beat_nanos;
use super::super::scenario::Setup;
use super::super::world::World;
use super::choice::{Choice, Fault, can_be_held, to_choice};
use super::course::{Course, End};
use super::print::Printer;
use crate::sim::dice::Dice;

/// Repaired, exactly one node serves after this many beats, the other ready beside it.
const RECOVERY_BEATS: u64 = 120;
/// And has done so for this many.
const STABLE_BEATS: u64 = 8;

/// Which courses come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The one just begun: little is kept at a time.
    Depth,
    /// The shortest: what is found is found in the fewest steps.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "wanted where a counter-example is to be read")
    )]
    Breadth,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Which courses come first.
    pub(super) order: Order,
    /// Faults in one course.
    pub(super) faults: u8,
    /// Things held back in one course.
    pub(super) late: u8,
    /// From one state in so many, all is repaired, and it must serve again; 0: from none.
    pub(super) heal_every: u64,
    /// States, at most.
    pub(super) states_max: u64,
    /// Time, at most.
    pub(super) time_max: Option<Duration>,
}

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Distinct states.
    pub(super) states: u64,
    /// Steps from one to the next.
    pub(super) steps: u64,
    /// The longest course, in steps.
    pub(super) deepest: u32,
    /// States from which all was repaired.
    pub(super) healed: u64,
    /// Every state was seen; else a bound ended it.
    pub(super) closed: bool,
    /// The first counter-example.
    pub(super) broken: Option<Broken>,
}

/// A counter-example.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    /// What broke.
    pub(super) what: String,
    /// Steps from the start.
    pub(super) steps: u32,
    /// What struck, was held back, let go or repaired, and on which beat.
    pub(super) told: Vec<String>,
    /// The course itself.
    pub(super) course: Course,
}

/// Told now and then during a search.
pub(super) type Progress<'a> = &'a mut dyn FnMut(&Found);

/// How a state was reached.
struct Way {
    before: Option<Rc<Way>>,
    depth: u32,
    choice: Choice,
    told: String,
}

/// A step to be taken.
struct Ahead {
    world: Rc<World>,
    choice: Choice,
    faults: u8,
    late: u8,
    depth: u32,
    way: Option<Rc<Way>>,
}

/// A search under way.
pub(super) struct Search<'a> {
    alphabet: &'a [Fault],
    bounds: Bounds,
    printer: Printer,
    /// By state and what may still be held back: how many faults could still strike.
    seen: HashMap<(u64, u8), u8>,
    /// States that come back by themselves once all is repaired.
    good: HashSet<u64>,
    ahead: VecDeque<Ahead>,
    found: Found,
}

/// A is Active, B stands ready, both talk.
pub(super) fn settled(setup: Setup, mutant: Mutant) -> World {
    let mut world = World::new(setup, mutant, Dice::new(7));
    world.host_up(0);
    run_beats(&mut world, 8);
    world.host_up(1);
    run_beats(&mut world, 16);
    to_choice(&mut world);
    world
}

pub(super) fn run_beats(world: &mut World, beats: u64) {
    let at = world.now.as_nanos().next_multiple_of(beat_nanos()) + beats * beat_nanos();
    world.run_until(crate::node::Instant::from_nanos(at - 1));
}

impl<'a> Search<'a> {
    pub(super) fn new(start: World, alphabet: &'a [Fault], bounds: Bounds) -> Self {
        let mut search = Self {
            alphabet,
            bounds,
            printer: Printer::default(),
            seen: HashMap::new(),
            good: HashSet::new(),
            ahead: VecDeque::new(),
            found: Found::default(),
        };
        search.reach(start, bounds.faults, bounds.late, 0, None);
        search
    }

    /// To the end, or to a bound.
    pub(super) fn run(mut self, progress: Progress<'_>) -> Found {
        let begun = Clock::now();
        while self.found.broken.is_none() {
            let next = match self.bounds.order {
                Order::Depth => self.ahead.pop_back(),
                Order::Breadth => self.ahead.pop_front(),
            };
            let Some(next) = next else {
                self.found.closed = true;
                break;
            };
            self.take(next);
            if self.found.steps.is_multiple_of(4_096) {
                progress(&self.found);
                let late = self
                    .bounds
                    .time_max
                    .is_some_and(|max| begun.elapsed() >= max);
                if late || self.found.states >= self.bounds.states_max {
                    break;
                }
            }
        }
        self.found
    }

    fn take(&mut self, step: Ahead) {
        let Ahead {
            world,
            choice,
            faults,
            late,
            depth,
            way,
        } = step;
        let told = tell(&world, choice);
        let mut world = Rc::try_unwrap(world).unwrap_or_else(|shared| World::clone(&shared));
        choice.apply(&mut world);
        self.found.steps += 1;
        let way = match told {
            Some(told) => Some(Rc::new(Way {
                before: way,
                depth,
                choice,
                told,
            })),
            None => way,
        };
        let (faults, late) = match choice {
            Choice::Strike(_) => (faults - 1, late),
            Choice::Hold => (faults, late - 1),
            _ => (faults, late),
        };
        self.reach(world, faults, late, depth + 1, way);
    }

    /// A state is reached: judged, and if it is new, all that can follow lies ahead.
    fn reach(&mut self, mut world: World, faults: u8, late: u8, depth: u32, way: Option<Rc<Way>>) {
        self.found.deepest = self.found.deepest.max(depth);
        if let Some(what) = world.ledger.broken.take() {
            self.found.broken = Some(broken(what, depth, End::Here, way.as_ref()));
            return;
        }
        let print = self.printer.fingerprint(&world);
        let before = self.seen.insert((print, late), faults);
        if let Some(before) = before.filter(|before| *before >= faults) {
            self.seen.insert((print, late), before);
            return;
        }
        if before.is_none() {
            self.found.states += 1;
            let every = self.bounds.heal_every;
            if every > 0 && print.is_multiple_of(every) {
                self.heal(&world, depth, way.as_ref());
            }
        }
        self.look_ahead(Rc::new(world), faults, late, depth, way);
    }

    fn look_ahead(
        &mut self,
        world: Rc<World>,
        faults: u8,
        late: u8,
        depth: u32,
        way: Option<Rc<Way>>,
    ) {
        let mut choices = vec![Choice::Next];
        if late > 0 && can_be_held(&world) {
            choices.push(Choice::Hold);
        }
        choices.extend((0..world.held.len()).map(Choice::LetGo));
        for fault in self.alphabet {
            if fault.can_repair(&world) {
                choices.push(Choice::Repair(*fault));
            } else if faults > 0 && fault.can_strike(&world) {
                choices.push(Choice::Strike(*fault));
            }
        }
        self.ahead.extend(choices.into_iter().map(|choice| Ahead {
            world: Rc::clone(&world),
            choice,
            faults,
            late,
            depth,
            way: way.clone(),
        }));
    }

    /// Everything is repaired: exactly one must serve again, for good.
    fn heal(&mut self, world: &World, depth: u32, way: Option<&Rc<Way>>) {
        self.found.healed += 1;
        let mut world = world.clone();
        let (printer, good) = (&mut self.printer, &mut self.good);
        let mut passed = Vec::new();
        let outcome = repaired(&mut world, |world| {
            let print = printer.fingerprint(world);
            passed.push(print);
            good.contains(&print)
        });
        match outcome {
            Ok(()) => self.good.extend(passed),
            Err(what) => self.found.broken = Some(broken(what, depth, End::Repaired, way)),
        }
    }
}

/// Repairs everything, and waits until exactly one serves for good, or `known` to.
pub(super) fn repaired(
    world: &mut World,
    mut known: impl FnMut(&World) -> bool,
) -> Result<(), String> {
    while !world.held.is_empty() {
        world.let_go(0);
    }
    world.heal();
    let mut stable = 0;
    for _ in 0..RECOVERY_BEATS {
        run_beats(world, 1);
        if let Some(what) = world.ledger.broken.take() {
            return Err(format!("{what}, after the repair"));
        }
        stable = if world.recovered().is_ok() {
            stable + 1
        } else {
            0
        };
        if stable >= STABLE_BEATS || known(world) {
            return Ok(());
        }
    }
    let why = world.recovered().err().unwrap_or_default();
    Err(format!(
        "not recovered {RECOVERY_BEATS} beats after the repair: {why}"
    ))
}

fn broken(what: String, depth: u32, end: End, mut way: Option<&Rc<Way>>) -> Broken {
    let (mut told, mut choices) = (Vec::new(), Vec::new());
    while let Some(step) = way {
        told.push(step.told.clone());
        choices.push((step.depth, step.choice));
        way = step.before.as_ref();
    }
    told.reverse();
    choices.reverse();
    let course = Course::new(&choices, depth, end);
    Broken {
        what,
        steps: depth,
        told,
        course,
    }
}

fn tell(world: &World, choice: Choice) -> Option<String> {
    let beat = world.now.as_nanos() / beat_nanos();
    let told = match choice {
        Choice::Next => return None,
        Choice::Hold => format!("held back: {}", name(world.due_next()?.1)),
        Choice::LetGo(index) => format!("comes late: {}", name(world.held.get(index)?)),
        Choice::Strike(fault) => fault.to_string(),
        Choice::Repair(fault) => format!("no longer: {fault}"),
    };
    Some(format!("beat {beat}: {told}"))
}

/// What is due, in few words.
fn name(due: &super::super::world::Due) -> String {
    use super::super::world::Due;
    let node = ["A", "B"].get(due.node()).copied().unwrap_or("?");
    match due {
        Due::Execute { prepared, .. } => format!("{node}'s {:?}", prepared.order),
        Due::Kernel { call, .. } => format!("{node}'s {call:?}"),
        Due::Saved { memory, .. } => format!("{node}'s save of epoch {}", memory.epoch),
        Due::Net { message, .. } => {
            let text = format!("{message:?}");
            let kind = text
                .split(['(', ' ', '{'])
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("to {node}, {kind}")
        }
        other => format!("{node}'s {other:?}"),
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} steps, deepest {}, {} repaired{}",
            self.states,
            self.steps,
            self.deepest,
            self.healed,
            if self.closed { ", closed" } else { "" }
        )?;
        let Some(broken) = &self.broken else {
            return Ok(());
        };
        write!(f, "\n  {} ({} steps)", broken.what, broken.steps)?;
        broken
            .told
            .iter()
            .try_for_each(|line| write!(f, "\n    {line}"))?;
        write!(f, "\n  course: {}", broken.course)
    }
}
