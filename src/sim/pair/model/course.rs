//! A course written down, so that it can be run again: how often the next thing happens, and what comes between.

use core::fmt;
#[cfg(test)]
use core::str::FromStr;

use super::choice::Choice;
#[cfg(test)]
use super::choice::Fault;
#[cfg(test)]
use super::search::repaired;
#[cfg(test)]
use crate::sim::pair::world::World;

/// A course from the start of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Course {
    steps: Vec<Step>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next thing, so many times.
    Next(u32),
    Other(Choice),
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With its last step.
    Here,
    /// Everything is repaired then.
    Repaired,
}

impl Course {
    /// From what was chosen otherwise than the next thing, each with the number of steps before it.
    pub(super) fn new(choices: &[(u32, Choice)], length: u32, end: End) -> Self {
        let mut steps = Vec::new();
        let mut at = 0;
        for (depth, choice) in choices {
            steps.push(Step::Next(depth - at));
            steps.push(Step::Other(*choice));
            at = depth + 1;
        }
        steps.push(Step::Next(length - at));
        steps.retain(|step| *step != Step::Next(0));
        Self { steps, end }
    }

    /// Runs it from `world`; what broke, if anything did.
    #[cfg(test)]
    pub(super) fn run(&self, mut world: World) -> Option<String> {
        for step in &self.steps {
            let (choice, count) = match step {
                Step::Next(count) => (Choice::Next, *count),
                Step::Other(choice) => (*choice, 1),
            };
            for _ in 0..count {
                choice.apply(&mut world);
                if world.ledger.broken.is_some() {
                    return world.ledger.broken;
                }
            }
        }
        match self.end {
            End::Here => None,
            End::Repaired => repaired(&mut world, |_| false).err(),
        }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::Next(count) => write!(f, "{count} ")?,
                Step::Other(Choice::Hold) => f.write_str("hold ")?,
                Step::Other(Choice::LetGo(index)) => write!(f, "late:{index} ")?,
                Step::Other(Choice::Strike(fault)) => write!(f, "+{fault:?} ")?,
                Step::Other(Choice::Repair(fault)) => write!(f, "-{fault:?} ")?,
                Step::Other(Choice::Next) => f.write_str("1 ")?,
            }
        }
        f.write_str(match self.end {
            End::Here => "end",
            End::Repaired => "repair",
        })
    }
}

#[cfg(test)]
impl FromStr for Course {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut end = None;
        let fault = |name: &str| {
            let mut all = Fault::ALL.iter();
            let known = all.find(|fault| format!("{fault:?}") == name);
            known.copied().ok_or_else(|| format!("no fault {name:?}"))
        };
        for word in text.split_whitespace() {
            let step = match word {
                "end" | "repair" => {
                    end = Some(if word == "end" {
                        End::Here
                    } else {
                        End::Repaired
                    });
                    continue;
                }
                "hold" => Step::Other(Choice::Hold),
                _ => {
                    if let Some(name) = word.strip_prefix('+') {
                        Step::Other(Choice::Strike(fault(name)?))
                    } else if let Some(name) = word.strip_prefix('-') {
                        Step::Other(Choice::Repair(fault(name)?))
                    } else if let Some(index) = word.strip_prefix("late:") {
                        let index = index.parse().map_err(|_| format!("no number: {word:?}"))?;
                        Step::Other(Choice::LetGo(index))
                    } else {
                        Step::Next(word.parse().map_err(|_| format!("no step: {word:?}"))?)
                    }
                }
            };
            steps.push(step);
        }
        let end = end.ok_or("a course ends with `end` or `repair`")?;
        Ok(Self { steps, end })
    }
}
