//! Where lines are: every chip's line names, searched each time, because chip numbers follow probe order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gpio_cdev::{Chip, LineInfo};

use crate::board::bus::BusError;
use crate::board::profile::LineRef;

/// Most line names shown in an error text.
const NAMED_MAX: usize = 32;

/// A line of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) chip: PathBuf,
    pub(super) offset: u32,
    pub(super) name: String,
}

impl Place {
    /// What the kernel says of the line now.
    pub(super) fn info(&self) -> Result<LineInfo, gpio_cdev::Error> {
        Chip::new(&self.chip)?.get_line(self.offset)?.info()
    }
}

/// The lines' places, in the given order.
pub(super) fn find(lines: &[LineRef]) -> Result<Vec<Place>, BusError> {
    choose(lines, &named_lines(Path::new("/dev")))
}

fn choose(lines: &[LineRef], all: &[Place]) -> Result<Vec<Place>, BusError> {
    lines
        .iter()
        .map(|line| {
            let matching: Vec<&Place> =
                all.iter().filter(|place| place.name == line.name).collect();
            match matching.as_slice() {
                [one] => Ok((*one).clone()),
                [] => Err(BusError::Absent {
                    what: format!("GPIO line `{}`", line.name),
                    advice: format!(
                        "lines are named by the device tree or ACPI (gpio-line-names), and a Super-I/O's by the \
                         vendor's kernel module; named lines here: {}",
                        listed(all)
                    ),
                }),
                many => Err(BusError::Absent {
                    what: format!("one GPIO line `{}`", line.name),
                    advice: format!(
                        "{} chips have a line of that name ({}); names must be unique to be safe",
                        many.len(),
                        many.iter()
                            .map(|place| place.chip.display().to_string())
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                }),
            }
        })
        .collect()
}

/// Every line that has a name. Chips that cannot be opened are passed over: their lines then count as missing, and
/// the error text shows what is there.
fn named_lines(dev: &Path) -> Vec<Place> {
    let Ok(entries) = fs::read_dir(dev) else {
        return Vec::new();
    };
    // Compatibility links would make each line appear twice.
    let chips: BTreeSet<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("gpiochip"))
        .filter_map(|entry| fs::canonicalize(entry.path()).ok())
        .collect();
    let mut places = Vec::new();
    for path in chips {
        let Ok(chip) = Chip::new(&path) else {
            continue;
        };
        for line in chip.lines() {
            let name = line
                .info()
                .ok()
                .and_then(|info| info.name().map(str::to_owned));
            if let Some(name) = name {
                places.push(Place {
                    chip: path.clone(),
                    offset: line.offset(),
                    name,
                });
            }
        }
    }
    places
}

fn listed(all: &[Place]) -> String {
    if all.is_empty() {
        return "none (is the GPIO chip's driver loaded, and may the agent open /dev/gpiochip*?)"
            .to_owned();
    }
    let mut names: Vec<String> = all
        .iter()
        .take(NAMED_MAX)
        .map(|place| place.name.clone())
        .collect();
    if all.len() > NAMED_MAX {
        names.push(format!("and {} more", all.len() - NAMED_MAX));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::profile::Active;

    fn place(chip: &str, offset: u32, name: &str) -> Place {
        Place {
            chip: PathBuf::from(chip),
            offset,
            name: name.to_owned(),
        }
    }

    fn line(name: &str) -> LineRef {
        LineRef {
            name: name.to_owned(),
            active: Active::High,
        }
    }

    #[test]
    fn lines_come_in_the_order_asked_for() {
        let all = [
            place("/dev/gpiochip0", 0, "a"),
            place("/dev/gpiochip1", 5, "b"),
        ];
        let found = choose(&[line("b"), line("a")], &all).unwrap();
        assert_eq!(found, [all[1].clone(), all[0].clone()]);
    }

    #[test]
    fn a_missing_line_is_reported_with_those_that_are_there() {
        let all = [
            place("/dev/gpiochip0", 0, "RELAY1"),
            place("/dev/gpiochip0", 1, "RELAY2"),
        ];
        let error = choose(&[line("RELAY3")], &all).unwrap_err().to_string();
        assert!(
            error.starts_with("GPIO line `RELAY3` not found; "),
            "{error}"
        );
        assert!(
            error.ends_with("named lines here: RELAY1, RELAY2"),
            "{error}"
        );
        let error = choose(&[line("RELAY3")], &[]).unwrap_err().to_string();
        assert!(
            error.contains("is the GPIO chip's driver loaded"),
            "{error}"
        );
    }

    #[test]
    fn a_name_that_two_chips_have_is_refused() {
        let all = [
            place("/dev/gpiochip0", 0, "RELAY1"),
            place("/dev/gpiochip1", 0, "RELAY1"),
        ];
        let error = choose(&[line("RELAY1")], &all).unwrap_err().to_string();
        assert!(
            error.contains("2 chips have a line of that name"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_without_chips_has_no_lines() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gpiochip0"), "not a chip").unwrap();
        assert!(named_lines(dir.path()).is_empty());
        assert!(named_lines(Path::new("/nonexistent")).is_empty());
    }
}
