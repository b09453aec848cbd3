//! One connection: a line in, a line out, until the asker hangs up or breaks a limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, UCred};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use super::refusals::Tell;
use super::rights::{self, Asker, Rights};
use super::{Office, Seat, lock};
use crate::control::{
    AgentStatus, Answer, LANGUAGE, REQUEST_BYTES_MAX, ReplyLine, Request, RequestLine,
};
use crate::node::pair::PairEvent;
use crate::node::{Actor, Event, Stop};

/// How long an asker may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long an asker may take to read a reply.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long the node may take to answer an order.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// How long the user database may take.
const IDENTIFY_MAX: Duration = Duration::from_secs(3);
/// Pause after each request: at most 100 a second on one connection.
const PAUSE: Duration = Duration::from_millis(10);
/// How much of a refused request goes into the record, in characters.
const ASKED_MAX: usize = 120;

/// Why a session ends. All of these are ordinary.
enum End {
    HungUp,
    TooSlow,
    Ended,
}

pub(super) async fn turn_away(mut stream: UnixStream) {
    let line = line_of(&ReplyLine::Error(
        "too many connections; try again later".to_owned(),
    ));
    let _gone = timeout(Duration::from_secs(1), stream.write_all(&line)).await;
}

pub(super) async fn serve(stream: UnixStream, peer: UCred, seat: &Seat) {
    let office = &seat.office;
    let asker = identify(peer).await;
    let rights = office.groups.rights(asker.actor.uid, &asker.groups);
    let (read, write) = stream.into_split();
    let mut session = Session {
        office,
        actor: asker.actor,
        rights,
        write,
    };
    // However it ends, there is nobody left to tell.
    let _ended = session.run(BufReader::new(read)).await;
}

async fn identify(peer: UCred) -> Asker {
    let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid().unwrap_or(0));
    let asked = tokio::task::spawn_blocking(move || rights::identify(uid, gid, pid));
    match timeout(IDENTIFY_MAX, asked).await {
        Ok(Ok(asker)) => asker,
        // Without the user database only the credentials of the socket itself count.
        Ok(Err(_)) | Err(_) => Asker {
            actor: Actor {
                uid,
                pid,
                name: uid.to_string(),
            },
            groups: vec![gid],
        },
    }
}

struct Session<'a> {
    office: &'a Arc<Office>,
    actor: Actor,
    rights: Rights,
    write: OwnedWriteHalf,
}

impl Session<'_> {
    async fn run(&mut self, mut read: BufReader<OwnedReadHalf>) -> Result<(), End> {
        loop {
            let line = match read_line(&mut read).await? {
                Some(line) => line,
                None => {
                    let limit = format!("a request is at most {REQUEST_BYTES_MAX} bytes long");
                    self.error(limit).await?;
                    return Err(End::TooSlow);
                }
            };
            self.answer(&line, &mut read).await?;
            sleep(PAUSE).await;
        }
    }

    async fn answer(&mut self, line: &str, read: &mut BufReader<OwnedReadHalf>) -> Result<(), End> {
        let request = match serde_json::from_str::<RequestLine>(line) {
            Ok(line) => line.request,
            Err(error) => return self.error(format!("not a request: {error}")).await,
        };
        if self.rights < needed(&request) {
            return self.refuse(line, &request).await;
        }
        match request {
            Request::Version => {
                let version = env!("CARGO_PKG_VERSION").to_owned();
                let pid = std::process::id();
                self.ok(Answer::Version {
                    version,
                    language: LANGUAGE,
                    pid,
                })
                .await
            }
            Request::Status => self.status().await,
            Request::Events {
                follow,
                since,
                limit,
            } => self.events(follow, since, limit, read).await,
            Request::Command { command } => {
                let event = |request, actor| Event::OperatorRequested {
                    request,
                    actor,
                    command,
                };
                self.order(event).await
            }
            Request::Pair { command } => {
                let event = |request, actor| {
                    Event::Pair(Box::new(PairEvent::Requested {
                        request,
                        actor,
                        command,
                    }))
                };
                self.order(event).await
            }
            Request::Stop { kind } => self.stop(kind).await,
        }
    }

    async fn status(&mut self) -> Result<(), End> {
        let Some(latest) = self.office.snapshot.latest() else {
            return self
                .error("the agent is just starting; ask again".to_owned())
                .await;
        };
        let status = AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            board: self.office.board.clone(),
            node: latest.status.clone(),
            control_loop: latest.stats.clone(),
            history: self.office.history.get(),
            vips: self.office.vips.clone(),
        };
        self.ok(Answer::Status(Box::new(status))).await
    }

    async fn events(
        &mut self,
        follow: bool,
        since: Option<u64>,
        limit: Option<usize>,
        read: &mut BufReader<OwnedReadHalf>,
    ) -> Result<(), End> {
        let (stored, mut live) = self.office.desk.entries(since, limit);
        for entry in stored {
            self.ok(Answer::Event(Box::new((*entry).clone()))).await?;
        }
        if !follow {
            return self.ok(Answer::End).await;
        }
        let mut hang_up = [0];
        loop {
            tokio::select! {
                entry = live.recv() => match entry {
                    Ok(entry) => self.ok(Answer::Event(Box::new((*entry).clone()))).await?,
                    Err(RecvError::Lagged(skipped)) => {
                        self.error(format!("too slow: {skipped} entries were skipped")).await?;
                    }
                    Err(RecvError::Closed) => return Err(End::Ended),
                },
                // A follower says nothing more; what comes is its end.
                _ = read.read(&mut hang_up) => return Err(End::HungUp),
            }
        }
    }

    async fn order(&mut self, event: impl FnOnce(u64, Actor) -> Event) -> Result<(), End> {
        let Some((request, answer)) = self.office.desk.expect_answer() else {
            return self
                .error("too many orders are waiting; try again later".to_owned())
                .await;
        };
        let event = event(request, self.actor.clone());
        if let Err(behind) = self.office.inlet.tell(event) {
            return self.error(behind.to_string()).await;
        }
        match timeout(ANSWER_MAX, answer).await {
            Ok(Ok(Ok(done))) => self.ok(Answer::Done(done)).await,
            Ok(Ok(Err(refused))) => self.error(refused).await,
            Ok(Err(_)) => self.error("the agent is ending".to_owned()).await,
            Err(_) => {
                let text = "no answer yet; the order stands: look at `status` before repeating it";
                self.error(text.to_owned()).await
            }
        }
    }

    async fn stop(&mut self, kind: Stop) -> Result<(), End> {
        tracing::warn!(
            by = self.actor.name,
            uid = self.actor.uid,
            ?kind,
            "stop requested"
        );
        match self.office.inlet.tell(Event::StopRequested { stop: kind }) {
            Ok(()) => {
                self.ok(Answer::Done("the agent is stopping".to_owned()))
                    .await
            }
            Err(behind) => self.error(behind.to_string()).await,
        }
    }

    async fn refuse(&mut self, line: &str, request: &Request) -> Result<(), End> {
        let reason = match needed(request) {
            Rights::Change => "changing needs root or membership in the operators' group",
            Rights::Read | Rights::None => "reading needs root or membership in the readers' group",
        };
        let told = lock(&self.office.refusals).count(Instant::now());
        if let Tell::Now { untold } = told {
            let more = if untold == 0 {
                String::new()
            } else {
                format!(" ({untold} more before)")
            };
            let event = Event::RequestRefused {
                actor: self.actor.clone(),
                asked: line.chars().take(ASKED_MAX).collect(),
                reason: format!("{reason}{more}"),
            };
            if self.office.inlet.tell(event).is_err() {
                tracing::warn!(
                    by = self.actor.name,
                    "refused request could not be recorded"
                );
            }
        }
        self.error(format!("refused: {reason}")).await
    }

    async fn ok(&mut self, answer: Answer) -> Result<(), End> {
        self.write(&ReplyLine::Ok(answer)).await
    }

    async fn error(&mut self, sentence: String) -> Result<(), End> {
        self.write(&ReplyLine::Error(sentence)).await
    }

    async fn write(&mut self, reply: &ReplyLine) -> Result<(), End> {
        match timeout(WRITE_MAX, self.write.write_all(&line_of(reply))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::HungUp),
            Err(_) => Err(End::TooSlow),
        }
    }
}

const fn needed(request: &Request) -> Rights {
    match request {
        Request::Version | Request::Status | Request::Events { .. } => Rights::Read,
        Request::Command { .. } | Request::Pair { .. } | Request::Stop { .. } => Rights::Change,
    }
}

/// One line without its end; `None` if it is too long to be one.
async fn read_line(read: &mut BufReader<OwnedReadHalf>) -> Result<Option<String>, End> {
    let mut line = Vec::new();
    let mut bounded = read.take(REQUEST_BYTES_MAX as u64 + 1);
    match timeout(SILENCE_MAX, bounded.read_until(b'\n', &mut line)).await {
        Err(_) => Err(End::TooSlow),
        Ok(Err(_) | Ok(0)) => Err(End::HungUp),
        Ok(Ok(_)) if line.ends_with(b"\n") => {
            line.pop();
            Ok(Some(String::from_utf8_lossy(&line).into_owned()))
        }
        Ok(Ok(_)) if line.len() > REQUEST_BYTES_MAX => Ok(None),
        Ok(Ok(_)) => Err(End::HungUp),
    }
}

fn line_of(reply: &ReplyLine) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).unwrap_or_else(|error| {
        format!(
            "{{\"error\":\"reply cannot be written: {}\"}}",
            error.classify() as u8
        )
        .into_bytes()
    });
    line.push(b'\n');
    line
}
