//! `hil bench-sync`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use fencepost_hil::sync_bench::{self, Plan};

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchSync {
    /// The program to measure, instead of the one built with this rig.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Files of the trees.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    files: u32,
    /// Turns of each system.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A few samples of small trees, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Where `bench-sync.md`, `.json` and `.svg` go.
    #[arg(long, default_value = "report")]
    report: PathBuf,
}

/// Measures, and writes table and picture.
pub(crate) fn run(options: &BenchSync) -> Result<()> {
    let program = crate::pairs::program(options.program.as_ref())?;
    let program = program
        .canonicalize()
        .with_context(|| format!("cannot find {}", program.display()))?;
    let plan = if options.quick {
        Plan::QUICK
    } else {
        Plan {
            rounds: usize::try_from(options.rounds)?,
            ..Plan::usual(usize::try_from(options.files)?)
        }
    };
    let table = sync_bench::run(plan, &program, &mut |what| eprintln!("hil: {what}"))?;
    let folder = &options.report;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text = table.markdown();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write("bench-sync.md", &text)?;
    write("bench-sync.json", &serde_json::to_string_pretty(&table)?)?;
    write("bench-sync.svg", &sync_bench::draw(&table))?;
    print!("{text}");
    println!("{}", folder.join("bench-sync.svg").display());
    Ok(())
}
