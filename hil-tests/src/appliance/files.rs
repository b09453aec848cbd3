//! What is put on the appliance's disk: the product as its package would install it, and the site of the rig.

use std::path::{Path, PathBuf};

use super::model::{CHECK_FILE, Model};
use crate::error::{AtPath, Result, RigError};
use crate::guest::disk::{Content, Inject};

/// A plugin whose verdict a scenario sets: `ok` (or nothing), `critical`, `unknown`, `hang`.
const CHECK_APP: &str = "#!/bin/bash
read -r verdict < CHECK_FILE || verdict=ok
case \"$verdict\" in
    hang) exec sleep 1000 ;;
    critical) echo 'CRITICAL - set by the rig'; exit 2 ;;
    unknown) echo 'UNKNOWN - set by the rig'; exit 3 ;;
    *) echo 'OK - set by the rig'; exit 0 ;;
esac
";

/// The rig's benches are not commissioned: there is no panel to look at.
const DROP_IN: &str = "[Service]
ExecStart=
ExecStart=/usr/bin/fencepost agent --uncommissioned
";

/// Where the agent's program is in the guest.
pub const PROGRAM: &str = "/usr/bin/fencepost";
/// The site's configuration in the guest.
pub const SITE: &str = "/etc/fencepost/fencepost.toml";

/// Everything for `model`'s disk at `disk`.
pub fn all(model: &Model, disk: &Path) -> Result<Vec<Inject>> {
    let mut files = product(&program()?, disk, |stem, shipped| {
        model.installed(stem, shipped)
    })?;
    files.extend([
        Inject::text(SITE, model.site_toml()),
        executable(
            "/usr/lib/rig/check-app",
            &CHECK_APP.replace("CHECK_FILE", CHECK_FILE),
        ),
        Inject::text("/usr/lib/rig/bridge.ip", ports(model)),
    ]);
    Ok(files)
}

/// The product for the disk at `disk`, as its package would install it, and started at boot; no site. `profile`: the text of a shipped
/// profile, by its name, as it is installed here.
pub fn product(
    program: &Path,
    disk: &Path,
    profile: impl Fn(&str, &str) -> String,
) -> Result<Vec<Inject>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![
        Inject::program(PROGRAM, program, disk)?,
        Inject::text(
            "/etc/systemd/system/fencepost.service.d/10-rig.conf",
            DROP_IN,
        ),
        Inject::link(
            "/etc/systemd/system/rig.target.wants/fencepost.service",
            "/usr/lib/systemd/system/fencepost.service",
        ),
        Inject::text("/etc/group", group()),
    ];
    files.extend(boards(&source.join("boards"), profile)?);
    files.extend(Inject::tree(
        "/usr/lib/systemd/system",
        &source.join("packaging/systemd"),
    )?);
    files.push(Inject::file(
        "/usr/lib/udev/rules.d/60-fencepost.rules",
        source.join("udev/60-fencepost.rules"),
        0o644,
    ));
    Ok(files)
}

/// The agent's program: named by `FENCEPOST_PROGRAM`, or beside our own.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("FENCEPOST_PROGRAM") {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_exe().unwrap_or_default();
    let near = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("fencepost"))
        .find(|path| path.is_file());
    near.ok_or_else(|| {
        RigError::Input(format!(
            "no `fencepost` beside {}: cargo build -p fencepost first",
            here.display()
        ))
    })
}

/// Every shipped profile, as installed on this bench.
fn boards(from: &Path, profile: impl Fn(&str, &str) -> String) -> Result<Vec<Inject>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).at("cannot list", from)? {
        let path = entry.at("cannot list", from)?.path();
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let shipped = std::fs::read_to_string(&path).at("cannot read", &path)?;
        files.push(Inject::text(
            format!("/usr/share/fencepost/boards/{stem}.toml"),
            profile(&stem, &shipped),
        ));
    }
    Ok(files)
}

fn executable(path: &str, text: &str) -> Inject {
    Inject {
        path: path.to_owned(),
        content: Content::Bytes(text.as_bytes().to_vec(), 0o755),
    }
}

/// The guest's own bridge, and dummy ports for segments beyond the first.
fn ports(model: &Model) -> String {
    let mut batch = include_str!("../../guest/root/usr/lib/rig/bridge.ip").to_owned();
    for segment in 1..model.segments.len() {
        for port in model.ports(segment) {
            batch += &format!("link add {port} type dummy\nlink set {port} up\n");
        }
    }
    batch
}

/// The guest has no systemd-sysusers; its package would have made this group.
fn group() -> String {
    let groups = include_str!("../../guest/root/etc/group");
    if groups.contains("fencepost-operators") {
        return groups.to_owned();
    }
    format!("{groups}fencepost-operators:x:989:\n")
}
