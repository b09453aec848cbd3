//! `hil sim`: seeds from a command line. The line that a failure prints is one of these.

use core::time::Duration;
use std::str::FromStr as _;

use super::pair::{self, Wires};
use super::run::{FILM_SHOWN, Mode, Subject, run};
use super::sweep::sweep;

/// How it is called.
pub const USAGE: &str = "\
sim --pair --exhaustive [--faults COUNT] [--late COUNT] [--minutes COUNT]
sim [--pair [--wires drawn|apart|chained|pinned] | --board BOARD] [--mode storm|heal] [--seed SEED [--film LINES] | --first SEED --seeds COUNT] [--threads COUNT]
  --pair     worlds of two nodes: any faults on hosts, controllers, cables and links
  --wires    of a pair: with relays, side by side or one behind the other as drawn (drawn), without relays (apart),
             or the second reached through the first one's relays (chained);
             all but the first are also pinned now and then, and nothing else is different in (pinned)
  --exhaustive  all courses of a pair in beats, not drawn worlds: no more --faults (1) and things that come --late (0)
             in one course, at most --minutes (60) for a hot pair and for a cold one; lines of progress on stderr
  --board    a board of the catalogue, or `ideal`; without it, all of them in turn
  --mode     storm: any faults, safety only; heal: some faults, then all must serve again; without it, both
  --seed     this one world, with its film if it breaks
  --film     how many of its last lines (60)
  --seeds    how many worlds (1000), counted from --first (0)
  --threads  on how many threads (all cores)";

#[derive(Debug, Default)]
struct Wish {
    pair: bool,
    wires: Option<Wires>,
    exhaustive: bool,
    faults: Option<u8>,
    late: Option<u8>,
    minutes: Option<u64>,
    board: Option<String>,
    mode: Option<Mode>,
    seed: Option<u64>,
    film: Option<usize>,
    first: u64,
    seeds: Option<u64>,
    threads: Option<usize>,
}

/// Does what the arguments say and returns what is to be printed; an error if a world broke or the arguments
/// make no sense.
///
/// # Errors
/// The broken worlds with their films and the lines that run them again, or what is wrong with the arguments.
pub fn cli(arguments: impl IntoIterator<Item = String>) -> Result<String, String> {
    let arguments: Vec<String> = arguments.into_iter().collect();
    if arguments.iter().any(|argument| argument == "--help") {
        return Ok(USAGE.to_owned());
    }
    let wish = parse(arguments)?;
    let modes = wish
        .mode
        .map_or_else(|| vec![Mode::Storm, Mode::Heal], |mode| vec![mode]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = wish.threads.unwrap_or(cores);
    if wish.exhaustive || wish.faults.is_some() || wish.late.is_some() || wish.minutes.is_some() {
        return all_courses(&wish);
    }
    if wish.wires.is_some() && !wish.pair {
        return Err(format!("--wires are a pair's: add --pair\n{USAGE}"));
    }
    if wish.pair {
        return of_pairs(&wish, &modes, threads);
    }
    let subjects = match &wish.board {
        Some(id) => vec![Subject::load(id).map_err(|error| error.to_string())?],
        None => Subject::all(),
    };
    if let Some(seed) = wish.seed {
        return one(seed, &subjects, &modes, wish.film.unwrap_or(FILM_SHOWN));
    }
    let report = sweep(
        wish.first,
        wish.seeds.unwrap_or(1_000),
        &subjects,
        &modes,
        threads,
    );
    if report.broken.is_empty() {
        Ok(report.to_string())
    } else {
        Err(report.to_string())
    }
}

fn all_courses(wish: &Wish) -> Result<String, String> {
    let drawn =
        wish.wires.is_some() || wish.seed.is_some() || wish.seeds.is_some() || wish.mode.is_some();
    if !wish.pair || !wish.exhaustive || drawn {
        return Err(format!(
            "--pair --exhaustive go together, with --faults, --late and --minutes, and without seeds\n{USAGE}"
        ));
    }
    let minutes = Duration::from_secs(wish.minutes.unwrap_or(60).saturating_mul(60));
    let (faults, late) = (wish.faults.unwrap_or(1), wish.late.unwrap_or(0));
    pair::check(faults, late, minutes, |line| eprintln!("{line}"))
}

fn of_pairs(wish: &Wish, modes: &[Mode], threads: usize) -> Result<String, String> {
    if wish.board.is_some() {
        return Err(format!(
            "a pair has boards of its own: no --board beside --pair\n{USAGE}"
        ));
    }
    let wires = wish.wires.unwrap_or_default();
    if let Some(seed) = wish.seed {
        return one_pair(wires, seed, modes, wish.film);
    }
    let report = pair::sweep(
        wires,
        wish.first,
        wish.seeds.unwrap_or(1_000),
        modes,
        threads,
    );
    if report.broken.is_empty() {
        Ok(report.to_string())
    } else {
        Err(report.to_string())
    }
}

fn one_pair(
    wires: Wires,
    seed: u64,
    modes: &[Mode],
    film: Option<usize>,
) -> Result<String, String> {
    let mut told = Vec::new();
    for mode in modes {
        let outcome = pair::run(wires, seed, *mode, true);
        let shown = match &outcome.broken {
            Some(_) => film.unwrap_or(FILM_SHOWN),
            None => film.unwrap_or(0),
        };
        let skipped = outcome.film.len().saturating_sub(shown);
        told.extend(outcome.film.iter().skip(skipped).cloned());
        if let Some(what) = &outcome.broken {
            told.push(format!("BROKEN {what}\n{}", outcome.again()));
            return Err(told.join("\n"));
        }
        told.push(format!(
            "pair {mode} {seed}: held for {} s, {} mishaps, {} takeovers",
            outcome.lived.as_secs(),
            outcome.mishaps,
            outcome.takeovers
        ));
    }
    Ok(told.join("\n"))
}

fn one(seed: u64, subjects: &[Subject], modes: &[Mode], film: usize) -> Result<String, String> {
    let mut told = Vec::new();
    for subject in subjects {
        for mode in modes {
            let summary = run(seed, subject, *mode).map_err(|failure| failure.with_film(film))?;
            told.push(format!(
                "{} {mode} {seed}: held for {} s, {:?}",
                subject.id(),
                summary.lived.as_secs(),
                summary.tally
            ));
        }
    }
    Ok(told.join("\n"))
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut arguments = arguments.into_iter();
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
        };
        match name.as_str() {
            "--pair" => wish.pair = true,
            "--wires" => wish.wires = Some(Wires::from_str(&value()?)?),
            "--exhaustive" => wish.exhaustive = true,
            "--faults" => wish.faults = Some(number(&name, &value()?)?),
            "--late" => wish.late = Some(number(&name, &value()?)?),
            "--minutes" => wish.minutes = Some(number(&name, &value()?)?),
            "--board" => wish.board = Some(value()?),
            "--mode" => wish.mode = Some(Mode::from_str(&value()?)?),
            "--seed" => wish.seed = Some(number(&name, &value()?)?),
            "--film" => wish.film = Some(number(&name, &value()?)?),
            "--first" => wish.first = number(&name, &value()?)?,
            "--seeds" => wish.seeds = Some(number(&name, &value()?)?),
            "--threads" => wish.threads = Some(number(&name, &value()?)?),
            other => return Err(format!("no option {other:?}\n{USAGE}")),
        }
    }
    Ok(wish)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<String, String> {
        cli(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn mistakes_are_named() {
        assert!(ask("--bord x").is_err_and(|text| text.contains("--bord")));
        assert!(ask("--board nosuch").is_err_and(|text| text.contains("nosuch")));
        assert!(ask("--mode calm").is_err_and(|text| text.contains("storm")));
        assert!(ask("--seed x").is_err_and(|text| text.contains("--seed")));
        assert!(ask("--seed").is_err_and(|text| text.contains("value")));
    }

    #[test]
    fn one_line_is_one_pair() {
        let line = "--pair --mode heal --seed 3";
        let told = ask(line).unwrap();
        assert!(told.starts_with("pair heal 3: held for "), "{told}");
        assert_eq!(told, ask(line).unwrap());
        assert!(ask("--pair --board ideal").is_err());
        assert!(ask("--wires apart").is_err_and(|text| text.contains("--pair")));
        assert!(ask("--pair --wires crossed").is_err_and(|text| text.contains("apart")));
        assert!(ask("--exhaustive").is_err());
        assert!(ask("--pair --exhaustive --seed 3").is_err());
    }

    #[test]
    fn one_line_is_one_world() {
        let line = "--board ideal --mode heal --seed 3";
        let told = ask(line).unwrap();
        assert!(told.starts_with("ideal heal 3: held for "), "{told}");
        assert_eq!(told, ask(line).unwrap());
    }
}
