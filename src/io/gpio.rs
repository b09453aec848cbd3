//! GPIO lines of the kernel, found by name.
//!
//! Requesting a line must move nothing. So output lines are first requested *as is*, their levels read, and then turned
//! into outputs at those very levels without being let go in between. Polarity is handled here and not by the
//! kernel: a line adopted from an earlier process carries no flag that would say how it was requested.
//!
//! A request lives as long as a descriptor of it is open. The descriptors can be handed on, to the service manager's
//! store or over an exec, so that lines do not float while an agent restarts; [`LineGroup`] takes them
//! back. What proves that such a descriptor is the right one: it is a line handle of the right width, and the
//! kernel shows the group's lines in use by [`CONSUMER`].
//!
//! What if this dies here? Every descriptor that nobody else holds closes, and its lines float.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use gpio_cdev::{Chip, LineDirection, LineRequestFlags};

use super::sys;
use crate::board::bus::{BusError, Lines};
use crate::board::profile::{Active, LineRef};

mod find;

use find::{Place, find};

/// Who the kernel shows as the lines' user.
pub const CONSUMER: &str = "fencepost";

/// What lines are requested for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Read only.
    Inputs,
    /// Driven.
    Outputs,
}

/// Lines requested together. Lines of one chip are one request and change in one step; a group over several chips is
/// one request per chip.
#[derive(Debug)]
pub struct LineGroup {
    names: Vec<String>,
    actives: Vec<Active>,
    requests: Vec<Request>,
}

/// One chip's share of a group.
#[derive(Debug)]
struct Request {
    key: String,
    handle: OwnedFd,
    /// Place in the group, for each line of the request.
    places: Vec<usize>,
}

impl LineGroup {
    /// Request lines, or take them over from `inherited` descriptors (by [`LineGroup::descriptors`]' keys), which
    /// are used up.
    ///
    /// # Errors
    /// [`BusError::Absent`] if a line does not exist or its name is not unique; [`BusError::Busy`] with the
    /// consumer's name if somebody else holds one.
    pub fn open(
        lines: &[LineRef],
        direction: Direction,
        inherited: &mut BTreeMap<String, OwnedFd>,
    ) -> Result<Self, BusError> {
        let places = find(lines)?;
        let mut chips: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            chips.entry(place.chip.clone()).or_default().push(index);
        }
        let mut requests = Vec::with_capacity(chips.len());
        for (chip, members) in chips {
            let share: Vec<&Place> = members
                .iter()
                .filter_map(|index| places.get(*index))
                .collect();
            let key = key(direction, &share);
            let adopted = inherited
                .remove(&key)
                .and_then(|handle| Self::adopt(handle, &share, direction));
            let handle = match adopted {
                Some(handle) => handle,
                None => request(&chip, &share, direction)?,
            };
            requests.push(Request {
                key,
                handle,
                places: members,
            });
        }
        Ok(Self {
            names: lines.iter().map(|line| line.name.clone()).collect(),
            actives: lines.iter().map(|line| line.active).collect(),
            requests,
        })
    }

    /// The descriptors that keep the lines requested, with names that the service manager's store accepts.
    pub fn descriptors(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.requests
            .iter()
            .map(|request| (request.key.as_str(), request.handle.as_fd()))
    }

    /// The handle, if it is one for these lines.
    fn adopt(handle: OwnedFd, share: &[&Place], direction: Direction) -> Option<OwnedFd> {
        let link = fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd())).ok()?;
        if !link.to_string_lossy().contains("gpio-linehandle") {
            return None;
        }
        let expected = match direction {
            Direction::Inputs => LineDirection::In,
            Direction::Outputs => LineDirection::Out,
        };
        let ours = share.iter().all(|place| {
            place
                .info()
                .is_ok_and(|info| info.consumer() == Some(CONSUMER) && info.direction() == expected)
        });
        (ours && sys::line_levels(&handle, share.len()).is_ok()).then_some(handle)
    }

    fn failed(&self, what: &str, error: &io::Error) -> BusError {
        BusError::Io {
            what: format!("{what} of GPIO lines {}", self.names.join(", ")),
            error: error.to_string(),
        }
    }
}

impl Lines for LineGroup {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        if levels.len() != self.names.len() {
            let error = io::Error::other(format!(
                "{} levels for {} lines",
                levels.len(),
                self.names.len()
            ));
            return Err(self.failed("setting", &error));
        }
        for request in &self.requests {
            let physical: Vec<bool> = request
                .places
                .iter()
                .filter_map(|place| {
                    Some(physical(*levels.get(*place)?, *self.actives.get(*place)?))
                })
                .collect();
            sys::set_line_levels(&request.handle, &physical)
                .map_err(|error| self.failed("setting", &error))?;
        }
        Ok(())
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        let mut levels = vec![false; self.names.len()];
        for request in &self.requests {
            let physical_levels = sys::line_levels(&request.handle, request.places.len())
                .map_err(|error| self.failed("reading", &error))?;
            for (place, level) in request.places.iter().zip(physical_levels) {
                if let (Some(slot), Some(active)) =
                    (levels.get_mut(*place), self.actives.get(*place))
                {
                    *slot = physical(level, *active);
                }
            }
        }
        Ok(levels)
    }
}

/// Asserted to electrical level, and back: the same exclusive or.
fn physical(asserted: bool, active: Active) -> bool {
    asserted == (active == Active::High)
}

/// Name in the service manager's store: at most 255 characters, no colon, no control character.
fn key(direction: Direction, share: &[&Place]) -> String {
    const NAME_MAX: usize = 200;
    let what = match direction {
        Direction::Inputs => "gpio-in",
        Direction::Outputs => "gpio-out",
    };
    let first = share.first().map_or("", |place| place.name.as_str());
    let safe = |letter: char| {
        if letter.is_ascii_alphanumeric() || "_-.".contains(letter) {
            letter
        } else {
            '_'
        }
    };
    let name: String = first.chars().take(NAME_MAX).map(safe).collect();
    format!("{what}.{name}.{}", share.len())
}

fn request(
    chip: &std::path::Path,
    share: &[&Place],
    direction: Direction,
) -> Result<OwnedFd, BusError> {
    let offsets: Vec<u32> = share.iter().map(|place| place.offset).collect();
    let idle = vec![0; offsets.len()];
    let take = |flags: LineRequestFlags, levels: &[u8]| {
        let lines = Chip::new(chip).and_then(|mut chip| chip.get_lines(&offsets));
        let handle = lines.and_then(|lines| lines.request(flags, levels, CONSUMER));
        let handle = handle.map_err(|error| refused(share, &error))?;
        sys::duplicate(&handle).map_err(|error| failed(share, "keeping", &error))
    };
    if direction == Direction::Inputs {
        return take(LineRequestFlags::INPUT, &idle);
    }
    let handle = take(LineRequestFlags::empty(), &idle)?;
    let levels = sys::line_levels(&handle, offsets.len())
        .map_err(|error| failed(share, "reading as they are", &error))?;
    match sys::turn_into_outputs(&handle, &levels) {
        Ok(()) => Ok(handle),
        // Kernels before 5.5 cannot change a request. Between the two requests the lines are as they were before
        // the first one: nobody's.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => {
            drop(handle);
            let levels: Vec<u8> = levels.iter().map(|level| u8::from(*level)).collect();
            take(LineRequestFlags::OUTPUT, &levels)
        }
        Err(error) => Err(failed(share, "driving", &error)),
    }
}

fn names(share: &[&Place]) -> String {
    let names: Vec<&str> = share.iter().map(|place| place.name.as_str()).collect();
    names.join(", ")
}

fn failed(share: &[&Place], what: &str, error: &io::Error) -> BusError {
    BusError::Io {
        what: format!("{what}: GPIO lines {}", names(share)),
        error: error.to_string(),
    }
}

/// Why the kernel did not give the lines; `EBUSY` with the holder of the first one that is held.
fn refused(share: &[&Place], error: &gpio_cdev::Error) -> BusError {
    let held = share.iter().find_map(|place| {
        let info = place.info().ok().filter(gpio_cdev::LineInfo::is_used)?;
        let holder = match info.consumer() {
            Some(CONSUMER) => "another Fencepost process: is a second agent running?".to_owned(),
            Some(consumer) => format!("`{consumer}`; stop it first"),
            None => "the kernel; its driver must let go of the line".to_owned(),
        };
        Some(BusError::Busy {
            what: format!("GPIO line {}", place.name),
            holder,
        })
    });
    match held {
        Some(busy) if error.to_string().contains("EBUSY") => busy,
        _ => BusError::Io {
            what: format!("requesting GPIO lines {}", names(share)),
            error: format!(
                "{error}; it needs GPIO v1 (CONFIG_GPIO_CDEV_V1) and access to the chip"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        Place {
            chip: PathBuf::from("/dev/gpiochip0"),
            offset: 3,
            name: name.to_owned(),
        }
    }

    #[test]
    fn asserted_follows_the_active_level_both_ways() {
        for (asserted, active, level) in [
            (true, Active::High, true),
            (false, Active::High, false),
            (true, Active::Low, false),
            (false, Active::Low, true),
        ] {
            assert_eq!(physical(asserted, active), level);
            assert_eq!(physical(level, active), asserted);
        }
    }

    #[test]
    fn keys_are_fit_for_the_descriptor_store() {
        let odd = place("PAD:7 coil\n");
        assert_eq!(
            key(Direction::Outputs, &[&odd, &odd]),
            "gpio-out.PAD_7_coil_.2"
        );
        assert_ne!(
            key(Direction::Inputs, &[&odd]),
            key(Direction::Outputs, &[&odd])
        );
        let long = place(&"x".repeat(400));
        assert!(key(Direction::Inputs, &[&long]).len() < 255);
    }

    #[test]
    fn a_descriptor_that_is_no_line_handle_is_not_adopted() {
        let file = OwnedFd::from(fs::File::open("/dev/null").unwrap());
        assert!(LineGroup::adopt(file, &[&place("coil")], Direction::Outputs).is_none());
    }

    #[test]
    fn setting_needs_a_level_for_every_line() {
        let mut group = LineGroup {
            names: vec!["a".to_owned(), "b".to_owned()],
            actives: vec![Active::High; 2],
            requests: vec![],
        };
        let error = group.set(&[true]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "setting of GPIO lines a, b: 1 levels for 2 lines"
        );
    }
}
