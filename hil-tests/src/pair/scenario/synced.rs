//! The state sync service as a process beside each agent: it follows the roles, and moves none.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Instant;

use fencepost::node::pair::sync::Roots;

use super::{Told, demand, unmoved};
use crate::error::{AtPath, Result, RigError};
use crate::pair::sync_service::SyncService;
use crate::pair::trial::{Trial, name, other};

/// One category, below the place where each node sees its own directory.
pub(super) const TABLES: &str = r#"
[sync]
socket = "@sync-socket@"
[[category]]
name = "trial"
roots = ["@synced@"]
"#;

const MODE: u32 = 0o640;
const OWNER: u32 = 4711;
const GROUP: u32 = 4712;
/// More than one piece of any transfer, and no two parts alike.
const NUMBERS: u32 = 200_000;

pub(super) fn synced(trial: &mut Trial) -> Result<Told> {
    let active = trial.stand_ready()?;
    for index in 0..2 {
        trial.hosts[index].start_sync()?;
    }
    in_sync(trial)?;
    agents_agree(trial)?;
    let saved_ms = follows(trial, active)?;
    gives_way(trial, active)?;
    let outage = killed(trial, active)?;
    trial.switch_over(active, "trial")?;
    trial.wait_serves(other(active))?;
    trial.wait_stands()?;
    in_sync(trial)?;
    let back_ms = save(trial, other(active), "turned", b"from the other")?;
    Ok(Told {
        outage_ms: Some(outage),
        text: format!(
            "from save to equal {saved_ms:.0} ms, after the switchover the other way {back_ms:.0} ms; an edit on the Backup gave way and \
             was laid aside; the Active's service was killed and nothing moved"
        ),
    })
}

/// A file, a rename and a deletion get to the Backup. From the save on until it was equal there, milliseconds.
fn follows(trial: &mut Trial, active: usize) -> Result<f64> {
    let bytes: Vec<u8> = (0..NUMBERS).flat_map(u32::to_be_bytes).collect();
    let took = save(trial, active, "rules", &bytes)?;
    save(trial, active, "goes", b"soon gone")?;
    let here = tree(trial, active)?;
    trial.note("one file renamed, one removed");
    fs::rename(here.join("rules"), here.join("renamed")).at("cannot rename", &here)?;
    fs::remove_file(here.join("goes")).at("cannot remove", &here)?;
    let there = tree(trial, other(active))?;
    wait(trial, "the rename and the deletion on the Backup", |_| {
        fs::read(there.join("renamed")).is_ok_and(|found| found == bytes)
            && !there.join("rules").exists()
            && !there.join("goes").exists()
    })?;
    in_sync(trial)?;
    Ok(took)
}

/// What somebody edits on the Backup is kept aside, and overwritten.
fn gives_way(trial: &mut Trial, active: usize) -> Result<()> {
    const EDIT: &[u8] = b"edited on the Backup";
    save(trial, active, "edited", b"as the Active has it")?;
    in_sync(trial)?;
    let there = tree(trial, other(active))?.join("edited");
    trial.note("a file is edited on the Backup");
    fs::write(&there, EDIT).at("cannot write", &there)?;
    save(trial, active, "next", b"the next save")?;
    wait(trial, "the Active's file again", |_| {
        fs::read(&there).is_ok_and(|found| found == b"as the Active has it")
    })?;
    in_sync(trial)?;
    let state = service(trial, other(active))?.state();
    demand(holds(&state, EDIT), || {
        "what was edited on the Backup was not laid aside".to_owned()
    })
}

/// The Active's service dies, and is started again. The outage meanwhile.
fn killed(trial: &mut Trial, active: usize) -> Result<f64> {
    let outage = unmoved(trial, active, |trial| {
        trial.note(&format!("{}: its sync service is killed", name(active)));
        trial.hosts[active].kill_sync();
        Ok(())
    })?;
    let serves = trial.wait_stands()?;
    demand(serves == active, || "the vip moved".to_owned())?;
    let missed = tree(trial, active)?.join("missed");
    fs::write(&missed, b"saved meanwhile").at("cannot write", &missed)?;
    trial.hosts[active].start_sync()?;
    let there = tree(trial, other(active))?.join("missed");
    wait(trial, "what was saved meanwhile on the Backup", |_| {
        fs::read(&there).is_ok_and(|found| found == b"saved meanwhile")
    })?;
    in_sync(trial)?;
    Ok(outage)
}

/// Saves a file as programs do: written aside, then renamed. Until bytes, mode and owner are the same on the other node, milliseconds.
fn save(trial: &mut Trial, from: usize, file: &str, bytes: &[u8]) -> Result<f64> {
    let here = tree(trial, from)?;
    let there = tree(trial, other(from))?.join(file);
    let aside = here.with_file_name(file);
    fs::write(&aside, bytes).at("cannot write", &aside)?;
    fs::set_permissions(&aside, Permissions::from_mode(MODE)).at("cannot set", &aside)?;
    chown(&aside, Some(OWNER), Some(GROUP)).at("cannot give away", &aside)?;
    trial.note(&format!("{}: {file} is saved", name(from)));
    let saved = Instant::now();
    fs::rename(&aside, here.join(file)).at("cannot rename", &aside)?;
    wait(trial, &format!("{file} on the other node"), |_| {
        there
            .metadata()
            .is_ok_and(|of| (of.mode() & 0o7777, of.uid(), of.gid()) == (MODE, OWNER, GROUP))
            && fs::read(&there).is_ok_and(|found| found == bytes)
    })?;
    Ok(saved.elapsed().as_secs_f64() * 1000.0)
}

/// Both services say that they are in sync, each in its agent's role.
fn in_sync(trial: &mut Trial) -> Result<()> {
    wait(trial, "both services say in sync", |trial| {
        (0..2).all(|index| says_in_sync(trial, index))
    })?;
    trial.note("both services say in sync");
    Ok(())
}

/// Both agents heard it from their services, and compare what they announce.
fn agents_agree(trial: &mut Trial) -> Result<()> {
    wait(
        trial,
        "both agents say that both nodes hold the same",
        |trial| {
            (0..2).all(|index| {
                let sync = trial.hosts[index].pair().and_then(|pair| pair.sync);
                sync.is_some_and(|sync| sync.roots == Roots::Equal)
            })
        },
    )
}

/// Like [`Trial::wait`], and a failure tells what both services say.
fn wait(trial: &mut Trial, what: &str, good: impl FnMut(&Trial) -> bool) -> Result<()> {
    let waited = trial.wait(what, good);
    waited.map_err(|error| {
        let said = |index| match service(trial, index).and_then(SyncService::status) {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        RigError::Broken(format!("{error}; {} {}", said(0), said(1)))
    })
}

fn says_in_sync(trial: &Trial, index: usize) -> bool {
    let told = service(trial, index).and_then(SyncService::status);
    let said = told.unwrap_or_default();
    let categories = said["categories"].as_array();
    categories.is_some_and(|all| {
        !all.is_empty()
            && all
                .iter()
                .all(|one| one.to_string().contains(r#""state":"in_sync""#))
    })
}

fn service(trial: &Trial, index: usize) -> Result<&SyncService> {
    let service = trial.hosts[index].sync();
    service.ok_or_else(|| RigError::Input("no sync service here".to_owned()))
}

fn tree(trial: &Trial, index: usize) -> Result<PathBuf> {
    service(trial, index).map(SyncService::tree)
}

/// Whether a file that was laid aside below `state` has exactly these bytes.
fn holds(state: &Path, bytes: &[u8]) -> bool {
    let Ok(entries) = fs::read_dir(state) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        let aside = path.iter().any(|part| part == "aside");
        holds(&path, bytes) || (aside && fs::read(&path).is_ok_and(|found| found == bytes))
    })
}
