//! The rules of the pair that a test can switch off, one at a time, to see that something notices.
//!
//! In a build that is not a test every guard holds, always, and costs nothing.

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The lease proof needs the own latch's generation to be the one the peer named.
    LeaseGeneration,
    /// Words, claims and latch changes end the right to claim by lease.
    LeaseForfeit,
    /// A bound node's kicks end with its lease.
    KickLimit,
    /// A demoted node stays bound until it is quiet.
    BoundUntilQuiet,
    /// A restarted agent that finds its vips served is bound.
    AdoptsBound,
    /// Who takes over acknowledges nothing of the old epoch.
    RefusesOldEpoch,
    /// The peer's generation is not named while it is held.
    NamesNoneWhileHolding,
    /// The last read-back before serving.
    ReadsBack,
    /// Only the pending number's answer counts.
    WordNumber,
    /// A cut voids the pending number and the claim.
    VoidedByCut,
    /// No answer while a request of our own is pending.
    WordsDoNotCross,
    /// An answer only once quiet.
    AnswersQuiet,
    /// A close only once quiet.
    ClosesQuiet,
    /// No claim before it is quiet.
    ClaimsQuiet,
    /// Vips found at start behind an open relay are purged.
    PurgesAtStart,
    /// What is not confirmed is withdrawn.
    Withdraws,
    /// Fenced and not joined: not alone.
    Quarantine,
    /// The epoch is saved before it is used.
    SavesEpoch,
    /// Older messages are dropped.
    OneCounter,
    /// Own relays and latch are read after the proof.
    ReadsOwnRelays,
    /// Silence is no proof.
    SilenceIsNoProof,
    /// A node that finds itself cut stops serving.
    FoundCut,
    /// A latch that came and went between two looks is known by its generation.
    MissedLatch,
    /// An acknowledge line that reads cut although nobody holds is not believed, and its means not fired.
    LineIdleFirst,
    /// A means that says that a peer's power is off while the peer is heard is not believed.
    SeesLies,
    /// When a fence that no answer called for fails, the peer is asked again.
    AsksAgain,
}

#[cfg(test)]
thread_local! {
    static OFF: core::cell::Cell<&'static [Guard]> = const { core::cell::Cell::new(&[]) };
}

/// Whether a rule is in force.
#[cfg(test)]
pub(crate) fn holds(guard: Guard) -> bool {
    !OFF.get().contains(&guard)
}

/// Whether a rule is in force: it is.
#[cfg(not(test))]
pub(super) const fn holds(_guard: Guard) -> bool {
    true
}

/// Switches these rules off, and all others on.
#[cfg(test)]
pub(crate) fn switch_off(guards: &'static [Guard]) {
    OFF.set(guards);
}
