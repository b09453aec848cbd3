//! The state sync service beside an agent in a namespace: its process, and the directory it keeps alike.
//!
//! Both nodes' trees have one path, as on two appliances: each service sees its own directory there, by a mount of its own.
//!
//! What if the rig dies? Its services die with it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::namespace::Namespace;
use crate::command::output;
use crate::error::{AtPath, Result};

/// The root that is kept alike, below the mount.
pub const ROOT: &str = "conf";

/// Puts this node's directory in the place that both know, and becomes the service. `ip netns exec` has given it mounts of its own.
const ENTER: &str = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;

/// A node's sync service; not running until it is started.
pub struct SyncService {
    program: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl SyncService {
    /// Of the node whose files are in `folder`; starts nothing.
    pub fn prepare(program: &Path, folder: &Path) -> Result<Self> {
        let service = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            child: None,
        };
        let runtime = service.folder.join("sync-run");
        for directory in [service.tree(), Self::place(folder), runtime] {
            std::fs::create_dir_all(&directory).at("cannot make", &directory)?;
        }
        Ok(service)
    }

    /// Where both nodes see their own directory.
    pub fn place(folder: &Path) -> PathBuf {
        folder.parent().unwrap_or(folder).join("synced")
    }

    /// What this node has there, as the rig sees it.
    pub fn tree(&self) -> PathBuf {
        self.mounted().join(ROOT)
    }

    fn mounted(&self) -> PathBuf {
        self.folder.join("synced")
    }

    /// Where it remembers things.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state").join("sync")
    }

    /// Where the service of the node whose files are in `folder` is asked.
    pub fn socket(folder: &Path) -> PathBuf {
        folder.join("sync-run").join("control.sock")
    }

    /// Starts it beside the agent whose site this is.
    pub fn start(&mut self, namespace: &Namespace, site: &Path) -> Result<()> {
        self.kill();
        let log = self.log();
        let said = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .at("cannot write", &log)?;
        let child = namespace
            .command(Path::new("sh"))
            .args(["-c", ENTER, "sh"])
            .arg(self.mounted())
            .arg(Self::place(&self.folder))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(&self.program)
            .arg("--config")
            .arg(site)
            .arg("sync")
            .arg("--sync-socket")
            .arg(Self::socket(&self.folder))
            .arg("service")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .process_group(0)
            .spawn()
            .at("cannot start", "a sync service")?;
        self.child = Some(child);
        Ok(())
    }

    /// It ends at once, as in a crash, and nobody starts it again.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.kill();
            let _ = child.wait();
        }
    }

    /// What `fencepost sync status --json` prints.
    pub fn status(&self) -> Result<serde_json::Value> {
        let mut command = Command::new(&self.program);
        command
            .arg("sync")
            .arg("--sync-socket")
            .arg(Self::socket(&self.folder));
        let told = output(command.args(["status", "--json"]))?;
        Ok(serde_json::from_str(&told).unwrap_or_default())
    }

    /// All that it said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("sync.log")
    }
}

impl Drop for SyncService {
    fn drop(&mut self) {
        self.kill();
    }
}
