//! Hints gathered until a save is over: until all that was noticed is complete, or nothing came for a while, or for so
//! long that waiting serves nobody.

use core::time::Duration;
use std::collections::BTreeSet;

use super::{Hint, Noticed};
use crate::path::RelPath;

/// More paths than this are looked at by a walk of everything: it costs less than so many single looks.
const PATHS_MAX: usize = 4096;
/// Between two files of one save, each complete in itself.
const SETTLE: Duration = Duration::from_millis(2);

/// What is gathered; time as since any start.
#[derive(Debug)]
pub struct Gather {
    quiet: Duration,
    hold: Duration,
    hold_open_max: Duration,
    gathered: Option<Gathered>,
    /// Somebody said that a save of many files has begun.
    opened: Option<Duration>,
}

#[derive(Debug)]
struct Gathered {
    what: Hint,
    first: Duration,
    last: Duration,
    /// Files that are being written.
    open: BTreeSet<RelPath>,
    /// Something whose end nobody tells.
    loose: bool,
}

impl Gather {
    /// Ready `quiet` after the last hint, or at once (after `SETTLE`) if all of it is complete; at the latest `hold` after the
    /// first one, and not before while a new file is being written. A save that was announced may take `hold_open_max`.
    pub fn new(quiet: Duration, hold: Duration, hold_open_max: Duration) -> Self {
        Self {
            quiet,
            hold,
            hold_open_max,
            gathered: None,
            opened: None,
        }
    }

    /// A hint came of which nothing else is known.
    pub fn add(&mut self, now: Duration, hint: Hint) {
        self.notice(now, Noticed::loose(hint));
    }

    /// Something was noticed.
    pub fn notice(&mut self, now: Duration, noticed: Noticed) {
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            what: Hint::Paths(BTreeSet::new()),
            first: now,
            last: now,
            open: BTreeSet::new(),
            loose: false,
        });
        gathered.last = now;
        let what = std::mem::replace(&mut gathered.what, Hint::Everything);
        gathered.what = merged(what, noticed.hint);
        gathered.loose |= noticed.loose;
        for path in &noticed.complete {
            gathered.open.remove(path);
        }
        gathered.open.extend(noticed.open);
        if gathered.open.len() > PATHS_MAX {
            gathered.open.clear();
            gathered.loose = true;
        }
    }

    /// A save of many files begins: nothing is ready until [`Gather::close`].
    pub fn open(&mut self, now: Duration) {
        self.opened.get_or_insert(now);
    }

    /// It is complete: what was gathered is ready now. Whether one had begun.
    pub fn close(&mut self) -> bool {
        if let Some(gathered) = &mut self.gathered {
            gathered.first = Duration::ZERO;
            gathered.last = Duration::ZERO;
            gathered.open.clear();
        }
        self.opened.take().is_some()
    }

    /// When something will be ready, if anything was gathered.
    pub fn ready_at(&self) -> Option<Duration> {
        let gathered = self.gathered.as_ref()?;
        let quiet = if !gathered.open.is_empty() {
            self.hold
        } else if gathered.loose {
            self.quiet
        } else {
            self.quiet.min(SETTLE)
        };
        let quiet = gathered.last.saturating_add(quiet);
        let settled = quiet.min(gathered.first.saturating_add(self.hold));
        let open_until = self.opened.map(|at| at.saturating_add(self.hold_open_max));
        Some(settled.max(open_until.unwrap_or_default()))
    }

    /// What is ready.
    pub fn take(&mut self, now: Duration) -> Option<Hint> {
        if self.ready_at()? > now {
            return None;
        }
        self.opened = None;
        self.gathered.take().map(|gathered| gathered.what)
    }
}

fn merged(one: Hint, other: Hint) -> Hint {
    match (one, other) {
        (Hint::Paths(mut one), Hint::Paths(other)) => {
            one.extend(other);
            if one.len() > PATHS_MAX {
                Hint::Everything
            } else {
                Hint::Paths(one)
            }
        }
        _ => Hint::Everything,
    }
}

impl Hint {
    /// Look here.
    pub fn at(path: RelPath) -> Self {
        Self::Paths([path].into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn hint(path: &str) -> Hint {
        Hint::at(RelPath::new(path).unwrap())
    }

    fn gather() -> Gather {
        Gather::new(ms(5), ms(100), ms(60_000))
    }

    #[test]
    fn ready_when_it_is_quiet() {
        let mut gather = gather();
        assert_eq!(gather.ready_at(), None);
        gather.add(ms(1000), hint("a/1"));
        gather.add(ms(1003), hint("a/2"));
        assert_eq!(gather.take(ms(1007)), None);
        let both = Hint::Paths(
            ["a/1", "a/2"]
                .map(|path| RelPath::new(path).unwrap())
                .into(),
        );
        assert_eq!(gather.take(ms(1008)), Some(both));
        assert_eq!(gather.take(ms(2000)), None);
    }

    fn file(path: &str, open: bool) -> Noticed {
        let path = RelPath::new(path).unwrap();
        let mut noticed = Noticed {
            loose: false,
            ..Noticed::loose(Hint::at(path.clone()))
        };
        let part = if open {
            &mut noticed.open
        } else {
            &mut noticed.complete
        };
        part.insert(path);
        noticed
    }

    #[test]
    fn what_is_complete_is_ready_at_once() {
        let mut gather = gather();
        gather.notice(ms(1000), file("a", false));
        assert_eq!(gather.take(ms(1001)), None);
        assert_eq!(gather.take(ms(1002)), Some(hint("a")));
    }

    #[test]
    fn what_is_being_written_waits_for_its_end() {
        let mut gather = gather();
        gather.notice(ms(1000), file("a", true));
        gather.notice(ms(1001), file("b", false));
        assert_eq!(gather.take(ms(1050)), None);
        gather.notice(ms(1060), file("a", false));
        assert!(gather.take(ms(1062)).is_some());
    }

    #[test]
    fn what_is_never_closed_waits_no_longer_than_the_hold() {
        let mut gather = gather();
        gather.notice(ms(1000), file("a", true));
        assert_eq!(gather.take(ms(1099)), None);
        assert_eq!(gather.take(ms(1100)), Some(hint("a")));
    }

    #[test]
    fn what_has_no_end_of_its_own_waits_until_it_is_quiet() {
        let mut gather = gather();
        gather.notice(ms(1000), file("a", false));
        gather.add(ms(1000), hint("b"));
        assert_eq!(gather.take(ms(1004)), None);
        assert!(gather.take(ms(1005)).is_some());
    }

    #[test]
    fn who_never_stops_writing_waits_no_longer_than_the_hold() {
        let mut gather = gather();
        for at in 0..100 {
            gather.add(ms(1000 + at), hint("a"));
            assert_eq!(gather.take(ms(1000 + at)), None, "{at}");
        }
        assert_eq!(gather.take(ms(1100)), Some(hint("a")));
    }

    #[test]
    fn an_announced_save_is_ready_when_it_is_said_to_be() {
        let mut gather = gather();
        gather.open(ms(1000));
        gather.add(ms(1001), hint("a"));
        gather.add(ms(5000), hint("b"));
        assert_eq!(gather.take(ms(20_000)), None);
        assert!(gather.close());
        assert!(gather.take(ms(20_000)).is_some());
        assert!(!gather.close());
    }

    #[test]
    fn an_announced_save_that_never_ends_is_taken_up_in_the_end() {
        let mut gather = gather();
        gather.open(ms(1000));
        gather.add(ms(1001), hint("a"));
        assert_eq!(gather.take(ms(60_999)), None);
        assert!(gather.take(ms(61_000)).is_some());
    }

    #[test]
    fn too_many_paths_are_everything() {
        let mut gather = gather();
        for number in 0..=PATHS_MAX {
            gather.add(ms(1), hint(&format!("a/{number}")));
        }
        assert_eq!(gather.take(ms(1000)), Some(Hint::Everything));
    }
}
