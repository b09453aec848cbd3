//! `fencepost pair`: the keys that make two nodes one pair.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use fencepost::config::Config;
use fencepost::config::pair::{STANDARD_KEY_FILE, load_keys};
use fencepost::io::random;
use fencepost::node::pair::PairCommand;
use fencepost::pairing::{Store, Terms};

use super::exit::{Exit, Failure};
use super::{Global, agent_link, places};

mod leave;
mod meet;
mod preflight;

use leave::leave;
use meet::{Place, invite, join_in, rejoin};
use preflight::{PreflightOptions, preflight};

/// Make and compare the keys of a pair
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the key on the first node: to be copied to the other, or with --invite over the network
    ///
    /// Never replaces a key file: a pair with two different keys does not hear itself.
    Init(InitOptions),
    /// Make the key together with a node that invites
    ///
    /// Asks for the code that the other node shows, on the terminal or as a line of standard input. The key is derived on
    /// both nodes and never sent; somebody in between without the code has three guesses.
    Join(JoinOptions),
    /// Make a key again with the node that was the partner before this one left
    ///
    /// As `pair join`, at the address where the two met last. That node shows a code first: with `fencepost pair replace` if it kept its
    /// key, with `fencepost pair init --invite` if it did not. The agents then bring the two together: a node that comes back is Backup
    /// until it has talked to the Active, and state sync starts in full.
    Rejoin(RejoinOptions),
    /// Change keys without an outage: a further key, made together with the other node
    ///
    /// On the other node: `fencepost pair join ADDRESS --rotate`. Then restart the agents, one after the other; the old key
    /// can be taken out of both files later.
    Rotate(InviteOptions),
    /// Make a new key for a new box in the other's place; the old one is void here
    ///
    /// On the new box: `fencepost pair join ADDRESS`. The agent here goes on with the old key until it is restarted.
    Replace(InviteOptions),
    /// Forget the keys: this node is no half of a pair any more
    ///
    /// Refused while this node is Active. Where the other node is stays remembered, for `fencepost pair rejoin`.
    Leave(LeaveOptions),
    /// Compare the two nodes as they run: versions, board, cabling, times, addresses, interfaces, names, firmware, wiring, clocks
    ///
    /// Exit code 1 if anything is refused.
    Preflight(PreflightOptions),
    /// Agree with the other node that nothing moves by itself, or end that
    ///
    /// Asked of the Active. The Backup promises not to take over by itself, whatever happens; both save it, it survives
    /// reboots, and only `pin off` on the Active ends it. Where the Active has died, `fencepost confirm-peer-dead` still
    /// takes over. For work on cables and switches that would look like a failure.
    Pin(PinOptions),
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

#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    #[command(flatten)]
    options: Options,
    /// Show a one-time code and wait for the other node's `fencepost pair join`
    #[arg(long)]
    invite: bool,
    /// Where to wait: an address of this node on a link [default: the first configured link's]
    #[arg(long, value_name = "ADDRESS", requires = "invite")]
    listen: Option<Place>,
}

#[derive(Debug, Args)]
pub(crate) struct InviteOptions {
    #[command(flatten)]
    options: Options,
    /// Where to wait: an address of this node on a link [default: the first configured link's]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Place>,
}

#[derive(Debug, Args)]
pub(crate) struct JoinOptions {
    /// The inviting node's address
    address: Place,
    #[command(flatten)]
    options: Options,
    /// Add a key to those that are there: the other node runs `pair rotate`
    #[arg(long)]
    rotate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RejoinOptions {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct PinOptions {
    /// Agree on it, or end it
    #[arg(value_enum)]
    pin: OnOff,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct LeaveOptions {
    #[command(flatten)]
    options: Options,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(global: &Global, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(it) if it.invite => {
            let store = it.options.store(global);
            store.must_be_free().map_err(failed)?;
            invite(global, store, it.listen, Terms::New)
        }
        Command::Init(it) => init(&it.options.path(global)),
        Command::Join(it) => join_in(global, &it),
        Command::Rejoin(it) => rejoin(global, &it),
        Command::Rotate(it) => {
            let store = it.options.store(global);
            store.must_be_there().map_err(failed)?;
            invite(global, store, it.listen, Terms::Add)
        }
        Command::Replace(it) => {
            let store = it.options.store(global);
            store.must_be_there().map_err(failed)?;
            invite(global, store, it.listen, Terms::New)
        }
        Command::Leave(it) => leave(global, &it),
        Command::Preflight(it) => preflight(global, &it),
        Command::Pin(it) => {
            let command = PairCommand::Pin {
                on: it.pin == OnOff::On,
                reason: it.reason,
            };
            agent_link::order_pair(global, command)
        }
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

    fn store(&self, global: &Global) -> Store {
        Store::new(&self.path(global))
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::failed(error.to_string())
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    random::bytes()
        .map_err(|error| Failure::failed(format!("the kernel gives no random numbers: {error}")))
}

fn init(path: &Path) -> Result<Exit, Failure> {
    let name = path.display();
    let secret: [u8; 32] = random()?;
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
    if Store::new(path).unfinished() {
        println!(
            "the other node was not heard to have this key; if its fingerprint is another, pair them again"
        );
    }
    Ok(Exit::Done)
}

/// One line, asked for on a terminal; never from the arguments, which everybody on the machine can read.
fn ask(question: &str) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprint!("{question}");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}
