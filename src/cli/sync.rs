//! `fencepost sync`: keep the backup ready, and show that it is.

mod ask;
mod nagios;
mod run;
mod service;
mod status;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fencepost::config::Config;
use fencepost_sync::category_id::{CategoryId, CategoryIdError};
use fencepost_sync::control::{Request, SOCKET_PATH};

use super::exit::{Exit, Failure};
use super::{Global, places};

/// Keep the other node's configuration and state like the Active's
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The sync service's socket [default: the configured one, or /run/fencepost-sync/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    sync_socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Service(service::Options),
    Status(status::Options),
    Now(NowOptions),
    /// Show what differs
    ///
    /// On the Active: between the backup and this node. On the Backup: what somebody edited here since the last commit.
    /// Exit code 1 means that something does.
    Diff(DiffOptions),
    /// Read every byte on both nodes and compare
    ///
    /// On the Active. Exit code 1 means that something is not in sync.
    Verify,
    /// List the generations kept on this node
    History(OneCategory),
    Rollback(RollbackOptions),
    Run(run::Options),
    /// Say that a save of many files begins: it becomes one generation
    ///
    /// Nothing of it is sent until `fencepost sync commit`, or five minutes later.
    Begin(SomeCategory),
    /// Say that the save is complete
    Commit(SomeCategory),
}

/// Make the backup like this node now, and wait until it is
///
/// On the Active. Progress is shown on a terminal.
#[derive(Debug, Args)]
struct NowOptions {
    #[command(flatten)]
    some: SomeCategory,
    /// Read every byte on both nodes first
    #[arg(long)]
    full: bool,
    /// Only show what would be sent
    #[arg(long)]
    dry_run: bool,
    /// What is gone here is meant to be gone: the guard against mass deletion lets it pass
    #[arg(long, conflicts_with = "dry_run")]
    deletions: bool,
    /// This node's data counts, whatever the backup remembers
    #[arg(long, conflicts_with = "dry_run")]
    overwrite: bool,
}

#[derive(Debug, Args)]
struct DiffOptions {
    #[command(flatten)]
    some: SomeCategory,
    /// Read every byte on both nodes first
    #[arg(long)]
    full: bool,
}

/// Bring an earlier generation back, as a new one
///
/// On the Active, if it holds what was overwritten since: that is the node that was Backup then.
#[derive(Debug, Args)]
struct RollbackOptions {
    #[command(flatten)]
    one: OneCategory,
    /// Its number, from `fencepost sync history`
    #[arg(value_name = "GENERATION")]
    generation: u64,
}

#[derive(Debug, Args)]
struct SomeCategory {
    /// One category [default: all]
    #[arg(value_name = "CATEGORY", value_parser = name_of_category)]
    category: Option<CategoryId>,
}

#[derive(Debug, Args)]
struct OneCategory {
    /// Which category
    #[arg(value_name = "CATEGORY", value_parser = name_of_category)]
    category: CategoryId,
}

fn name_of_category(text: &str) -> Result<CategoryId, CategoryIdError> {
    CategoryId::new(text)
}

/// As told, as configured, or the standard one.
fn socket(global: &Global, told: Option<PathBuf>) -> PathBuf {
    told.unwrap_or_else(|| {
        let config = Config::load(&places::config_path(global)).ok();
        let configured = config
            .and_then(|config| config.sync)
            .map(|sync| sync.socket);
        configured.unwrap_or_else(|| PathBuf::from(SOCKET_PATH))
    })
}

pub(crate) fn run(global: &Global, options: Options) -> Result<Exit, Failure> {
    let told = options.sync_socket;
    let socket = socket(global, told.clone());
    match options.command {
        Command::Service(options) => service::run(global, &options, told.as_deref()),
        Command::Status(options) => status::run(&socket, &options),
        Command::Now(now) if now.dry_run => ask::differences(&socket, now.some.category, now.full),
        Command::Now(now) => ask::progress(
            &socket,
            Request::Now {
                category: now.some.category,
                full: now.full,
                deletions: now.deletions,
                overwrite: now.overwrite,
            },
        ),
        Command::Diff(diff) => ask::differences(&socket, diff.some.category, diff.full),
        Command::Verify => ask::progress(&socket, Request::Verify),
        Command::History(one) => ask::history(&socket, one.category),
        Command::Rollback(rollback) => ask::progress(
            &socket,
            Request::Rollback {
                category: rollback.one.category,
                generation: rollback.generation,
            },
        ),
        Command::Run(options) => run::run(&socket, options),
        Command::Begin(some) => ask::progress(
            &socket,
            Request::Begin {
                category: some.category,
            },
        ),
        Command::Commit(some) => ask::progress(
            &socket,
            Request::Commit {
                category: some.category,
            },
        ),
    }
}
