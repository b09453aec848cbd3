//! The rig's command line.

mod bench_sync;
mod boot;
mod demo;
mod gauge;
mod live;
mod looks;
mod pair_demo;
mod pairs;
mod run;
mod selftest;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Virtual boards, virtual wires and appliances for fencepost.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot one appliance on the bench board and prove that its devices are real.
    Boot {
        /// Then read commands for the guest from standard input.
        #[arg(long)]
        shell: bool,
    },
    /// List scenarios, and where each is skipped.
    List(run::List),
    /// Run scenarios on virtual appliances.
    Run(run::Run),
    /// Put two agents side by side, in namespaces and with a neighbour, through everything that can happen to a pair.
    Pair(pairs::Pair),
    /// Show the pair: the Active dies, sleeps, is cut off and hands over, while a client asks for the vip each millisecond. Needs root.
    PairDemo {
        /// Where the picture goes.
        #[arg(long, default_value = "report/pair-demo")]
        report: PathBuf,
        /// The agent, instead of the one built with this rig.
        #[arg(long)]
        program: Option<PathBuf>,
    },
    /// Put Fencepost and keepalived through the same faults, in turn, and draw what it cost.
    Contest(pairs::Contest),
    /// Prove the faults of the rig itself on one appliance.
    Selftest,
    /// Build the guest's image, or find it in the cache.
    Guest,
    /// Make the page of a folder of results anew.
    Report {
        /// Where `hil run --report` wrote them.
        folder: PathBuf,
    },
    /// Draw one result as a picture that stands alone.
    Picture {
        /// A scenario's JSON file.
        file: PathBuf,
        /// Where to write it.
        #[arg(long)]
        svg: PathBuf,
    },
    /// Show one appliance: it boots, its agent is killed, the wire stays a wire.
    Demo {
        /// Where page and picture go.
        #[arg(long, default_value = "report/demo")]
        report: PathBuf,
        /// How long links take to come back after a relay moved, milliseconds.
        #[arg(long, default_value_t = 1_500, value_name = "MS")]
        relink_ms: u64,
    },
    /// Live simulated appliances, many seeds or one: `hil sim --help`.
    #[command(disable_help_flag = true)]
    Sim {
        /// What to live; see there.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Measure how fast the product is on this machine, beside what it replaces.
    Bench {
        /// The agent to measure, instead of the one built with this rig.
        #[arg(long)]
        program: Option<PathBuf>,
        /// A few samples only, to see that it works.
        #[arg(long)]
        quick: bool,
        /// Where `bench.md` and `bench.json` go.
        #[arg(long, default_value = "report")]
        report: PathBuf,
    },
    /// Measure state sync beside rsync and lsyncd, in turn, on the same disk and cable: needs root.
    BenchSync(bench_sync::BenchSync),
    /// The bench's check.
    #[command(hide = true)]
    Verdict {
        /// Holds `ok` or not.
        file: PathBuf,
        /// Where the moment of the first critical verdict goes.
        stamp: PathBuf,
    },
    /// The peer's tool.
    #[command(hide = true)]
    I2cset {
        /// The board's socket.
        board: PathBuf,
        /// Address, register, value.
        words: Vec<String>,
    },
    /// The rig's hand inside the guest; started there by systemd.
    #[command(hide = true)]
    GuestAgent,
}

fn main() -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match Cli::parse().command {
        Command::Boot { shell } => boot::run(shell),
        Command::List(options) => run::list(&options),
        Command::Run(options) => run::run(options),
        Command::Pair(options) => pairs::run(&options),
        Command::PairDemo { report, program } => pair_demo::run(program.as_ref(), &report),
        Command::Contest(options) => pairs::contest(&options),
        Command::Selftest => selftest::run(),
        Command::Guest => {
            let image = fencepost_hil::guest::Image::prepare(&mut |what| println!("hil: {what}"))?;
            println!("{}", image.root.display());
            Ok(())
        }
        Command::Report { folder } => looks::page(&folder),
        Command::Picture { file, svg } => looks::picture(&file, &svg),
        Command::Demo { report, relink_ms } => demo::run(&report, Duration::from_millis(relink_ms)),
        Command::Sim { words } => {
            let told = fencepost::sim::cli(words);
            let held = told.is_ok();
            println!("{}", told.unwrap_or_else(|broken| broken));
            return Ok(if held {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Bench {
            program,
            quick,
            report,
        } => gauge::bench(program.as_deref(), quick, &report),
        Command::BenchSync(options) => bench_sync::run(&options),
        Command::Verdict { file, stamp } => return Ok(gauge::verdict(&file, &stamp)),
        Command::I2cset { board, words } => gauge::i2cset(&board, &words),
        Command::GuestAgent => Ok(fencepost_hil::guest_agent::serve()?),
    };
    done.map(|()| ExitCode::SUCCESS)
}
