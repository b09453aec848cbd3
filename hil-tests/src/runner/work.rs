//! What is still to be run, shared out among appliances: pure, so that it can be tested without one.
//!
//! An appliance keeps its board as long as scenarios wait for it, since another board means another boot. Boards nobody is at come first;
//! after that an idle appliance helps where most is waiting, so that the last board does not keep one processor idle.

use std::collections::VecDeque;

use crate::appliance::model::Model;
use crate::scenario::Scenario;

/// Fewer than this are run sooner by the appliance that is there than by one that has to boot first.
const WORTH_A_BOOT: usize = 4;

/// All scenarios that wait, by board.
pub(super) struct Work {
    boards: Vec<Waiting>,
}

struct Waiting {
    model: Model,
    scenarios: VecDeque<Scenario>,
    /// Appliances of this board at work.
    appliances: usize,
}

/// An appliance's place: which board it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Work {
    /// The same scenarios for every board, in their order.
    pub(super) fn new(models: Vec<Model>, scenarios: &[Scenario]) -> Self {
        let waiting = |model| Waiting {
            model,
            scenarios: scenarios.iter().copied().collect(),
            appliances: 0,
        };
        Self {
            boards: models.into_iter().map(waiting).collect(),
        }
    }

    /// The next scenario for an appliance at `place`, or for one that is to be built; `None`: nothing that is worth it.
    pub(super) fn next(&mut self, place: Option<Place>) -> Option<(Place, Model, Scenario)> {
        let staying = place.and_then(|Place(index)| self.take(index));
        if staying.is_some() {
            return staying;
        }
        if let Some(Place(index)) = place {
            self.boards[index].appliances -= 1;
        }
        let chosen = self.untouched().or_else(|| self.most_behind())?;
        self.boards[chosen].appliances += 1;
        self.take(chosen)
    }

    fn take(&mut self, index: usize) -> Option<(Place, Model, Scenario)> {
        let board = &mut self.boards[index];
        let scenario = board.scenarios.pop_front()?;
        Some((Place(index), board.model, scenario))
    }

    fn untouched(&self) -> Option<usize> {
        self.boards
            .iter()
            .position(|board| board.appliances == 0 && !board.scenarios.is_empty())
    }

    fn most_behind(&self) -> Option<usize> {
        let (index, board) = self
            .boards
            .iter()
            .enumerate()
            .max_by_key(|(_, board)| board.scenarios.len())?;
        (board.scenarios.len() >= WORTH_A_BOOT).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::model::MODELS;

    fn name(next: Option<(Place, Model, Scenario)>) -> Option<(&'static str, &'static str)> {
        next.map(|(_, model, scenario)| (model.name, scenario.name))
    }

    #[test]
    fn an_appliance_keeps_its_board_and_every_scenario_is_run_once() {
        let scenarios = Scenario::all();
        let mut work = Work::new(MODELS[..2].to_vec(), &scenarios);
        let mut seen = Vec::new();
        let mut place = None;
        while let Some((at, model, scenario)) = work.next(place) {
            place = Some(at);
            seen.push((model.name, scenario.name));
        }
        let of = |model: &Model| {
            let name = model.name;
            scenarios
                .iter()
                .map(move |scenario| (name, scenario.name))
                .collect::<Vec<_>>()
        };
        let mut wanted = of(&MODELS[0]);
        wanted.extend(of(&MODELS[1]));
        assert_eq!(seen, wanted);
    }

    #[test]
    fn two_appliances_take_a_board_each() {
        let mut work = Work::new(MODELS[..2].to_vec(), &Scenario::all());
        let (_, first, _) = work.next(None).unwrap();
        let (_, second, _) = work.next(None).unwrap();
        assert_ne!(first.name, second.name);
    }

    #[test]
    fn one_board_is_shared_by_two_appliances_but_not_its_last_scenarios() {
        let scenarios = &Scenario::all()[..6];
        let mut work = Work::new(MODELS[..1].to_vec(), scenarios);
        let (one, ..) = work.next(None).unwrap();
        let (other, ..) = work.next(None).unwrap();
        assert_eq!(one, other);
        assert!(work.next(Some(one)).is_some());
        assert_eq!(name(work.next(None)), None, "three left: no boot for these");
        for _ in 0..3 {
            assert!(work.next(Some(one)).is_some());
        }
        assert_eq!(name(work.next(Some(one))), None);
        assert_eq!(name(work.next(Some(other))), None);
    }
}
