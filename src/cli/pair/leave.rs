//! Forgetting the keys.

use fencepost::wire::Role;

use super::{LeaveOptions, ask, failed};
use crate::cli::exit::{Exit, Failure};
use crate::cli::{Global, status};

pub(super) fn leave(global: &Global, options: &LeaveOptions) -> Result<Exit, Failure> {
    let store = options.options.store(global);
    store.must_be_there().map_err(failed)?;
    let running = status::running(global)?;
    let pair = running
        .as_ref()
        .and_then(|status| status.node.pair.as_ref());
    if pair.is_some_and(|pair| pair.role == Role::Active) {
        return Err(Failure::failed(
            "this node is Active; `fencepost switchover` first, then leave",
        ));
    }
    if !options.yes {
        let name = store.path().display().to_string();
        let said = ask(&format!(
            "forget the keys in {name}? This cannot be undone. Type yes: "
        ))?;
        if said.trim() != "yes" {
            return Err(Failure::failed("nothing was changed"));
        }
    }
    store.forget().map_err(failed)?;
    println!("the keys in {} are gone", store.path().display());
    if running.is_some() {
        println!(
            "the agent has them in memory until it ends; take [pair] out of its configuration and restart it"
        );
    }
    Ok(Exit::Done)
}
