//! The boards of the matrix: one of each controller class, and how the rig's site is configured on it.

use std::time::Duration;

use fencepost::board::profile::Periods;
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
    /// The dead-man's period on this bench.
    pub period: Period,
}

/// Where a bench's dead-man period comes from. Much longer than on a real appliance: a second would try the
/// emulation's patience, not the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Chosen in the site's configuration.
    Configured(Duration),
    /// The part's own, measured on this bench: no source states it.
    Measured(Duration),
    /// The part's own, written into this site's copy of a generic profile.
    Fitted(Duration),
    /// There is no dead-man.
    None,
}

/// Of every dead-man here. Replacing an agent means starting three programs, which an emulated machine on a busy host does in five seconds.
const TIMER: Duration = Duration::from_secs(10);

/// All of them. Periods leave room for an emulated machine that is late; the shortest a board can do is tested elsewhere.
pub const MODELS: [Model; 7] = [
    Model {
        name: "reference",
        profile: "reference",
        segments: &["segment1"],
        period: Period::Configured(TIMER),
    },
    Model {
        name: "lanner-gen3",
        profile: "lanner-gen3/mb-8771",
        segments: &["slot1.pair1"],
        period: Period::Configured(TIMER),
    },
    Model {
        name: "caswell-gen2",
        profile: "caswell-gen2/car-3000",
        segments: &["segment-a", "segment-b"],
        period: Period::Configured(TIMER),
    },
    Model {
        name: "technexion-tek-imx8mp",
        profile: "technexion-tek-imx8mp",
        segments: &["lan"],
        period: Period::Measured(TIMER),
    },
    Model {
        name: "gpio-monostable",
        profile: "gpio-monostable",
        segments: &["segment1"],
        period: Period::Fitted(TIMER),
    },
    Model {
        name: "gpio-latching",
        profile: "gpio-latching",
        segments: &["segment1"],
        period: Period::None,
    },
    Model {
        name: "riverbed",
        profile: "riverbed",
        segments: &["port0"],
        period: Period::None,
    },
];

/// Shortest dwell that still leaves links time to come back.
pub const DWELL: Duration = Duration::from_millis(1_500);
/// How long the site gives its links to come back: longer than the rig's wires take.
pub const RELINK: Duration = Duration::from_secs(4);
/// Of the machine's watchdog.
pub const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(30);
/// From one start of the plugin check to the next.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// What the plugin may take. A shell's start under emulation on a busy host has taken three seconds.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// What the plugin reads its verdict from.
pub const CHECK_FILE: &str = "/run/rig-check";

impl Model {
    /// By its short name.
    pub fn named(name: &str) -> Option<Self> {
        MODELS.into_iter().find(|model| model.name == name)
    }

    /// Its profile, with the timer that is fitted here.
    pub fn load(&self) -> Result<Board, catalogue::LoadError> {
        let mut board = catalogue::load(&[], self.profile)?;
        if let Period::Measured(period) | Period::Fitted(period) = self.period {
            board.dead_man.periods = Periods::Fixed(period);
        }
        Ok(board)
    }

    /// The dead-man's effective period; `None` without one.
    pub fn effective_period(&self) -> Option<Duration> {
        match self.period {
            Period::Configured(period) | Period::Measured(period) | Period::Fitted(period) => {
                Some(period)
            }
            Period::None => None,
        }
    }

    /// The text of a shipped profile as it is installed here.
    pub fn installed(&self, stem: &str, shipped: &str) -> String {
        match self.period {
            Period::Fitted(period) if stem == self.profile => shipped.replace(
                "fixed_ms = 1_000",
                &format!("fixed_ms = {}", period.as_millis()),
            ),
            _ => shipped.to_owned(),
        }
    }

    /// Name of a segment in the site's configuration, by its place in [`Model::segments`].
    pub fn site_name(&self, segment: usize) -> String {
        ["lan", "dmz"]
            .get(segment)
            .map_or_else(|| format!("segment{segment}"), |name| (*name).to_owned())
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
        board
            .segments
            .iter()
            .position(|known| known.name == *wanted)
    }

    /// The site's configuration file.
    pub fn site_toml(&self) -> String {
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
        text += &match self.period {
            Period::Configured(period) | Period::Fitted(period) => {
                format!("\n[dead_man]\nperiod_ms = {}\n", period.as_millis())
            }
            Period::Measured(period) => format!(
                "\n[dead_man]\nperiod_ms = {0}\nmeasured_ms = {0}\n",
                period.as_millis()
            ),
            Period::None => String::new(),
        };
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
    use std::path::Path;

    use fencepost::config::{Config, Site};
    use fencepost::diagnose::Source;

    use super::*;

    #[test]
    fn every_site_of_the_matrix_is_accepted() {
        for model in MODELS {
            let folder = tempfile::tempdir().unwrap();
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
            for entry in std::fs::read_dir(shipped).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
                let text = model.installed(&stem, &std::fs::read_to_string(&path).unwrap());
                std::fs::write(folder.path().join(format!("{stem}.toml")), text).unwrap();
            }
            let installed = catalogue::load(&[folder.path().to_path_buf()], model.profile).unwrap();
            let config = Config::parse(&Source::new("site.toml", model.site_toml()))
                .unwrap_or_else(|mistakes| panic!("{}: {mistakes}", model.name));
            let site = Site::new(config, &installed)
                .unwrap_or_else(|mistakes| panic!("{}: {mistakes}", model.name));
            if let Some(period) = model.effective_period() {
                assert_eq!(site.timing.period, period, "{}", model.name);
            }
            let modelled = model.load().unwrap().dead_man.periods;
            assert_eq!(
                modelled.effective(Duration::from_secs(30)),
                site.board
                    .dead_man
                    .periods
                    .effective(Duration::from_secs(30))
            );
        }
    }
}
