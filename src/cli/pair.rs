//! `fencepost pair`: the keys that make two nodes one pair.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fencepost::config::Config;
use fencepost::config::pair::{STANDARD_KEY_FILE, load_keys};
use fencepost::io::random;

use super::exit::{Exit, Failure};
use super::{Global, places};

/// Make and compare the keys of a pair
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key on one node, to be copied to the other
    ///
    /// Never replaces a key file: a pair with two different keys does not hear itself.
    Init(Options),
    /// Show what identifies the keys, to be compared on both nodes
    ///
    /// It says nothing of the keys themselves.
    Fingerprint(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The key file [default: as configured, else /etc/fencepost/pair.key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(options) => init(&options.path(global)),
        Command::Fingerprint(options) => fingerprint(&options.path(global)),
    }
}

impl Options {
    /// A configuration that cannot be read is no reason not to make the key it will name.
    fn path(&self, global: &Global) -> PathBuf {
        let configured = || {
            let config = Config::load(&places::config_path(global)).ok()?;
            config.pair.map(|pair| pair.key_file)
        };
        self.key_file
            .clone()
            .or_else(configured)
            .unwrap_or_else(|| PathBuf::from(STANDARD_KEY_FILE))
    }
}

fn init(path: &Path) -> Result<Exit, Failure> {
    let name = path.display();
    let secret: [u8; 32] = random::bytes()
        .map_err(|error| Failure::failed(format!("the kernel gives no random numbers: {error}")))?;
    let mut text = "# Fencepost: whoever has this can speak for a node of the pair.\n".to_owned();
    text.extend(secret.iter().map(|byte| format!("{byte:02x}")));
    text.push('\n');
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = made.map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "it is there already; copy it to the other node, or remove it on both to begin anew"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        Failure::failed(format!("key file {name}: {what}"))
    })?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| Failure::failed(format!("key file {name}: {error}")))?;
    println!(
        "{name} is made. Copy it to the other node over a channel you trust, mode 0600, owner root."
    );
    fingerprint(path)
}

fn fingerprint(path: &Path) -> Result<Exit, Failure> {
    let keys =
        load_keys(path).map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
    let ids: Vec<String> = keys.ids().map(|id| id.to_string()).collect();
    println!(
        "fingerprint {}; it must be the same on both nodes",
        ids.join(" ")
    );
    Ok(Exit::Done)
}
