//! Files that people write: whatever stands in them, the answer is a value that holds together or a readable mistake.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use fencepost::board::Board;
use fencepost::board::raw::{self, SEGMENTS_MAX};
use fencepost::board::{catalogue, profile::Periods};
use fencepost::config::{Config, Site};
use fencepost::diagnose::{Mistakes, Source};
use fencepost::plan::Plan;
use fencepost::sim::board::VirtualBoard;
use fencepost::sim::wiring::Options;

/// Every board that ships.
pub static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
    catalogue::list(&[])
        .into_iter()
        .flat_map(|entry| entry.profile.expect("shipped profiles are sound").boards)
        .collect()
});

/// A board profile.
pub fn profile(text: &str) {
    let source = Source::new("board.toml", text);
    match raw::parse("board", &source) {
        Ok(profile) => profile.boards.iter().for_each(board),
        Err(mistakes) => readable(&mistakes),
    }
}

fn board(board: &Board) {
    let count = board.segments.len();
    assert!((1..=SEGMENTS_MAX).contains(&count), "{count} segments");
    let names: BTreeSet<&str> = board.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names.len(), count, "two segments of one name");
    if let Periods::List(list) = &board.dead_man.periods {
        assert!(!list.is_empty() && list.is_sorted(), "periods: {list:?}");
    }
    // Whoever reads a profile builds on it: the drivers in the field, the models in the simulator.
    let model = VirtualBoard::for_board(board, Options::default());
    assert!(model.segments() <= SEGMENTS_MAX);
}

/// A site's configuration, joined with each board it could mean.
pub fn config(text: &str) {
    let config = match Config::parse(&Source::new("fencepost.toml", text)) {
        Ok(config) => config,
        Err(mistakes) => return readable(&mistakes),
    };
    assert!(!config.segments.is_empty(), "a site without a segment");
    let meant = BOARDS.iter().find(|board| board.id == config.board);
    let Some(board) = meant.or(BOARDS.first()) else {
        return;
    };
    match Site::new(config, board) {
        Ok(site) => {
            assert_eq!(site.settings.len(), site.config.segments.len());
            assert!(!Plan::draw(&site).render().is_empty());
        }
        Err(mistakes) => readable(&mistakes),
    }
}

fn readable(mistakes: &Mistakes) {
    let said = mistakes.to_string();
    assert!(said.contains(".toml"), "a mistake without its file: {said}");
}
