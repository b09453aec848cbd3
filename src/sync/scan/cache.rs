//! Hashes of files by their state, and when such a hash may be believed.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
use crate::entry::Xattrs;
use crate::resolve::Stamp;

/// A kernel takes the time for a change from its tick, so two changes this close may carry the same one.
const GRAIN_NS: i64 = 20_000_000;
/// The same, on file systems that keep whole seconds.
const COARSE_GRAIN_NS: i64 = 2_000_000_000;

/// What was read of files, by device and inode.
#[derive(Debug, Default)]
pub(crate) struct Cache(HashMap<(u64, u64), Held>);

#[derive(Debug)]
struct Held {
    stamp: Stamp,
    /// Wall clock when reading began: the clock that file times are from.
    read_ns: i64,
    content: Digest,
    xattrs: Xattrs,
}

impl Cache {
    /// What a file in exactly this state holds. A change right after the read could carry the time of the read, so a
    /// hash of a file that had only just changed is not believed (git calls such an entry racy).
    pub(crate) fn get(&self, stamp: &Stamp) -> Option<(Digest, &Xattrs)> {
        let held = self.0.get(&(stamp.dev, stamp.ino))?;
        let whole = stamp.ctime_ns % 1_000_000_000 == 0;
        let grain = if whole { COARSE_GRAIN_NS } else { GRAIN_NS };
        let settled = stamp.ctime_ns.saturating_add(grain) < held.read_ns;
        (held.stamp == *stamp && settled).then_some((held.content, &held.xattrs))
    }

    /// Keeps what was read from `read_ns` on.
    pub(crate) fn put_at(&mut self, read_ns: i64, stamp: Stamp, content: Digest, xattrs: Xattrs) {
        let held = Held {
            stamp,
            read_ns,
            content,
            xattrs,
        };
        self.0.insert((stamp.dev, stamp.ino), held);
    }

    /// Forgets all files but these.
    pub(crate) fn keep(&mut self, files: &HashSet<(u64, u64)>) {
        self.0.retain(|file, _| files.contains(file));
    }
}

/// Wall clock in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ctime_ns: i64) -> Stamp {
        Stamp {
            dev: 1,
            ino: 2,
            size: 3,
            mtime_ns: 4,
            ctime_ns,
        }
    }

    #[test]
    fn a_hash_is_believed_only_of_a_settled_and_equal_state() {
        let content = Digest::of_file(b"x");
        let changed = 1_000_000_001;
        let believed = |read_ns: i64, asked: Stamp| {
            let mut cache = Cache::default();
            cache.put_at(read_ns, stamp(changed), content, Xattrs::new());
            cache.get(&asked).is_some()
        };
        let settled = changed + GRAIN_NS + 1;
        assert!(believed(settled, stamp(changed)));
        assert!(!believed(settled - 1, stamp(changed)), "racy");
        assert!(
            !believed(changed - 1, stamp(changed)),
            "the clock went back"
        );
        assert!(!believed(settled, stamp(changed + 1)));
        let resized = Stamp {
            size: 4,
            ..stamp(changed)
        };
        assert!(!believed(settled, resized));
        let touched = Stamp {
            mtime_ns: 5,
            ..stamp(changed)
        };
        assert!(!believed(settled, touched));
    }

    #[test]
    fn whole_seconds_are_taken_for_coarse_times() {
        let mut cache = Cache::default();
        let stamp = stamp(5_000_000_000);
        cache.put_at(6_900_000_000, stamp, Digest::of_file(b""), Xattrs::new());
        assert!(cache.get(&stamp).is_none());
        cache.put_at(7_000_000_001, stamp, Digest::of_file(b""), Xattrs::new());
        assert!(cache.get(&stamp).is_some());
    }
}
