//! Where profiles are found: the site's own, the installed ones, and those built into the binary.
//!
//! A profile in an earlier place hides one of the same name in a later one, so a site can correct a fact
//! without waiting for a release. The built-in ones are last: a lost `/usr/share` must not leave an
//! appliance without its board. A broken profile is an error and never falls through to a later place: the
//! operator's correction would be silently ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::no_relays::NO_RELAYS;
use super::profile::Board;
use super::raw::{self, Profile};
use crate::diagnose::{Mistakes, Source, Unreadable, nearest};

/// Profiles compiled into the binary, by file stem.
const BUILT_IN: [(&str, &str); 7] = [
    (
        "caswell-gen2",
        include_str!("../../boards/caswell-gen2.toml"),
    ),
    (
        "gpio-latching",
        include_str!("../../boards/gpio-latching.toml"),
    ),
    (
        "gpio-monostable",
        include_str!("../../boards/gpio-monostable.toml"),
    ),
    ("lanner-gen3", include_str!("../../boards/lanner-gen3.toml")),
    ("reference", include_str!("../../boards/reference.toml")),
    ("riverbed", include_str!("../../boards/riverbed.toml")),
    (
        "technexion-tek-imx8mp",
        include_str!("../../boards/technexion-tek-imx8mp.toml"),
    ),
];

/// Why a board could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No profile of that name.
    #[error("no board `{id}`{}; known: {}", suggestion(nearest), known.join(", "))]
    UnknownBoard {
        /// As asked.
        id: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// All there are.
        known: Vec<String>,
    },
    /// A family was named without a model, or with one it does not have.
    #[error("`{id}` is a family and needs one of its models{}: {}", suggestion(nearest), known.join(", "))]
    UnknownModel {
        /// As asked.
        id: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// All its models, as `family/model`.
        known: Vec<String>,
    },
    /// The profile is wrong.
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
    /// The profile cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |word| format!(" (did you mean `{word}`?)"))
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// The binary.
    BuiltIn,
}

/// One profile of the catalogue.
#[derive(Debug)]
pub struct Entry {
    /// File stem.
    pub id: String,
    /// Where it was found.
    pub origin: Origin,
    /// Its boards, or what is wrong with it.
    pub profile: Result<Profile, LoadError>,
}

/// The places searched when none is given, first hit wins.
pub fn standard_dirs() -> Vec<PathBuf> {
    vec![
        PathBuf::from("/etc/fencepost/boards"),
        PathBuf::from("/usr/share/fencepost/boards"),
    ]
}

/// Every profile that can be chosen, by name; broken ones too, so that nobody wonders where theirs went.
pub fn list(dirs: &[PathBuf]) -> Vec<Entry> {
    origins(dirs)
        .into_iter()
        .map(|(id, origin)| Entry {
            profile: profile(&id, &origin),
            origin,
            id,
        })
        .collect()
}

/// One board, as `profile` or `family/model`; or none, as [`NO_RELAYS`], which no file hides.
///
/// # Errors
/// It is not there (with what is), unreadable, or wrong.
pub fn load(dirs: &[PathBuf], id: &str) -> Result<Board, LoadError> {
    if id == NO_RELAYS {
        return Ok(Board::without_relays());
    }
    let stem = id.split_once('/').map_or(id, |(family, _)| family);
    let origins = origins(dirs);
    let Some(origin) = origins.get(stem) else {
        let known: Vec<String> = origins.into_keys().collect();
        return Err(LoadError::UnknownBoard {
            nearest: nearest(stem, known.iter().map(String::as_str)).map(str::to_owned),
            id: id.to_owned(),
            known,
        });
    };
    let profile = profile(stem, origin)?;
    if let Some(board) = profile.boards.iter().find(|board| board.id == id) {
        return Ok(board.clone());
    }
    let known: Vec<String> = profile
        .boards
        .iter()
        .map(|board| board.id.clone())
        .collect();
    let near = nearest(id, known.iter().map(String::as_str)).map(str::to_owned);
    Err(if profile.is_family() {
        LoadError::UnknownModel {
            id: id.to_owned(),
            nearest: near,
            known,
        }
    } else {
        LoadError::UnknownBoard {
            id: id.to_owned(),
            nearest: near,
            known,
        }
    })
}

fn origins(dirs: &[PathBuf]) -> BTreeMap<String, Origin> {
    let mut origins: BTreeMap<String, Origin> = BUILT_IN
        .iter()
        .map(|(id, _)| ((*id).to_owned(), Origin::BuiltIn))
        .collect();
    for dir in dirs.iter().rev() {
        for (id, path) in profiles_in(dir) {
            origins.insert(id, Origin::File(path));
        }
    }
    origins
}

/// A directory that is not there holds no profiles; that is the ordinary case for `/etc`.
fn profiles_in(dir: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect()
}

fn profile(id: &str, origin: &Origin) -> Result<Profile, LoadError> {
    let source = match origin {
        Origin::File(path) => Source::read(path)?,
        Origin::BuiltIn => {
            let text = BUILT_IN.iter().find(|(stem, _)| *stem == id);
            let text = text.map_or("", |(_, text)| *text);
            Source::new(format!("built in: boards/{id}.toml"), text)
        }
    };
    Ok(raw::parse(id, &source)?)
}
