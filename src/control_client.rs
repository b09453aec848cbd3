//! The asking end of the control socket, for the command line: plain blocking calls with time limits.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::control::{Answer, LINE_BYTES_MAX, ReplyLine, Request, RequestLine};

/// How long the agent may take for one reply. Longer than it gives itself for an order.
const REPLY_MAX: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no agent is running here: nobody answers at {path}")]
    NoAgent {
        /// The socket.
        path: String,
    },
    /// The socket is not for this user.
    #[error(
        "no permission for {path}: readers need to be in its group, operators in both groups (see `ls -l {path}`; log in again after joining)"
    )]
    NoPermission {
        /// The socket.
        path: String,
    },
    /// The agent said no.
    #[error("{0}")]
    Refused(String),
    /// The agent went silent or hung up.
    #[error("the agent at {path} did not answer: {error}")]
    Lost {
        /// The socket.
        path: String,
        /// What happened.
        error: io::Error,
    },
    /// The agent's answer makes no sense here.
    #[error(
        "the agent at {path} answered something this program does not know: {error}; are both of one version?"
    )]
    Foreign {
        /// The socket.
        path: String,
        /// Why not.
        error: String,
    },
}

/// A connection to the agent.
pub struct Client {
    path: String,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connect to the agent that listens at `path`.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let name = path.display().to_string();
        let stream = match UnixStream::connect(path) {
            Ok(stream) => stream,
            Err(error) => {
                return Err(match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        ClientError::NoAgent { path: name }
                    }
                    io::ErrorKind::PermissionDenied => ClientError::NoPermission { path: name },
                    _ => ClientError::Lost { path: name, error },
                });
            }
        };
        let mut client = Self {
            path: name,
            stream: BufReader::new(stream),
        };
        client.limit(Some(REPLY_MAX))?;
        Ok(client)
    }

    /// Wait no longer than this for an answer from now on.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn patience(&mut self, most: Duration) -> Result<(), ClientError> {
        self.limit(Some(most))
    }

    /// Ask once, get one answer.
    pub fn ask(&mut self, request: Request) -> Result<Answer, ClientError> {
        self.send(request)?;
        self.next()
    }

    /// Ask for events; each is given to `each` until it says stop, the stored ones end (unless `follow`), or
    /// the agent goes.
    pub fn events(
        &mut self,
        request: Request,
        mut each: impl FnMut(Answer) -> std::ops::ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let follow = matches!(request, Request::Events { follow: true, .. });
        self.send(request)?;
        if follow {
            // Nothing may happen for days.
            self.limit(None)?;
        }
        loop {
            let answer = self.next()?;
            let end = answer == Answer::End;
            if each(answer).is_break() || end {
                return Ok(());
            }
        }
    }

    fn limit(&mut self, most: Option<Duration>) -> Result<(), ClientError> {
        let stream = self.stream.get_ref();
        let set = stream
            .set_read_timeout(most)
            .and_then(|()| stream.set_write_timeout(Some(REPLY_MAX)));
        set.map_err(|error| self.lost(error))
    }

    fn send(&mut self, request: Request) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(&RequestLine { request })
            .map_err(|error| self.lost(io::Error::other(error)))?;
        line.push(b'\n');
        self.stream
            .get_mut()
            .write_all(&line)
            .map_err(|error| self.lost(error))
    }

    fn next(&mut self) -> Result<Answer, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line);
        match read {
            Err(error) => return Err(self.lost(error)),
            Ok(0) => return Err(self.lost(io::Error::other("it hung up"))),
            Ok(_) => {}
        }
        match serde_json::from_slice(&line) {
            Ok(ReplyLine::Ok(answer)) => Ok(answer),
            Ok(ReplyLine::Error(sentence)) => Err(ClientError::Refused(sentence)),
            Err(error) => Err(ClientError::Foreign {
                path: self.path.clone(),
                error: error.to_string(),
            }),
        }
    }

    fn lost(&self, error: io::Error) -> ClientError {
        ClientError::Lost {
            path: self.path.clone(),
            error,
        }
    }
}
