//! Two sync services as they ship, each with the same path for its own tree, and the rig in the agents' place.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fencepost_sync::client::Client;
use fencepost_sync::control::{Answer, Request};
use fencepost_sync::session::State;

use super::bed::{ACTIVE, BACKUP, Bed, PORT, Process};
use super::table::Memory;
use super::tree::Tree;
use super::{Case, Plan, Subject};
use crate::error::{AtPath, Result, RigError};

/// What it does not manage in this time it does not manage.
const PATIENCE: Duration = Duration::from_secs(180);
/// The pair's key of this bench.
const KEY: &str = "3b1f0c6e92a7d45880e41c97f36a2b5d71c8094ee5fa6d13b2907c84d6ef5a10\n";
/// An agent's status, to which the pair's part is added.
const STATUS: &str = include_str!("../../../tests/golden/status-healthy.json");
/// Puts a node's own tree in the place that both know, and becomes the service.
const ENTER: &str = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;

pub(super) struct Fencepost {
    source: PathBuf,
    target: PathBuf,
    active: PathBuf,
    client: Option<Client>,
    services: [Process; 2],
}

impl Fencepost {
    pub(super) fn start(bed: &Bed, program: &Path, trees: &Tree) -> Result<Self> {
        let place = trees.folder.join("place");
        std::fs::create_dir_all(&place).at("cannot make", &place)?;
        let key = trees.folder.join("pair.key");
        std::fs::write(&key, KEY).at("cannot write", &key)?;
        let only_root = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, only_root).at("cannot set", &key)?;
        let node = |index: usize| -> Result<Process> {
            let folder = trees.folder.join(["a", "b"][index]);
            for name in ["state", "run"] {
                let path = folder.join(name);
                std::fs::create_dir_all(&path).at("cannot make", &path)?;
            }
            answer_for_agent(&folder, ["active", "backup"][index])?;
            let config = folder.join("fencepost.toml");
            let text = site(&folder, &place, &key, ["primary", "secondary"][index]);
            std::fs::write(&config, text).at("cannot write", &config)?;
            let mut command = bed.nodes[index].command(Path::new("sh"));
            command
                .args(["-c", ENTER, "sh"])
                .arg(folder.join("tree"))
                .arg(&place)
                .args(["setpriv", "--pdeathsig", "KILL"])
                .arg(program)
                .arg("--config")
                .arg(&config)
                .args(["sync", "service"])
                .env("NO_COLOR", "1");
            Process::start(command, &folder.join("log"))
        };
        Ok(Self {
            source: trees.source.clone(),
            target: trees.target.clone(),
            active: trees.folder.join("a/run/sync.sock"),
            services: [node(0)?, node(1)?],
            client: None,
        })
    }

    fn ask(&mut self, request: Request) -> Result<Option<Answer>> {
        let client = match &mut self.client {
            Some(client) => client,
            None => {
                let client = Client::connect(&self.active);
                let client = client.map_err(|error| RigError::Input(error.to_string()))?;
                self.client.insert(client)
            }
        };
        let mut last = None;
        let asked = client.ask(request, |answer| last = Some(answer));
        if let Err(error) = asked {
            self.client = None;
            return Err(RigError::Input(error.to_string()));
        }
        Ok(last)
    }

    /// The Active's service says that both hold the same, durably.
    fn in_sync(&mut self) -> bool {
        match self.ask(Request::Status) {
            Ok(Some(Answer::Status(report))) => {
                let same = |state: &State| matches!(state, State::InSync { .. });
                let categories = &report.categories;
                !categories.is_empty() && categories.iter().all(|one| same(&one.state))
            }
            _ => false,
        }
    }
}

impl Subject for Fencepost {
    fn name(&self) -> &'static str {
        "fencepost"
    }

    fn source(&self) -> &Path {
        &self.source
    }

    fn target(&self) -> &Path {
        &self.target
    }

    fn saves(&self, plan: Plan) -> usize {
        plan.saves
    }

    fn does(&self, _: Case) -> bool {
        true
    }

    fn carry(&mut self, seen: &mut dyn FnMut() -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !(seen() && self.in_sync()) {
            if Instant::now() >= until {
                let said = self.ask(Request::Status);
                let text = format!("not in sync after {} s: {said:?}", PATIENCE.as_secs());
                return Err(RigError::Broken(text));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<()> {
        let now = Request::Now {
            category: None,
            full: false,
            deletions: false,
            overwrite: false,
        };
        self.ask(now).map(drop)
    }

    fn memory(&self) -> Vec<Memory> {
        let names = ["fencepost, Active", "fencepost, Backup"];
        let services = names.iter().zip(&self.services);
        services
            .filter_map(|(name, service)| Memory::of(name, service.id()))
            .collect()
    }
}

fn site(folder: &Path, place: &Path, key: &Path, node: &str) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        r#"board = "reference"
topology = "parallel"
[[segment]]
name = "office"
ports = ["lan0", "wan0"]
[pair]
node = "{node}"
key_file = "{key}"
[[link]]
name = "cable"
interface = "{PORT}"
primary = "{ACTIVE}"
secondary = "{BACKUP}"
[control]
socket = "{agent}"
[state]
dir = "{state}"
runtime_dir = "{run}"
[sync]
socket = "{socket}"
[[category]]
name = "bench"
roots = ["{place}"]
deletions_percent_max = 100
deletions_max = 1000000
"#,
        key = key.display(),
        agent = at("run/agent.sock"),
        state = at("state"),
        run = at("run"),
        socket = at("run/sync.sock"),
        place = place.display(),
    )
}

/// What an agent in this role answers.
fn status(role: &str) -> String {
    let mut status: serde_json::Value = serde_json::from_str(STATUS).unwrap_or_default();
    status["pair"] = serde_json::json!({
        "role": role, "epoch": 1, "proof": null, "active_since": null, "quiet": role != "active", "quarantined": false,
        "bound": false, "right_until": null, "claim": null, "peer": null, "talking": true, "links": [], "means": [],
        "stale_messages": 0, "refusals": [],
    });
    serde_json::json!({ "ok": { "status": status } }).to_string()
}

/// Says what an agent in this role would, for as long as we live.
fn answer_for_agent(folder: &Path, role: &'static str) -> Result<()> {
    let socket = folder.join("run/agent.sock");
    let listener = UnixListener::bind(&socket).at("cannot listen at", &socket)?;
    let answer = status(role);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever hangs up needs no answer.
            let _gone = serve(&stream, &answer);
        }
    });
    Ok(())
}

fn serve(stream: &UnixStream, answer: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    for line in BufReader::new(stream).lines() {
        line?;
        let mut stream = stream;
        writeln!(stream, "{answer}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fencepost::config::Config;
    use fencepost::config::pair::parse_keys;
    use fencepost::control::{Answer, ReplyLine};
    use fencepost::diagnose::Source;
    use fencepost::wire::Role;

    use super::*;

    #[test]
    fn what_the_services_are_given_is_accepted() {
        let paths = ["/x/a", "/x/place", "/x/key"].map(Path::new);
        for node in ["primary", "secondary"] {
            let text = site(paths[0], paths[1], paths[2], node);
            let config = Config::parse(&Source::new("fencepost.toml", text));
            let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
            assert_eq!(config.sync.unwrap().socket, Path::new("/x/a/run/sync.sock"));
        }
        parse_keys("pair.key", KEY).unwrap();
    }

    #[test]
    fn an_agent_would_answer_like_this() {
        for (word, role) in [("active", Role::Active), ("backup", Role::Backup)] {
            let reply: ReplyLine = serde_json::from_str(&status(word)).unwrap();
            let ReplyLine::Ok(Answer::Status(status)) = reply else {
                panic!("{reply:?}");
            };
            assert_eq!(status.node.pair.unwrap().role, role);
        }
    }
}
