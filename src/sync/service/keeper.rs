//! One category: watches its trees, looks when something may have changed, and publishes what was found while this node
//! is Active. What if a look fails? What was found before is no longer told as the truth, and the reason is shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as Deadline, sleep_until};

use crate::category_id::CategoryId;
use crate::disk::{self, Disk, Found};
use crate::frame::Look;
use crate::lineage::CommitRecord;
use crate::retry::Retry;
use crate::session::{Own, Standing};
use crate::settings::Settings;
use crate::tree::Tree;
use crate::watch::{Gather, Hint, Noticed, Watcher};

/// Everything is walked this often while not everything is watched.
const WALK_EVERY: Duration = Duration::from_secs(5);
/// A file that is being written is looked at again after this long.
const UNSTABLE_AFTER: Duration = Duration::from_millis(200);
/// A save that was begun and never committed is taken up after this long.
const OPEN_MAX: Duration = Duration::from_secs(300);

/// What a keeper is asked.
pub(super) enum Ask {
    /// Look now, and answer when it is done.
    Look(Look, oneshot::Sender<Result<(), String>>),
    /// Publish, even if nothing changed, unless something was published after this commit already.
    Publish { after: Option<CommitRecord> },
    /// A save of many files begins.
    Begin,
    /// It is complete; answer when it is published.
    Commit(oneshot::Sender<Result<(), String>>),
}

/// The way to a keeper.
#[derive(Clone)]
pub(super) struct KeeperHandle {
    pub(super) id: CategoryId,
    pub(super) trees: Vec<Tree>,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) found: watch::Receiver<Found>,
    pub(super) not_taken_up: watch::Receiver<Option<String>>,
    /// Without what was found.
    own: Own,
    asks: mpsc::Sender<Ask>,
    notes: Arc<Mutex<Notes>>,
    /// On the Active: when something was published that no Backup has acknowledged yet, if so.
    behind: Arc<Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct Notes {
    watch: Option<String>,
    look: Option<String>,
    export: Option<String>,
    scan: Vec<String>,
}

impl KeeperHandle {
    /// For how long something has been waiting for a Backup's acknowledgement, if so.
    pub(super) fn behind_for(&self) -> Option<Duration> {
        lock(&self.behind).map(|since| since.elapsed())
    }

    /// The Backup has acknowledged this generation.
    pub(super) fn acknowledged(&self, generation: Option<u64>) {
        let newest = self.found.borrow().lineage.newest();
        if newest.map(|record| record.seq) == generation {
            *lock(&self.behind) = None;
        }
    }

    pub(super) fn own(&self) -> Own {
        let Found { local, lineage } = self.found.borrow().clone();
        Own {
            local,
            lineage,
            ..self.own.clone()
        }
    }

    /// Do something with its disk, where that holds up nobody.
    pub(super) async fn with_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Disk) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let disk = Arc::clone(&self.disk);
        let done = tokio::task::spawn_blocking(move || work(&mut lock(&disk)));
        done.await.unwrap_or_else(|_| Err(ending()))
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let notes = lock(&self.notes);
        let not_taken_up = self.not_taken_up.borrow();
        let all = notes
            .watch
            .iter()
            .chain(&notes.look)
            .chain(&notes.export)
            .chain(not_taken_up.iter())
            .chain(&notes.scan);
        all.map(|note| format!("{}: {note}", self.id)).collect()
    }

    pub(super) async fn ask(&self, ask: Ask) {
        // A keeper ends with the service.
        let _ending = self.asks.send(ask).await;
    }

    /// Have it look, and wait.
    pub(super) async fn look(&self, look: Look) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Look(look, answer)).await;
        answered.await.unwrap_or_else(|_| Err(ending()))
    }

    pub(super) async fn commit(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Commit(answer)).await;
        answered.await.unwrap_or_else(|_| Err(ending()))
    }
}

fn ending() -> String {
    "the service is ending".to_owned()
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module.
struct Keeper {
    disk: Arc<Mutex<Disk>>,
    found: watch::Sender<Found>,
    standing: watch::Receiver<Standing>,
    notes: Arc<Mutex<Notes>>,
    behind: Arc<Mutex<Option<Instant>>>,
    watcher: Option<Watcher>,
    gather: Gather,
    started: Instant,
    scrub_every: Duration,
    scrub_at: Deadline,
    walk_at: Deadline,
    export_every: Option<Duration>,
    export_at: Deadline,
    not_taken_up: watch::Receiver<Option<String>>,
    /// When the programs that did not take up a generation are asked again.
    retry: Retry,
}

/// Start one; it ends with the runtime.
pub(super) fn start(
    disk: Disk,
    settings: &Settings,
    standing: watch::Receiver<Standing>,
) -> KeeperHandle {
    let (id, trees, own) = (disk.id().clone(), disk.trees().to_vec(), disk.own());
    let (found, founds) = watch::channel(Found {
        local: None,
        lineage: own.lineage.clone(),
    });
    let (asks, asked) = mpsc::channel(16);
    let notes = Arc::new(Mutex::new(Notes::default()));
    let behind = Arc::default();
    let export_every = disk.exported_every();
    let not_taken_up = disk.not_taken_up();
    let watcher = Watcher::new(trees.clone());
    let unwatched = watcher.as_ref().err().map(|error| {
        format!(
            "nothing is watched: {error}; everything is walked every {} s",
            WALK_EVERY.as_secs()
        )
    });
    lock(&notes).watch = unwatched;
    let disk = Arc::new(Mutex::new(disk));
    let keeper = Keeper {
        disk: Arc::clone(&disk),
        found,
        standing,
        notes: Arc::clone(&notes),
        behind: Arc::clone(&behind),
        watcher: watcher.ok(),
        gather: Gather::new(settings.quiet, settings.hold, OPEN_MAX),
        started: Instant::now(),
        scrub_every: settings.scrub_every,
        scrub_at: Deadline::now() + settings.scrub_every,
        walk_at: Deadline::now() + WALK_EVERY,
        export_every,
        export_at: Deadline::now(),
        not_taken_up: not_taken_up.clone(),
        retry: Retry::default(),
    };
    tokio::spawn(keeper.run(asked));
    KeeperHandle {
        id,
        trees,
        disk,
        found: founds,
        not_taken_up,
        own,
        asks,
        notes,
        behind,
    }
}

impl Keeper {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        // What fails is shown, and tried again.
        let _shown = self.look(Look::Walk).await;
        loop {
            let far = Deadline::now() + Duration::from_secs(3600);
            let ready = self
                .gather
                .ready_at()
                .map(|at| Deadline::from_std(self.started + at));
            let again = self.again_at().unwrap_or(far);
            tokio::select! {
                hint = hint(&mut self.watcher) => self.hinted(hint),
                () = sleep_until(ready.unwrap_or(far)) => self.gathered().await,
                ask = asked.recv() => match ask {
                    Some(ask) => self.asked(ask).await,
                    None => return,
                },
                () = sleep_until(self.scrub_at) => {
                    let _shown = self.look(Look::Rehash).await;
                    self.scrub_at = Deadline::now() + self.scrub_every;
                }
                () = sleep_until(self.walk_at) => self.walk_if_blind().await,
                Ok(()) = self.not_taken_up.changed() => self.tried(),
                () = sleep_until(again) => self.take_up_again().await,
                () = sleep_until(self.export_at), if self.export_every.is_some() => {
                    self.export().await;
                }
                changed = self.standing.changed() => match changed {
                    Ok(()) => {
                        self.export().await;
                        drop(self.look(Look::Walk).await);
                    }
                    Err(_) => return,
                },
            }
        }
    }

    /// What comes of it is a change like any other, which the watcher tells.
    async fn export(&mut self) {
        let Some(every) = self.export_every else {
            return;
        };
        self.export_at = Deadline::now() + every;
        let active = matches!(*self.standing.borrow(), Standing::Active { .. });
        let disk = Arc::clone(&self.disk);
        let done = tokio::task::spawn_blocking(move || lock(&disk).export(active)).await;
        lock(&self.notes).export = done.unwrap_or_else(|_| Err(ending())).err();
    }

    /// An attempt to have the programs take up what is in place ended.
    fn tried(&mut self) {
        if self.not_taken_up.borrow_and_update().is_some() {
            self.retry.failed(self.started.elapsed());
        } else {
            self.retry = Retry::default();
        }
    }

    /// Only the Backup asks them again: what the Active holds is not to be imported over.
    fn again_at(&self) -> Option<Deadline> {
        let backup = matches!(*self.standing.borrow(), Standing::Backup { .. });
        // What came of the last attempt has to be counted first.
        let counted = matches!(self.not_taken_up.has_changed(), Ok(false));
        if !backup || !counted || self.not_taken_up.borrow().is_none() {
            return None;
        }
        let now = self.started.elapsed();
        let at = self.retry.deadline(now).unwrap_or(now);
        Some(Deadline::from_std(self.started + at))
    }

    async fn take_up_again(&mut self) {
        let disk = Arc::clone(&self.disk);
        let again = move || lock(&disk).take_up_again();
        // What comes of it is told by the disk; a task that did not end well is that of a service that ends.
        let _ending = tokio::task::spawn_blocking(again).await;
    }

    fn hinted(&mut self, noticed: std::io::Result<Noticed>) {
        let noticed = noticed.unwrap_or_else(|error| {
            lock(&self.notes).watch =
                Some(format!("the watcher ended: {error}; everything is walked"));
            self.watcher = None;
            Noticed::loose(Hint::Everything)
        });
        self.gather.notice(self.started.elapsed(), noticed);
    }

    async fn gathered(&mut self) {
        if let Some(hint) = self.gather.take(self.started.elapsed()) {
            let _shown = self.scan(move |disk| disk.look_at(&hint)).await;
        }
    }

    async fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Look(look, answer) => {
                let outcome = self.look(look).await;
                let _gone = answer.send(outcome);
            }
            Ask::Publish { after } => self.publish_anew(after).await,
            Ask::Begin => self.gather.open(self.started.elapsed()),
            Ask::Commit(answer) => {
                self.gather.close();
                // What the kernel has not told yet is seen by a walk.
                let _taken = self.gather.take(self.started.elapsed());
                let outcome = self.look(Look::Walk).await;
                let _gone = answer.send(outcome);
            }
        }
    }

    async fn walk_if_blind(&mut self) {
        self.walk_at = Deadline::now() + WALK_EVERY;
        let blind = match &mut self.watcher {
            None => true,
            Some(watcher) => {
                let degraded = watcher.degraded().map(str::to_owned);
                let blind = degraded.is_some();
                lock(&self.notes).watch = degraded;
                if blind {
                    watcher.watch_everything();
                }
                blind
            }
        };
        if blind {
            let _shown = self.look(Look::Walk).await;
        }
    }

    async fn look(&mut self, look: Look) -> Result<(), String> {
        self.scan(move |disk| disk.look(look)).await
    }

    /// A look may have published while the session was asking: a commit besides would be one of nothing.
    async fn publish_anew(&mut self, after: Option<CommitRecord>) {
        let standing = *self.standing.borrow_and_update();
        let Standing::Active { epoch } = standing else {
            return;
        };
        let publish = move |disk: &mut Disk| {
            if disk.store().applied().lineage.newest() != after {
                return Ok(false);
            }
            disk.publish(epoch, true)
        };
        if self.on_disk(publish).await == Ok(true) {
            lock(&self.behind).get_or_insert_with(Instant::now);
        }
    }

    async fn scan(
        &mut self,
        look: impl FnOnce(&mut Disk) -> Result<crate::scan::Scan, String> + Send + 'static,
    ) -> Result<(), String> {
        let standing = *self.standing.borrow_and_update();
        let outcome = self.on_disk(move |disk| {
            let scan = look(disk)?;
            let published = match standing {
                Standing::Active { epoch } => disk.publish(epoch, false)?,
                Standing::Backup { .. } | Standing::Unknown => false,
            };
            Ok((scan, published))
        });
        let began = Instant::now();
        let (scan, published) = outcome.await?;
        match standing {
            Standing::Active { .. } if published => {
                lock(&self.behind).get_or_insert(began);
            }
            Standing::Backup { .. } => *lock(&self.behind) = None,
            Standing::Active { .. } | Standing::Unknown => {}
        }
        lock(&self.notes).scan = disk::notes(&scan);
        if !scan.unstable.is_empty() {
            let again = Hint::Paths(scan.unstable.into_iter().collect());
            self.gather
                .add(self.started.elapsed() + UNSTABLE_AFTER, again);
        }
        Ok(())
    }

    /// Do something with the disk, and tell what it then holds.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Disk) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let disk = Arc::clone(&self.disk);
        let done = tokio::task::spawn_blocking(move || {
            let mut disk = lock(&disk);
            work(&mut disk).map(|done| (done, disk.found()))
        });
        let outcome = done.await.unwrap_or_else(|_| Err(ending()));
        match outcome {
            Ok((done, found)) => {
                lock(&self.notes).look = None;
                self.found.send_replace(found);
                Ok(done)
            }
            Err(error) => {
                tracing::warn!("{error}");
                lock(&self.notes).look = Some(error.clone());
                self.found.send_modify(|found| found.local = None);
                Err(error)
            }
        }
    }
}

async fn hint(watcher: &mut Option<Watcher>) -> std::io::Result<Noticed> {
    match watcher {
        Some(watcher) => watcher.next().await,
        None => std::future::pending().await,
    }
}
