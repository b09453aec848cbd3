//! Lines of GPIO-wired boards, seen segment by segment.
//!
//! A board may have segments this site does not use; their lines are never requested, so segment index and place in
//! a line group differ. This is the one place that knows both.
//!
//! Every set writes the whole group, because the kernel does: the other lines' levels are read from the kernel
//! right before, never remembered.

use super::bus::Lines;
use super::controller::{Evidence, Fault, RelayState, SegmentReading};

/// Output lines, at most one per segment.
pub(crate) struct OutputGroup {
    lines: Box<dyn Lines>,
    /// Place in the group, per segment; `None` for a segment that is not used.
    places: Vec<Option<usize>>,
}

impl OutputGroup {
    pub(crate) fn new(lines: Box<dyn Lines>, places: Vec<Option<usize>>) -> Self {
        Self { lines, places }
    }

    pub(crate) fn names(&self) -> &[String] {
        self.lines.names()
    }

    /// Whether the segment's line is asserted; `None` if it has none here.
    pub(crate) fn get(&mut self, segment: usize) -> Result<Option<bool>, Fault> {
        match self.place(segment) {
            Some(place) => Ok(self.lines.get()?.get(place).copied()),
            None => Ok(None),
        }
    }

    /// Drive the segment's line, all others as they are. Nothing is written if it is so already.
    pub(crate) fn set(&mut self, segment: usize, asserted: bool) -> Result<(), Fault> {
        let place = self.place(segment);
        let mut levels = self.lines.get()?;
        let Some(level) = place.and_then(|place| levels.get_mut(place)) else {
            return Err(no_line(segment));
        };
        if *level == asserted {
            return Ok(());
        }
        *level = asserted;
        Ok(self.lines.set(&levels)?)
    }

    pub(crate) fn release_all(&mut self) -> Result<(), Fault> {
        let levels = self.lines.get()?;
        if levels.contains(&true) {
            self.lines.set(&vec![false; levels.len()])?;
        }
        Ok(())
    }

    fn place(&self, segment: usize) -> Option<usize> {
        self.places.get(segment).copied().flatten()
    }
}

/// Auxiliary contacts, asserted while their relay is in `Normal`.
pub(crate) struct Contacts {
    lines: Option<Box<dyn Lines>>,
    /// Place in the group, per segment; `None` where the relay has no contact or the segment is not used.
    places: Vec<Option<usize>>,
}

impl Contacts {
    pub(crate) fn new(lines: Option<Box<dyn Lines>>, places: Vec<Option<usize>>) -> Self {
        Self { lines, places }
    }

    /// What the segment's contact says, `rest` being the state of a relay that is not in `Normal`.
    pub(crate) fn look(
        &mut self,
        segment: usize,
        rest: RelayState,
    ) -> Result<Option<SegmentReading>, Fault> {
        let place = self.places.get(segment).copied().flatten();
        let (Some(lines), Some(place)) = (&mut self.lines, place) else {
            return Ok(None);
        };
        let closed = lines
            .get()?
            .get(place)
            .copied()
            .ok_or_else(|| no_line(segment))?;
        let state = if closed { RelayState::Normal } else { rest };
        Ok(Some(SegmentReading {
            state,
            evidence: Evidence::Contacts,
        }))
    }
}

fn no_line(segment: usize) -> Fault {
    Fault::Incapable {
        what: format!("segment {segment}"),
        advice: "none of the requested lines belongs to it".to_owned(),
    }
}
