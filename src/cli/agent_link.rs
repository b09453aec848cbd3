//! The way to the agent, for every command that asks it something.

use std::path::{Path, PathBuf};

use fencepost::config::Config;
use fencepost::control::{Answer, Request, SOCKET_PATH};
use fencepost::control_client::{Client, ClientError};
use fencepost::node::Command;
use fencepost::node::pair::PairCommand;

use super::Global;
use super::exit::{Exit, Failure};
use super::places;

/// The socket: as told, as configured, or the standard one. A configuration that cannot be read right now
/// (no permission, or broken since the agent started) is no reason not to ask the agent.
pub(crate) fn socket(global: &Global) -> PathBuf {
    if let Some(path) = &global.socket {
        return path.clone();
    }
    Config::load(&places::config_path(global)).map_or_else(
        |_| PathBuf::from(SOCKET_PATH),
        |config| config.control.socket,
    )
}

/// A connection.
pub(crate) fn connect(global: &Global) -> Result<Client, ClientError> {
    Client::connect(&socket(global))
}

/// Give an order and tell what was done.
pub(crate) fn order(global: &Global, command: Command) -> Result<Exit, Failure> {
    obeyed(global, Request::Command { command })
}

/// Give an order to the pair and tell what was done.
pub(crate) fn order_pair(global: &Global, command: PairCommand) -> Result<Exit, Failure> {
    obeyed(global, Request::Pair { command })
}

fn obeyed(global: &Global, request: Request) -> Result<Exit, Failure> {
    match connect(global)?.ask(request)? {
        Answer::Done(done) => {
            println!("{done}");
            Ok(Exit::Done)
        }
        other => Err(foreign(&socket(global), &other).into()),
    }
}

/// An answer that does not belong to the question.
pub(crate) fn foreign(path: &Path, answer: &Answer) -> ClientError {
    ClientError::Foreign {
        path: path.display().to_string(),
        error: format!("{answer:?} was not asked for"),
    }
}
