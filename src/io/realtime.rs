//! Real-time scheduling and locked memory, so that a starved machine is not mistaken for a failed one.
//!
//! Both need rights (`CAP_SYS_NICE` and `CAP_IPC_LOCK`, or the limits `LimitRTPRIO=` and `LimitMEMLOCK=`). Where
//! they are refused the agent says so loudly and goes on: it still fails safe, it only trips more easily.

use nix::sys::mman::{MlockAllFlags, mlockall};
use serde::{Deserialize, Serialize};

use super::sys;

/// Priority of a thread: `SCHED_FIFO` 1..=99, or 0 for the normal scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub u8);

impl Priority {
    /// The control thread, unless configured otherwise. Above threaded interrupt handlers of nothing
    /// but the lowest rank: those run at 50, and the bus depends on them.
    pub const CONTROL: Self = Self(20);
    /// Threads that wait for a bus or for the watchdog.
    pub const BUS: Self = Self(15);
    /// No real-time scheduling.
    pub const NORMAL: Self = Self(0);
}

/// What came of a wish to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// It is so.
    Granted,
    /// It is not, and why.
    Refused(String),
    /// Configured not to ask.
    NotAsked,
}

/// Lock all of the process's memory, now and in future. First by one thread, before the others start.
///
/// What is mapped now (the program itself, above all) is read in and locked whole. What is mapped later is
/// locked page by page as it is used: locking it whole would make every thread's stack and every reserve of
/// the allocator resident, megabytes that nobody ever touches.
pub fn lock_memory() -> Grant {
    let as_used = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let locked = mlockall(MlockAllFlags::MCL_CURRENT)
        .and_then(|()| mlockall(MlockAllFlags::MCL_FUTURE | as_used));
    match locked {
        Ok(()) => Grant::Granted,
        Err(error) => {
            let reason = format!(
                "memory cannot be locked ({error}): give the unit LimitMEMLOCK=infinity or CAP_IPC_LOCK"
            );
            tracing::error!(
                "{reason}; under memory pressure the agent may be late and segments may fail open"
            );
            Grant::Refused(reason)
        }
    }
}

/// Put the calling thread under real-time scheduling and touch its stack. `what` names it in the warning.
pub fn prepare_this_thread(what: &str, priority: Priority) -> Grant {
    if priority == Priority::NORMAL {
        return Grant::NotAsked;
    }
    let grant = match sys::enter_real_time(priority.0) {
        Ok(()) => Grant::Granted,
        Err(error) => {
            let reason = format!(
                "the {what} thread cannot run at SCHED_FIFO {} ({error}): give the unit LimitRTPRIO={} or CAP_SYS_NICE",
                priority.0, priority.0
            );
            tracing::error!(
                "{reason}; on a busy machine the agent may be late and segments may fail open"
            );
            Grant::Refused(reason)
        }
    };
    sys::prefault_stack();
    grant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_priority_asks_for_nothing() {
        assert_eq!(
            prepare_this_thread("test", Priority::NORMAL),
            Grant::NotAsked
        );
    }

    #[test]
    fn an_impossible_priority_is_refused_with_the_remedy() {
        // 100 is out of range for everybody, root included.
        let grant = std::thread::spawn(|| prepare_this_thread("test", Priority(100)))
            .join()
            .unwrap();
        let Grant::Refused(reason) = grant else {
            panic!("{grant:?}")
        };
        assert!(reason.contains("LimitRTPRIO=100"), "{reason}");
    }
}
