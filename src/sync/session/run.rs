//! A command that one node has the other run: one at a time, under the session's epoch, between equal versions.

use super::SenderAction;
use crate::frame::{Message, Ran, Text};
use crate::lineage::Epoch;

/// Number of an order, unique on its connection.
pub type RunId = u32;
/// How a command ended, or why it was not begun or not seen to its end.
pub type Outcome = Result<Ran, Text>;

const BUSY: &str = "another activation is still running there";

/// The Active's side.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    running: Option<RunId>,
}

impl Ordered {
    /// What to say; or the answer, if nothing is said.
    pub(super) fn order(
        &mut self,
        run: RunId,
        epoch: Epoch,
        name: &str,
        same_version: bool,
    ) -> SenderAction {
        let refused = match self.running {
            _ if !same_version => Some("the two nodes run different versions"),
            Some(_) => Some(BUSY),
            None => None,
        };
        if let Some(why) = refused {
            let outcome = Err(Text::new(why));
            return SenderAction::Ran { run, outcome };
        }
        self.running = Some(run);
        let name = Text::new(name);
        SenderAction::Send(Message::Run { run, epoch, name })
    }

    /// The Backup says that it ended.
    pub(super) fn ended(&mut self, run: RunId) -> Result<(), &'static str> {
        match self.running.take() {
            Some(running) if running == run => Ok(()),
            _ => Err("the end of what was not ordered"),
        }
    }
}

/// The Backup's side.
#[derive(Debug, Default)]
pub(super) struct Obeyed {
    running: bool,
}

impl Obeyed {
    /// Whether to run it; why not, if not.
    pub(super) fn ordered(
        &mut self,
        epoch: Epoch,
        session: Option<Epoch>,
        same_version: bool,
    ) -> Result<(), Text> {
        if session != Some(epoch) {
            return Err(Text::new(format!(
                "epoch {} is not this session's",
                epoch.0
            )));
        }
        if !same_version {
            return Err(Text::new("the two nodes run different versions"));
        }
        if self.running {
            return Err(Text::new(BUSY));
        }
        self.running = true;
        Ok(())
    }

    /// It ended.
    pub(super) fn ended(&mut self) {
        self.running = false;
    }
}
