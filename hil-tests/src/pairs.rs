//! `hil pair`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use fencepost_hil::outcome::{Totals, Verdict};
use fencepost_hil::pair::Cabling;
use fencepost_hil::pair::contest;
use fencepost_hil::pair::host::Kind;
use fencepost_hil::pair::machine;
use fencepost_hil::pair::scenario::{self, SCENARIOS, Scenario, Setting};
use fencepost_hil::pair::site::Wishes;

/// What to put a pair through.
#[derive(Args)]
pub(crate) struct Pair {
    /// Scenarios; all if none is named.
    scenarios: Vec<String>,
    /// Name them and what they show; run none.
    #[arg(long)]
    list: bool,
    /// The agent, instead of the one built with this rig.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Where: in namespaces of this kernel at native speed, or in two machines with kernels of their own.
    #[arg(long, value_enum, default_value_t = Bed::Namespaces)]
    bed: Bed,
    /// The timing profile, in namespaces. On a busy machine the fast one takes its own pauses for the peer's death.
    #[arg(long, value_enum, default_value_t = Profile::Default)]
    profile: Profile,
    /// Side by side with a closed Backup, with a dark one, one behind the other, or without relays (in namespaces).
    #[arg(long, value_enum, default_value_t = Cabled::Hot)]
    cabling: Cabled,
    /// Print what both agents said, whatever the result.
    #[arg(long)]
    logs: bool,
    /// Also write a JSON line for each to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bed {
    Namespaces,
    Qemu,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cabled {
    Hot,
    Cold,
    Series,
    Apart,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    Fast,
    Default,
    Conservative,
}

impl Profile {
    const fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Default => "default",
            Self::Conservative => "conservative",
        }
    }
}

/// Runs, and ends the process with 1 if anything failed.
pub(crate) fn run(options: &Pair) -> Result<()> {
    if options.list {
        for scenario in SCENARIOS {
            println!("{:20} {}", scenario.name, scenario.shows);
            if let Some((kind, why)) = scenario.not_on {
                println!("{:20} not on the bed `{}`: {why}", "", kind.word());
            }
        }
        return Ok(());
    }
    let (kind, mut wishes) = match options.bed {
        Bed::Namespaces => (
            Kind::Namespaces,
            Wishes {
                profile: options.profile.word(),
                ..Wishes::default()
            },
        ),
        Bed::Qemu => (Kind::Qemu, machine::wishes()),
    };
    wishes.cabling = match options.cabling {
        Cabled::Hot => Cabling::Hot,
        Cabled::Cold => Cabling::Cold,
        Cabled::Series => Cabling::Series,
        Cabled::Apart => Cabling::Apart,
    };
    if matches!((options.bed, options.cabling), (Bed::Qemu, Cabled::Apart)) {
        bail!(
            "the machines' boards are the reference board: --cabling apart is for --bed namespaces"
        );
    }
    let setting = Setting {
        kind,
        program: program(options.program.as_ref())?,
        wishes,
        logs: options.logs,
    };
    let mut file = match &options.json {
        Some(path) => {
            Some(std::fs::File::create(path).with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    let mut totals = Totals::default();
    for scenario in chosen(&options.scenarios)? {
        let outcome = scenario::run(scenario, &setting);
        let line = serde_json::to_string(&outcome)?;
        if let Some(file) = &mut file {
            writeln!(file, "{line}")?;
        }
        let outage = outcome
            .outage_ms
            .map_or_else(String::new, |outage| format!("outage {outage:.0} ms, "));
        let verdict = match outcome.result {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "skipped",
        };
        println!(
            "{verdict:7} {:20} {outage}dual-active {} ms, {:.1} s: {}",
            outcome.scenario, outcome.dual_active_ms, outcome.seconds, outcome.reason
        );
        if !outcome.log.is_empty() {
            println!("{}", outcome.log);
        }
        totals.count(outcome.result);
    }
    println!("{totals}");
    if totals.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
            let Some(found) = found else {
                bail!("no scenario of the pair is called {name}; `hil pair --list` names them");
            };
            Ok(found)
        })
        .collect()
}

/// How to compare.
#[derive(Args)]
pub(crate) struct Contest {
    /// Runs of each system under each fault.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The agent, instead of the one built with this rig.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Where `contest.md`, `contest.json` and `contest.svg` go.
    #[arg(long, default_value = "report")]
    report: PathBuf,
}

/// Compares with keepalived, if it is there to be compared with.
pub(crate) fn contest(options: &Contest) -> Result<()> {
    let there = std::process::Command::new("keepalived")
        .arg("--version")
        .output();
    if there.is_err() {
        println!(
            "skipped: comparison with keepalived (it is not installed: apt-get install keepalived)"
        );
        return Ok(());
    }
    let program = program(options.program.as_ref())?;
    let table = contest::run(&program, options.rounds, &mut |what| {
        eprintln!("hil: {what}")
    });
    let folder = &options.report;
    let write = |name: &str, text: &str| -> Result<()> {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let text = table.markdown();
    write("contest.md", &text)?;
    write("contest.json", &serde_json::to_string_pretty(&table)?)?;
    write("contest.svg", &contest::draw(&table))?;
    print!("{text}");
    println!("{}", folder.join("contest.svg").display());
    Ok(())
}

pub(crate) fn program(named: Option<&PathBuf>) -> Result<PathBuf> {
    Ok(match named {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("fencepost"),
    })
}
