//! The boards of the matrix: one of each controller class, and how the rig's site is configured on it.

use std::time::Duration;

use fencepost::board::profile::DeadManKind;
use fencepost::board::{Board, catalogue};

/// A board of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Short name, as on the command line and in results.
    pub name: &'static str,
    /// Profile, or `family/model`.
    pub profile: &'static str,
    /// The board's names of the segments in use. The first carries the traffic.
    pub segments: &'static [&'static str],
    /// Dead-man period to configure, where it can be chosen.
    pub period: Option<Duration>,
}

/// All of them. Periods leave room for an emulated machine that is late; the shortest a board can do is tested elsewhere.
pub const MODELS: [Model; 7] = [
    Model { name: "reference", profile: "reference", segments: &["segment1"], period: Some(Duration::from_secs(2)) },
    Model { name: "lanner-gen3", profile: "lanner-gen3/mb-8771", segments: &["slot1.pair1"], period: Some(Duration::from_secs(3)) },
    Model {
        name: "caswell-gen2",
        profile: "caswell-gen2/car-3000",
        segments: &["segment-a", "segment-b"],
        period: Some(Duration::from_secs(3)),
    },
    Model { name: "technexion-tek-imx8mp", profile: "technexion-tek-imx8mp", segments: &["lan"], period: None },
    Model { name: "gpio-monostable", profile: "gpio-monostable", segments: &["segment1"], period: None },
    Model { name: "gpio-latching", profile: "gpio-latching", segments: &["segment1"], period: None },
    Model { name: "riverbed", profile: "riverbed", segments: &["port0"], period: None },
];

/// Shortest dwell that still leaves links time to come back.
pub const DWELL: Duration = Duration::from_millis(1_500);
/// How long the site gives its links to come back: longer than the rig's wires take.
pub const RELINK: Duration = Duration::from_secs(4);
/// Of the machine's watchdog.
pub const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(12);
/// From one start of the plugin check to the next.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// What the plugin may take.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// What the plugin reads its verdict from.
pub const CHECK_FILE: &str = "/run/rig-check";

impl Model {
    /// By its short name.
    pub fn named(name: &str) -> Option<Self> {
        MODELS.into_iter().find(|model| model.name == name)
    }

    /// Its profile as shipped.
    pub fn load(&self) -> Result<Board, catalogue::LoadError> {
        catalogue::load(&[], self.profile)
    }

    /// The dead-man's effective period; `None` without one.
    pub fn effective_period(&self, board: &Board) -> Option<Duration> {
        match board.dead_man.kind {
            DeadManKind::Absent => None,
            _ => board.dead_man.periods.effective(self.period.unwrap_or(Duration::MAX)),
        }
    }

    /// Name of a segment in the site's configuration, by its place in [`Model::segments`].
    pub fn site_name(&self, segment: usize) -> String {
        ["lan", "dmz"].get(segment).map_or_else(|| format!("segment{segment}"), |name| (*name).to_owned())
    }

    /// Ports of a segment in the guest: the first one's are real, the others' are dummies that always have carrier.
    pub fn ports(&self, segment: usize) -> [String; 2] {
        match segment {
            0 => ["eth0".to_owned(), "eth1".to_owned()],
            _ => [0, 1].map(|port| format!("dummy{}", (segment - 1) * 2 + port)),
        }
    }

    /// Index of the first segment in use among the board's segments.
    pub fn board_index(&self, board: &Board, segment: usize) -> Option<usize> {
        let wanted = self.segments.get(segment)?;
        board.segments.iter().position(|known| known.name == *wanted)
    }

    /// The site's configuration file.
    pub fn site_toml(&self, board: &Board) -> String {
        let mut text = format!("board = \"{}\"\nread_every_ms = 300\n", self.profile);
        for (index, at) in self.segments.iter().enumerate() {
            let [a, b] = self.ports(index);
            text += &format!(
                "\n[[segment]]\nname = \"{}\"\nat = \"{at}\"\nports = [\"{a}\", \"{b}\"]\ndwell_ms = {}\nrelink_ms = {}\ncarrier_when_cut = \"absent\"\ncloses_per_hour_max = 1000\n",
                self.site_name(index),
                DWELL.as_millis(),
                RELINK.as_millis()
            );
        }
        if let (Some(period), Some(_)) = (self.period, self.effective_period(board)) {
            text += &format!("\n[dead_man]\nperiod_ms = {}\n", period.as_millis());
        }
        text += &format!("\n[watchdog]\ntimeout_s = {}\n", WATCHDOG_TIMEOUT.as_secs());
        text += &format!(
            "\n[[check]]\nname = \"app\"\nkind = \"plugin\"\nargv = [\"/usr/lib/rig/check-app\"]\ninterval_ms = {}\ntimeout_ms = {}\nrise = 1\nfall = 1\n",
            CHECK_INTERVAL.as_millis(),
            CHECK_TIMEOUT.as_millis()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use fencepost::config::{Config, Site};
    use fencepost::diagnose::Source;

    use super::*;

    #[test]
    fn every_site_of_the_matrix_is_accepted() {
        for model in MODELS {
            let board = model.load().unwrap();
            let text = model.site_toml(&board);
            let config = Config::parse(&Source::new("site.toml", text)).unwrap_or_else(|mistakes| panic!("{}: {mistakes}", model.name));
            let site = Site::new(config, &board).unwrap_or_else(|mistakes| panic!("{}: {mistakes}", model.name));
            if let Some(period) = model.effective_period(&board) {
                assert_eq!(site.timing.period, period, "{}", model.name);
            }
        }
    }
}
