//! Where files are: as told on the command line, or the standard places.

use std::path::PathBuf;

use fencepost::board::catalogue;
use fencepost::config;

use super::Global;

/// The site's configuration.
pub(crate) fn config_path(global: &Global) -> PathBuf {
    global.config.clone().unwrap_or_else(|| PathBuf::from(config::STANDARD_FILE))
}

/// Directories with board profiles, first hit wins; the built-in ones come after them in any case.
pub(crate) fn board_dirs(global: &Global) -> Vec<PathBuf> {
    global.boards.as_ref().map_or_else(catalogue::standard_dirs, |dir| vec![dir.clone()])
}
