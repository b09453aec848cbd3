//! The asking end of the sync socket, for the command line: plain blocking calls with time limits.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::control::{Answer, LINE_BYTES_MAX, ReplyLine, Request, RequestLine};

/// How long the service may take for one line. It tells progress far more often.
const LINE_MAX: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no sync service is running here: nobody answers at {path}")]
    NoService {
        /// The socket.
        path: String,
    },
    /// The socket is not for this user.
    #[error("no permission for {path}")]
    NoPermission {
        /// The socket.
        path: String,
    },
    /// The service said no.
    #[error("{0}")]
    Refused(String),
    /// The service went silent or hung up, or said what is no answer.
    #[error("the sync service at {path} did not answer: {error}")]
    Lost {
        /// The socket.
        path: String,
        /// What happened.
        error: io::Error,
    },
}

/// A connection to the service.
#[derive(Debug)]
pub struct Client {
    path: String,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connect to the service that listens at `path`.
    ///
    /// # Errors
    /// It does not, or not for us.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let name = path.display().to_string();
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoService { path: name.clone() }
            }
            io::ErrorKind::PermissionDenied => ClientError::NoPermission { path: name.clone() },
            _ => ClientError::Lost {
                path: name.clone(),
                error,
            },
        })?;
        let limited = stream
            .set_read_timeout(Some(LINE_MAX))
            .and_then(|()| stream.set_write_timeout(Some(LINE_MAX)));
        let client = Self {
            path: name,
            stream: BufReader::new(stream),
        };
        limited.map_err(|error| client.lost(error))?;
        Ok(client)
    }

    /// Wait no longer than this for a line.
    ///
    /// # Errors
    /// The socket takes no limit.
    pub fn patience(&self, most: Duration) -> Result<(), ClientError> {
        let stream = self.stream.get_ref();
        let set = stream
            .set_read_timeout(Some(most))
            .and_then(|()| stream.set_write_timeout(Some(most)));
        set.map_err(|error| self.lost(error))
    }

    /// Ask, and give each answer to `each` until it has the last one.
    ///
    /// # Errors
    /// No answer, or no.
    pub fn ask(
        &mut self,
        request: Request,
        mut each: impl FnMut(Answer),
    ) -> Result<(), ClientError> {
        let line = serde_json::to_vec(&RequestLine { request });
        let mut line = line.map_err(|error| self.lost(io::Error::other(error)))?;
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        sent.map_err(|error| self.lost(error))?;
        loop {
            let answer = self.next()?;
            let last = !matches!(
                answer,
                Answer::Progress(_) | Answer::Differences { last: false, .. }
            );
            each(answer);
            if last {
                return Ok(());
            }
        }
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
            Err(error) => Err(self.lost(error.into())),
        }
    }

    fn lost(&self, error: io::Error) -> ClientError {
        ClientError::Lost {
            path: self.path.clone(),
            error,
        }
    }
}
