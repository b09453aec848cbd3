//! What the programs of this node make of a generation that is in place: an import, a reload. Their no takes nothing back,
//! for what is in place is what the Active has; it is remembered, shown, and they are asked again.
//!
//! What if the service dies between a commit and its reload? The debt was written down before the commit; the next life
//! finds it.

use tokio::sync::watch;

use super::Disk;
use crate::hooks::{Call, Moment};
use crate::store::StoreError;

/// Of a debt that an earlier life left.
const INTERRUPTED: &str =
    "reload failed: the service ended before it had reloaded; it is tried again";

impl Disk {
    /// Why what is in place was not taken up; a value that was marked as changed by every attempt.
    pub fn not_taken_up(&self) -> watch::Receiver<Option<String>> {
        self.not_taken_up.subscribe()
    }

    /// On the Backup: ask the programs again, if they have said no.
    pub fn take_up_again(&mut self) {
        if let Some(generation) = self.store.owed() {
            self.take_up(generation);
        }
    }

    /// At the start: what an earlier life did not come to.
    pub(super) fn find_debt(&mut self) -> Result<(), StoreError> {
        if self.store.owed().is_none() {
            return Ok(());
        }
        if self.is_taken_up_by_programs() {
            self.not_taken_up.send_replace(Some(INTERRUPTED.to_owned()));
            return Ok(());
        }
        self.store.owe(None)
    }

    pub(super) fn is_taken_up_by_programs(&self) -> bool {
        self.export.is_some() || self.category.hooks.reload.is_some()
    }

    /// Has the programs take up this generation, and remembers what came of it.
    pub(super) fn take_up(&mut self, generation: u64) {
        let failed = self.reload(generation).err().map(|why| {
            tracing::error!(category = %self.category.id, generation, "{why}");
            format!("reload failed: {why}")
        });
        if failed.is_none() {
            self.forgive();
        }
        self.not_taken_up.send_replace(failed);
    }

    /// Nothing is owed any more. If that cannot be written, the worst is a reload too many after the next start.
    pub(super) fn forgive(&mut self) {
        if let Err(error) = self.store.owe(None) {
            tracing::warn!(category = %self.category.id, "{error}");
        }
    }

    /// Import and reload.
    ///
    /// # Errors
    /// What they said last.
    pub(super) fn reload(&mut self, generation: u64) -> Result<(), String> {
        if let Some(export) = &mut self.export {
            export.put(generation).map_err(|error| error.in_short())?;
        }
        let Some(hook) = &self.category.hooks.reload else {
            return Ok(());
        };
        let call = Call {
            moment: Moment::Reload,
            category: Some(&self.category.id),
            staged: None,
            generation: Some(generation),
        };
        let said = hook.run(&call);
        said.map(|_| ()).map_err(|error| error.in_short())
    }
}
