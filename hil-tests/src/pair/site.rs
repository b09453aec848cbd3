//! The configuration of a pair's node, the same words on every bed.

use std::time::Duration;

use super::{Cabling, VIP};

/// Words of a site that differ between scenarios.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Timing profile.
    pub profile: &'static str,
    /// Further lines of `[pair]`.
    pub pair: String,
    /// Further tables.
    pub tables: String,
    /// After a start no node fences anybody for so long, if not the profile's time.
    pub boot_hold: Option<Duration>,
    /// How the two are cabled.
    pub cabling: Cabling,
}

impl Wishes {
    /// After a start no node fences anybody for so long.
    pub fn boot_hold(&self) -> Duration {
        self.boot_hold.unwrap_or(match self.profile {
            "conservative" => Duration::from_secs(30),
            "default" => Duration::from_secs(3),
            _ => Duration::from_secs(1),
        })
    }
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            profile: "fast",
            pair: String::new(),
            tables: String::new(),
            boot_hold: None,
            cabling: Cabling::Hot,
        }
    }
}

/// Which end of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `node = "primary"`.
    Primary,
    /// `node = "secondary"`.
    Secondary,
}

impl Part {
    /// As the configuration has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// What a bed decides about a site.
pub(super) struct Place<'a> {
    /// Names of the lan, wan and ha ports.
    pub(super) ports: [&'a str; 3],
    /// The dead-man's period: longer than an agent takes to be replaced there.
    pub(super) dead_man: Duration,
    /// How long the agent gives its links to come back.
    pub(super) relink: Duration,
    /// `[watchdog]`, without its heading.
    pub(super) watchdog: &'a str,
    /// Where the pair's key is.
    pub(super) key_file: &'a str,
    /// `[control]`, `[state]`, `[adapter]`, where they are not where a package has them.
    pub(super) tables: &'a str,
}

/// The whole file.
pub(super) fn toml(place: &Place<'_>, part: Part, wishes: &Wishes) -> String {
    let [lan, _, ha] = place.ports;
    let cabling = wishes.cabling;
    // A Backup that is off the wire hears nothing there.
    let lan_link = match cabling {
        Cabling::Hot | Cabling::Apart => format!(
            "\n[[link]]\nname = \"lan\"\ninterface = \"{lan}\"\nprimary = \"192.0.2.2\"\nsecondary = \"192.0.2.3\"\n"
        ),
        Cabling::Cold | Cabling::Series => String::new(),
    };
    let hardware = hardware(place, cabling);
    format!(
        r#"{hardware}
[watchdog]
{watchdog}

[pair]
node = "{node}"
standby = "{standby}"
profile = "{profile}"
key_file = "{key_file}"
{pair}

[[link]]
name = "cable"
interface = "{ha}"
primary = "198.51.100.1"
secondary = "198.51.100.2"
{lan_link}
[[vip]]
interface = "{lan}"
primary = "192.0.2.2/24"
secondary = "192.0.2.3/24"
virtual = ["{VIP}"]

{tables}
{further}"#,
        standby = cabling.standby(),
        watchdog = place.watchdog,
        node = part.word(),
        profile = wishes.profile,
        key_file = place.key_file,
        pair = wishes.pair,
        tables = place.tables,
        further = wishes.tables,
    )
}

/// Board, topology and what is between the host and its wires.
fn hardware(place: &Place<'_>, cabling: Cabling) -> String {
    let topology = cabling.topology();
    if !cabling.has_relays() {
        return format!("board = \"none\"\ntopology = \"{topology}\"\n");
    }
    let [lan, wan, _] = place.ports;
    format!(
        r#"board = "reference"
topology = "{topology}"

[[segment]]
name = "office"
at = "segment1"
ports = ["{lan}", "{wan}"]
fail = "{fail}"
carrier_when_cut = "absent"
dwell_ms = 20
relink_ms = {relink}
closes_per_hour_max = 1000

[dead_man]
period_ms = {dead_man}
"#,
        fail = cabling.fail(),
        relink = place.relink.as_millis(),
        dead_man = place.dead_man.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use fencepost::board::catalogue;
    use fencepost::config::{Config, Site};
    use fencepost::diagnose::Source;
    use fencepost::plan::Plan;

    use super::super::{machine, scenario::means};
    use super::*;

    #[test]
    fn every_site_is_accepted_and_may_be_run() {
        let place = Place {
            ports: ["lan0", "wan0", "ha0"],
            dead_man: Duration::from_secs(10),
            relink: Duration::from_secs(2),
            watchdog: "timeout_s = 30",
            key_file: "/etc/fencepost/pair.key",
            tables: "",
        };
        for cabling in [Cabling::Hot, Cabling::Cold, Cabling::Series, Cabling::Apart] {
            for part in [Part::Primary, Part::Secondary] {
                let mut wishes = Wishes {
                    cabling,
                    ..machine::wishes()
                };
                wishes.tables =
                    means::tables("switchover", cabling).replace("@power@", "/bin/power");
                let source = Source::new("site.toml", toml(&place, part, &wishes));
                let config = Config::parse(&source)
                    .unwrap_or_else(|mistakes| panic!("{cabling:?}: {mistakes}"));
                let board = catalogue::load(&[], &config.board).unwrap();
                let site = Site::new(config, &board)
                    .unwrap_or_else(|mistakes| panic!("{cabling:?}: {mistakes}"));
                assert_eq!(
                    Plan::draw(&site).refusals,
                    Vec::<String>::new(),
                    "{cabling:?}"
                );
            }
        }
    }
}
