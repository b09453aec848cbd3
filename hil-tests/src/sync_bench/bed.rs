//! Two namespaces, one cable, and a folder on a disk.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{AtPath, Result, RigError};
use crate::pair::namespace::Namespace;

/// The cable's ends.
pub(super) const ACTIVE: &str = "198.51.100.1";
pub(super) const BACKUP: &str = "198.51.100.2";
/// The interface on both.
pub(super) const PORT: &str = "ha0";

/// See the module. Goes with us, and all that is in it.
pub(super) struct Bed {
    folder: tempfile::TempDir,
    pub(super) nodes: [Namespace; 2],
}

impl Bed {
    /// Needs root.
    pub(super) fn lay() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("fencepost-bench-")
            .tempdir();
        let folder = folder.at("cannot make a folder in", std::env::temp_dir())?;
        let name = |node: &str| format!("fpbs-{}-{node}", std::process::id());
        let nodes = [Namespace::add(&name("a"))?, Namespace::add(&name("b"))?];
        nodes[0].cable(PORT, &nodes[1], PORT)?;
        nodes[0].address(PORT, &format!("{ACTIVE}/24"))?;
        nodes[1].address(PORT, &format!("{BACKUP}/24"))?;
        Ok(Self { folder, nodes })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program on one of the nodes, which ends when we do, however we do.
    pub(super) fn program(&self, node: usize, program: &str) -> Command {
        let mut command = self.nodes[node].command(Path::new("setpriv"));
        command.args(["--pdeathsig", "KILL", program]);
        command
    }

    /// Bytes that went over the cable so far, both ways, with all headers.
    pub(super) fn bytes(&self) -> Result<u64> {
        let told = self.nodes[0].ip(&["-json", "-stats", "link", "show", "dev", PORT])?;
        let links: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        let stats = &links[0]["stats64"];
        let of = |way: &str| stats[way]["bytes"].as_u64();
        let both = of("rx").zip(of("tx"));
        let both = both.map(|(received, sent)| received + sent);
        both.ok_or_else(|| RigError::Input(format!("no byte counts of {PORT}: {told}")))
    }
}

/// A process of the bench; ends with us.
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it; what it says goes to `log`.
    pub(super) fn start(mut command: Command, log: &PathBuf) -> Result<Self> {
        let said = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .at("cannot write", log)?;
        let errors = said.try_clone().at("cannot write", log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(errors)
            .spawn()
            .at("cannot start", command.get_program())?;
        Ok(Self { child })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _ = self.child.wait();
    }
}
