//! Where files are, and the site they describe.

use std::path::PathBuf;

use fencepost::board::catalogue;
use fencepost::config::{self, Config, Site};
use fencepost::plan::Plan;

use super::Global;
use super::exit::{Exit, Failure};

/// The site's configuration.
pub(crate) fn config_path(global: &Global) -> PathBuf {
    global
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(config::STANDARD_FILE))
}

/// Directories with board profiles, first hit wins; the built-in ones come after them in any case.
pub(crate) fn board_dirs(global: &Global) -> Vec<PathBuf> {
    global
        .boards
        .as_ref()
        .map_or_else(catalogue::standard_dirs, |dir| vec![dir.clone()])
}

/// Configuration and board, joined.
pub(crate) fn site(global: &Global) -> Result<Site, Failure> {
    let config = Config::load(&config_path(global))?;
    let board = catalogue::load(&board_dirs(global), &config.board)?;
    Site::new(config, &board)
        .map_err(|mistakes| Failure::new(Exit::Configuration, mistakes.to_string()))
}

/// Configuration and board, joined, and proven not to contradict each other: what may touch hardware.
pub(crate) fn proven_site(global: &Global) -> Result<Site, Failure> {
    let site = site(global)?;
    let refusals = Plan::draw(&site).refusals;
    if refusals.is_empty() {
        return Ok(site);
    }
    let told = refusals.join("\n  - ");
    let sentence = format!("this site is refused (see `fencepost check`):\n  - {told}");
    Err(Failure::new(Exit::Configuration, sentence))
}
