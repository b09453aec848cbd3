use super::choice::{Choice, Fault};
use super::course::Course;
use super::print::Printer;
use super::search::{Bounds, Found, Order, Search, settled};
use crate::node::pair::policy::Topology;
use crate::sim::pair::mutant::Mutant;
use crate::sim::pair::scenario::Setup;
use crate::sim::pair::world::World;

fn pair(topology: Topology) -> World {
    let world = settled(Setup::beats(topology), Mutant::Faithful);
    assert_eq!(world.recovered(), Ok(0));
    world
}

fn all_courses(topology: Topology, faults: &[Fault], (strikes, late): (u8, u8)) -> Found {
    let bounds = Bounds {
        order: Order::Depth,
        faults: strikes,
        late,
        heal_every: 16,
        states_max: 40_000,
        time_max: None,
    };
    Search::new(pair(topology), faults, bounds).run(&mut |_| {})
}

/// A pair that is left alone does the same over and over: its state comes back as the same print.
#[test]
fn an_idle_pair_comes_back_to_where_it_was() {
    for topology in [Topology::PARALLEL_HOT, Topology::PARALLEL_COLD] {
        let mut world = pair(topology);
        let mut printer = Printer::default();
        let mut seen = Vec::new();
        while !seen.contains(&printer.fingerprint(&world)) {
            seen.push(printer.fingerprint(&world));
            assert!(seen.len() < 60, "no state came back");
            Choice::Next.apply(&mut world);
        }
        assert!(seen.len() > 4, "states that differ print alike");
    }
}

/// Anything late, and the faults that part the two: all of it, to the end. `hil sim --pair --exhaustive` strikes with
/// every fault.
#[test]
fn no_course_breaks_anything() {
    let parted = [Fault::Link, Fault::Cable(1)];
    for (faults, bounds) in [(&parted[..0], (0, 1)), (&parted[..], (1, 0))] {
        for topology in [Topology::PARALLEL_HOT, Topology::PARALLEL_COLD] {
            let found = all_courses(topology, faults, bounds);
            println!("{topology:?}: {found}");
            assert!(found.broken.is_none() && found.closed, "{found}");
            assert!(found.states > 200 && found.healed > 5, "{found}");
        }
    }
}

#[test]
fn a_search_finds_the_same_each_time() {
    let search = || all_courses(Topology::PARALLEL_HOT, &[Fault::Power(0)], (1, 0)).to_string();
    assert_eq!(search(), search());
}

#[test]
fn a_course_can_be_written_down() {
    let text = "12 +Pause(0) 3 hold 4 late:0 -Cable(1) 7 repair";
    let course: Course = text.parse().unwrap();
    assert_eq!(course.to_string(), text);
    for wrong in ["", "3", "+Nothing end", "late:x end", "x end"] {
        assert!(wrong.parse::<Course>().is_err(), "{wrong:?}");
    }
}
