//! What is done for who asks at the socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::activate;
use super::keeper::{Ask, KeeperHandle};
use super::office::Asker;
use super::shared::{Order, Shared};
use crate::category_id::CategoryId;
use crate::control::{Answer, Generation, ITEMS_MAX, Item, Report, Request};
use crate::frame::Look;
use crate::session::{Meant, Standing, State};

/// Progress is told this often.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// The end of a transfer is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest an errand may take.
const ERRAND_MAX: Duration = Duration::from_secs(3600);
/// A connection that is being made is waited for.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A listing may take this long.
const DIFF_MAX: Duration = Duration::from_secs(60);

pub(super) async fn run(
    shared: &Arc<Shared>,
    request: Request,
    asker: &mut Asker,
) -> Result<(), String> {
    match request {
        Request::Status => asker.ok(Answer::Status(shared.report())).await,
        Request::Now {
            category,
            full,
            deletions,
            overwrite,
        } => {
            let meant = Meant {
                deletions,
                overwrite,
            };
            now(shared, category, full, meant, asker).await
        }
        Request::Diff { category, full } => diff(shared, category, full, asker).await,
        Request::Verify => {
            active(shared)?;
            verify(shared, &shared.keepers, Look::Rehash, asker).await?;
            asker.ok(Answer::Status(shared.report())).await
        }
        Request::History { category } => {
            let generations = history(shared, &category).await?;
            asker.ok(Answer::History(generations)).await
        }
        Request::Rollback {
            category,
            generation,
        } => {
            let done = roll_back(shared, &category, generation).await?;
            asker.ok(Answer::Done(done)).await
        }
        Request::Run { name } => activate::order(shared, &name, asker).await,
        Request::Begin { category } => {
            for keeper in chosen(shared, category.as_ref())? {
                keeper.ask(Ask::Begin).await;
            }
            let done = "a save has begun; end it with `fencepost sync commit`".to_owned();
            asker.ok(Answer::Done(done)).await
        }
        Request::Commit { category } => {
            for keeper in chosen(shared, category.as_ref())? {
                keeper.commit().await?;
            }
            asker
                .ok(Answer::Done("what was saved is one generation".to_owned()))
                .await
        }
    }
}

/// The categories that were meant.
fn chosen<'a>(
    shared: &'a Shared,
    category: Option<&CategoryId>,
) -> Result<Vec<&'a KeeperHandle>, String> {
    let all = shared.keepers.iter();
    let chosen: Vec<_> = all
        .filter(|keeper| category.is_none_or(|id| *id == keeper.id))
        .collect();
    match category {
        Some(id) if chosen.is_empty() => Err(format!("no category `{id}` is configured")),
        _ => Ok(chosen),
    }
}

pub(super) fn active(shared: &Shared) -> Result<crate::lineage::Epoch, String> {
    match *shared.standing.borrow() {
        Standing::Active { epoch } => Ok(epoch),
        Standing::Backup { .. } => {
            Err("this node is Backup: ask on the Active, whose data counts".to_owned())
        }
        Standing::Unknown => {
            Err("the agent does not tell this node's role; nothing is sent".to_owned())
        }
    }
}

async fn now(
    shared: &Arc<Shared>,
    category: Option<CategoryId>,
    full: bool,
    meant: Meant,
    asker: &mut Asker,
) -> Result<(), String> {
    active(shared)?;
    connected(shared).await?;
    let keepers = chosen(shared, category.as_ref())?;
    if meant.deletions {
        for keeper in &keepers {
            let accepted = keeper.with_disk(|disk| {
                disk.accept_empty();
                Ok(())
            });
            accepted.await?;
        }
    }
    let look = if full { Look::Rehash } else { Look::Walk };
    for keeper in &keepers {
        keeper.look(look).await?;
    }
    shared.order(Order::Wanted {
        category: category.clone(),
        meant,
    })?;
    verify(shared, &[], look, asker).await?;
    let ids: Vec<CategoryId> = keepers.iter().map(|keeper| keeper.id.clone()).collect();
    in_sync(shared, &ids, asker).await
}

/// Wait for a connection that is being made.
pub(super) async fn connected(shared: &Shared) -> Result<(), String> {
    let until = Instant::now() + CONNECT_MAX;
    while shared.report().peer.is_none() {
        if Instant::now() >= until {
            let why = shared.report().trouble.unwrap_or_default();
            return Err(format!("there is no connection with the backup: {why}"));
        }
        sleep(PROGRESS_EVERY).await;
    }
    Ok(())
}

/// Have these, and the backup, look; wait for its answer.
async fn verify(
    shared: &Arc<Shared>,
    keepers: &[KeeperHandle],
    look: Look,
    asker: &mut Asker,
) -> Result<(), String> {
    for keeper in keepers {
        keeper.look(look).await?;
    }
    let (answer, mut answered) = oneshot::channel();
    shared.order(Order::Verify { look, answer })?;
    let until = Instant::now() + ERRAND_MAX;
    loop {
        match timeout(PROGRESS_EVERY, &mut answered).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => return Err("the connection with the backup was lost".to_owned()),
            Err(_) if Instant::now() >= until => {
                return Err("the backup did not answer in an hour".to_owned());
            }
            Err(_) => {
                let report = still_connected(shared)?;
                asker.ok(Answer::Progress(report)).await?;
            }
        }
    }
}

pub(super) fn still_connected(shared: &Shared) -> Result<Report, String> {
    let report = shared.report();
    match &report.peer {
        Some(_) => Ok(report),
        None => {
            let why = report.trouble.unwrap_or_default();
            Err(format!("the connection with the backup was lost: {why}"))
        }
    }
}

async fn in_sync(shared: &Shared, ids: &[CategoryId], asker: &mut Asker) -> Result<(), String> {
    let until = Instant::now() + ERRAND_MAX;
    let mut told_at = Instant::now();
    loop {
        let report = still_connected(shared)?;
        let meant: Vec<_> = report
            .categories
            .iter()
            .filter(|one| ids.contains(&one.id))
            .collect();
        let moving = |state: &State| matches!(state, State::Syncing { .. } | State::Unknown { .. });
        if !meant.iter().any(|one| moving(&one.state)) {
            let stuck: Vec<String> = meant
                .iter()
                .filter_map(|one| match &one.state {
                    State::OutOfSync { details, .. } => Some(format!("{}: {details}", one.id)),
                    _ => None,
                })
                .collect();
            return match stuck.is_empty() {
                true => {
                    let done = format!("{} in sync, verified", counted(meant.len()));
                    asker.ok(Answer::Done(done)).await
                }
                false => Err(stuck.join("; ")),
            };
        }
        if Instant::now() >= until {
            return Err("it was not done in an hour; it goes on".to_owned());
        }
        if told_at.elapsed() >= PROGRESS_EVERY {
            told_at = Instant::now();
            asker.ok(Answer::Progress(report)).await?;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn counted(categories: usize) -> String {
    match categories {
        1 => "1 category is".to_owned(),
        more => format!("{more} categories are"),
    }
}

async fn diff(
    shared: &Arc<Shared>,
    category: Option<CategoryId>,
    full: bool,
    asker: &mut Asker,
) -> Result<(), String> {
    let keepers = chosen(shared, category.as_ref())?;
    let active = active(shared).is_ok();
    if active {
        connected(shared).await?;
        let look = if full { Look::Rehash } else { Look::Walk };
        for keeper in &keepers {
            keeper.look(look).await?;
        }
        verify(shared, &[], look, asker).await?;
    }
    for (number, keeper) in keepers.iter().enumerate() {
        let changes = if active {
            let (answer, answered) = oneshot::channel();
            let category = keeper.id.clone();
            shared.order(Order::Diff { category, answer })?;
            let answered = timeout(DIFF_MAX, answered).await;
            answered
                .map_err(|_| format!("{}: the backup did not list what it has in time", keeper.id))?
                .map_err(|_| "the connection with the backup was lost".to_owned())?
        } else {
            // On the Backup: what somebody edited here since the last commit.
            keeper
                .with_disk(|disk| Ok(disk.store().local_edits()))
                .await?
        };
        asker
            .ok(Answer::Differences {
                category: keeper.id.clone(),
                differences: changes.iter().take(ITEMS_MAX).map(Item::from).collect(),
                count: changes.len(),
                last: number + 1 == keepers.len(),
            })
            .await?;
    }
    Ok(())
}

async fn history(shared: &Shared, category: &CategoryId) -> Result<Vec<Generation>, String> {
    let keepers = chosen(shared, Some(category))?;
    let mut generations = Vec::new();
    for keeper in keepers {
        let listed = keeper.with_disk(|disk| {
            let listed = disk.store().history();
            listed.map_err(|error| format!("{}: {error}", disk.id()))
        });
        let listed = listed.await?;
        generations.extend(listed.iter().rev().map(|one| Generation {
            number: one.number,
            epoch: one.record.epoch.0,
            at: one.at,
            root: one.record.root.to_string(),
            changes: one.changes.len(),
        }));
    }
    Ok(generations)
}

async fn roll_back(
    shared: &Arc<Shared>,
    category: &CategoryId,
    generation: u64,
) -> Result<String, String> {
    let epoch = active(shared)?;
    for keeper in chosen(shared, Some(category))? {
        // What was not published yet would be lost without a trace.
        keeper.look(Look::Walk).await?;
        let done = keeper
            .with_disk(move |disk| disk.roll_back(generation, epoch))
            .await;
        done.map_err(|error| format!("{category}: {error}"))?;
        keeper.look(Look::Walk).await?;
    }
    Ok(format!(
        "{category}: generation {generation} is back, as a new one"
    ))
}
