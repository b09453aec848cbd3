//! What happened in a world, in numbers.

/// What happened, counted, so that a run can say what it was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Turns of the node.
    pub turns: u64,
    /// Jobs of the controller thread.
    pub jobs: u64,
    /// Mishaps that struck.
    pub mishaps: u64,
    /// True relay moves into `Normal`.
    pub closes: u64,
    /// True relay moves out of `Normal`.
    pub cuts: u64,
    /// Expiries of the dead-man.
    pub expiries: u64,
    /// Agents started.
    pub agents: u64,
    /// Resets by the watchdog.
    pub resets: u64,
    /// Relay moves by somebody else.
    pub strangers: u64,
}

impl core::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.turns += other.turns;
        self.jobs += other.jobs;
        self.mishaps += other.mishaps;
        self.closes += other.closes;
        self.cuts += other.cuts;
        self.expiries += other.expiries;
        self.agents += other.agents;
        self.resets += other.resets;
        self.strangers += other.strangers;
    }
}
