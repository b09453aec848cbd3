//! Activations: ordered by a person on the Active, obeyed by the Backup.
//!
//! What if roles change meanwhile? What has not begun is refused: the agent is asked once more just before. What runs
//! goes on to its end, because half of a command is worse; the Active says that it does not know how it ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::errand::{PROGRESS_EVERY, active, connected, still_connected};
use super::office::Asker;
use super::shared::{Order, Shared};
use crate::activation::{Activation, Ended, On, named};
use crate::control::Answer;
use crate::frame::Text;
use crate::lineage::Epoch;
use crate::session::{ReceiverEvent, RunId, RunOutcome, Standing};

/// How much longer than its limit the answer may take.
const ANSWER_LATE: Duration = Duration::from_secs(15);

/// For who asks on the Active.
pub(super) async fn order(
    shared: &Arc<Shared>,
    name: &str,
    asker: &mut Asker,
) -> Result<(), String> {
    active(shared)?;
    let activation = named(&shared.settings.activations, name)?.clone();
    connected(shared).await?;
    let here = match activation.on {
        On::Backup => None,
        On::Both => Some(run_here(shared, &activation, asker).await?),
    };
    let failed = here.as_ref().is_some_and(|ended| ended.code != 0);
    let backup = if failed {
        None
    } else {
        Some(run_there(shared, &activation, asker).await?)
    };
    asker.ok(Answer::Ran { here, backup }).await
}

async fn run_there(
    shared: &Arc<Shared>,
    activation: &Activation,
    asker: &mut Asker,
) -> Result<Ended, String> {
    active(shared)?;
    let (answer, mut answered) = oneshot::channel();
    let name = activation.name.clone();
    shared.order(Order::Run { name, answer })?;
    let until = Instant::now() + activation.hook.limit + ANSWER_LATE;
    loop {
        match timeout(PROGRESS_EVERY, &mut answered).await {
            Ok(Ok(Ok(ran))) => return Ok(ran.into()),
            Ok(Ok(Err(why))) => return Err(format!("on the backup: {why}")),
            Ok(Err(_)) => return Err(unknown(&activation.name, "the connection was lost")),
            Err(_) if Instant::now() >= until => {
                return Err(unknown(&activation.name, "it did not answer in time"));
            }
            Err(_) => {
                let report =
                    still_connected(shared).map_err(|why| unknown(&activation.name, &why))?;
                asker.ok(Answer::Progress(report)).await?;
            }
        }
    }
}

fn unknown(name: &str, why: &str) -> String {
    format!("{why}; whether `{name}` ran on the backup, and how it ended, is not known")
}

async fn run_here(
    shared: &Arc<Shared>,
    activation: &Activation,
    asker: &mut Asker,
) -> Result<Ended, String> {
    let (running, activation) = (Arc::clone(shared), activation.clone());
    let mut ended = tokio::task::spawn_blocking(move || alone(&running, &activation));
    loop {
        match timeout(PROGRESS_EVERY, &mut ended).await {
            Ok(ended) => {
                let ended = ended.unwrap_or_else(|_| Err("the service is ending".to_owned()));
                return ended.map_err(|why| format!("on this node: {why}"));
            }
            Err(_) => asker.ok(Answer::Progress(shared.report())).await?,
        }
    }
}

/// One at a time on this node, whoever ordered it and over whichever connection.
fn alone(shared: &Shared, activation: &Activation) -> Result<Ended, String> {
    if shared.activating.swap(true, Ordering::AcqRel) {
        return Err("another activation is still running here".to_owned());
    }
    tracing::info!(name = activation.name, "an activation begins");
    let ended = activation.run();
    shared.activating.store(false, Ordering::Release);
    tracing::info!(name = activation.name, ?ended, "an activation ended");
    ended
}

/// For the Active, on the Backup.
pub(super) fn obey(
    shared: &Arc<Shared>,
    run: RunId,
    epoch: Epoch,
    name: Text,
    events: mpsc::Sender<ReceiverEvent>,
) {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let outcome = obeyed(&shared, epoch, &name);
        // A session that ended takes no answer.
        let _over = events.blocking_send(ReceiverEvent::Ran { run, outcome });
    });
}

fn obeyed(shared: &Shared, epoch: Epoch, name: &Text) -> RunOutcome {
    let activation = named(&shared.settings.activations, &name.to_string()).map_err(Text::new)?;
    match shared.roles.standing() {
        Standing::Backup { epoch: known } if known <= epoch => {}
        Standing::Backup { epoch: known } => {
            let (ordered, known) = (epoch.0, known.0);
            let why = format!("epoch {ordered} is over: {known} is known here");
            return Err(Text::new(why));
        }
        Standing::Active { .. } | Standing::Unknown => {
            return Err(Text::new(
                "this node is not Backup, or does not know its role",
            ));
        }
    }
    alone(shared, activation).map(Into::into).map_err(Text::new)
}
