//! What a process costs, from `/proc`: resident memory and processor time, its waited-for children included.

use std::fs;

use serde::{Deserialize, Serialize};

/// Kernel ticks in a second: fixed at 100 for user space on Linux (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// Cost of a process over a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Greatest resident memory so far, mebibytes.
    pub peak_mib: f64,
    /// Resident memory that belongs to no file: what the process adds to the machine, mebibytes.
    pub anonymous_mib: f64,
    /// Share of one core, percent.
    pub core_percent: f64,
}

/// Processor time so far, seconds: own, and of children that ended.
pub fn processor_s(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name, in parentheses, and may hold anything.
    let rest = text.rsplit_once(')')?.1;
    let ticks: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|word| word.parse().ok())
        .collect();
    (ticks.len() == 4).then(|| ticks.iter().sum::<f64>() / TICKS_PER_S)
}

/// What it costs, given what its processor time was `span_s` seconds ago.
pub fn cost(pid: u32, before_s: f64, span_s: f64) -> Option<Cost> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |key: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Cost {
        peak_mib: kib("VmHWM:")? / 1024.0,
        anonymous_mib: kib("RssAnon:")? / 1024.0,
        core_percent: (processor_s(pid)? - before_s) / span_s.max(0.001) * 100.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cost_is_known() {
        let pid = std::process::id();
        let before = processor_s(pid).unwrap();
        let cost = cost(pid, before, 1.0).unwrap();
        assert!(cost.peak_mib > 0.5 && cost.core_percent >= 0.0);
        assert_eq!(processor_s(u32::MAX), None);
    }
}
