//! Where in the file each key stands, so that a mistake found only against the board is still shown in place.

use std::ops::Range;

use toml::Spanned;

use crate::diagnose::Source;

/// Where a key's value stands.
pub(super) type Place = Range<usize>;

/// Places of keys that are judged again once the board is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) source: Source,
    pub(super) board: Place,
    pub(super) segments: Vec<SegmentPlaces>,
    pub(super) period: Option<Place>,
    pub(super) kick_every: Option<Place>,
    pub(super) measured: Option<Place>,
    pub(super) adapter: Option<Place>,
    pub(super) means: Vec<Place>,
}

/// The same, of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentPlaces {
    pub(super) name: Place,
    pub(super) at: Option<Place>,
    pub(super) ports: Option<Place>,
    pub(super) fail: Option<Place>,
    pub(super) power_up: Option<Place>,
    pub(super) power_off: Option<Place>,
    pub(super) expiry: Option<Place>,
}

/// Place of a key that may be absent.
pub(super) fn of<T>(value: &Option<Spanned<T>>) -> Option<Place> {
    value.as_ref().map(Spanned::span)
}
