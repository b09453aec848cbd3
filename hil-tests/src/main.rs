//! The rig's command line.

mod boot;
mod run;
mod selftest;

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
    /// Prove the faults of the rig itself on one appliance.
    Selftest,
    /// Build the guest's image, or find it in the cache.
    Guest,
    /// The rig's hand inside the guest; started there by systemd.
    #[command(hide = true)]
    GuestAgent,
}

fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().command {
        Command::Boot { shell } => boot::run(shell),
        Command::List(options) => run::list(&options),
        Command::Run(options) => run::run(options),
        Command::Selftest => selftest::run(),
        Command::Guest => {
            let image = fencepost_hil::guest::Image::prepare(&mut |what| println!("hil: {what}"))?;
            println!("{}", image.root.display());
            Ok(())
        }
        Command::GuestAgent => Ok(fencepost_hil::guest_agent::serve()?),
    }
}
