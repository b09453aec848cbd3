//! A virtual board behind a Unix socket, in place of the kernel's buses and lines.
//!
//! The second real implementation of the bus traits: tests run the whole agent without kernel devices, and the rig
//! compares both. One connection stands for one process: when it ends, its lines float, exactly as with the
//! kernel's descriptors. A board that does not answer in time is a bus that hangs.
//!
//! What if this dies here? The connection closes and the board lets go of our lines.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::board::bus::{BusError, Clock, Lines, SmBus};
use crate::board::open::Wiring;
use crate::board::plain_i2c::{Alone, PlainI2c};
use crate::board::profile::{Active, AdapterRef, LineRef};
use crate::sim::remote::{
    Fault, I2cOperation, LineMode, LineRequest, Reply, Request, read_frame, write_frame,
};

/// Longest wait for an answer. Far longer than a transaction, so that a slow machine is not a fault of the board;
/// a board whose bus is stuck says so itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the board's I2C adapter offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// Plain I2C, so everything.
    Plain,
    /// Byte and word transfers only, as some chipsets' SMBus controllers.
    WithoutBlocks,
}

/// A connection to a virtual board.
pub struct RemoteBoard {
    connection: Connection,
    names: Vec<String>,
    adapter: Adapter,
    clock: Box<dyn Fn() -> Box<dyn Clock>>,
}

impl RemoteBoard {
    /// Connect to the board's socket.
    ///
    /// # Errors
    /// [`BusError::Absent`] if nobody listens there; [`BusError::Io`] if what answers is no virtual board.
    pub fn connect(
        socket: &Path,
        adapter: Adapter,
        clock: impl Fn() -> Box<dyn Clock> + 'static,
    ) -> Result<Self, BusError> {
        let place = socket.display().to_string();
        let absent = |error: io::Error| BusError::Absent {
            what: format!("virtual board at {place} ({error})"),
            advice: "start it first".to_owned(),
        };
        let stream = UnixStream::connect(socket).map_err(absent)?;
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .map_err(absent)?;
        stream
            .set_write_timeout(Some(ANSWER_WITHIN))
            .map_err(absent)?;
        let connection = Connection {
            stream: Arc::new(Mutex::new(stream)),
            place: Arc::from(place.as_str()),
        };
        match connection.ask(&Request::LineNames)? {
            Reply::Names(names) => Ok(Self {
                connection,
                names,
                adapter,
                clock: Box::new(clock),
            }),
            other => Err(connection.odd(&other)),
        }
    }

    fn lines(&self, lines: &[LineRef], mode: Mode) -> Result<Box<dyn Lines>, BusError> {
        let offsets = lines
            .iter()
            .map(|line| self.offset(&line.name))
            .collect::<Result<Vec<_>, _>>()?;
        let group = RemoteLines {
            connection: self.connection.clone(),
            names: lines.iter().map(|line| line.name.clone()).collect(),
            actives: lines.iter().map(|line| line.active).collect(),
            offsets,
        };
        group.take(&vec![LineMode::Input; group.names.len()])?;
        if mode == Mode::Driven {
            // Held as inputs the lines show the level they have by themselves; driven at that, nothing moves.
            let levels = group.levels()?;
            let modes: Vec<LineMode> = levels
                .into_iter()
                .map(|level| LineMode::Output { level })
                .collect();
            group.take(&modes)?;
        }
        Ok(Box::new(group))
    }

    fn offset(&self, name: &str) -> Result<usize, BusError> {
        let mut matching = self
            .names
            .iter()
            .enumerate()
            .filter(|(_, known)| *known == name);
        match (matching.next(), matching.next()) {
            (Some((offset, _)), None) => Ok(offset),
            _ => Err(BusError::Absent {
                what: format!(
                    "exactly one GPIO line `{name}` at {}",
                    self.connection.place
                ),
                advice: format!("the board has: {}", self.names.join(", ")),
            }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Driven,
}

impl Wiring for RemoteBoard {
    /// A virtual board has one bus, whatever the profile calls it.
    fn smbus(&mut self, _adapter: &AdapterRef) -> Result<Box<dyn SmBus>, BusError> {
        let bus = RemoteI2c(self.connection.clone());
        let name = format!("virtual board at {}", self.connection.place);
        let bus = PlainI2c::new(bus, Alone, name).explained_by(explain);
        Ok(match self.adapter {
            Adapter::Plain => Box::new(bus),
            Adapter::WithoutBlocks => Box::new(bus.without_blocks()),
        })
    }

    fn outputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        self.lines(lines, Mode::Driven)
    }

    fn inputs(&mut self, lines: &[LineRef]) -> Result<Box<dyn Lines>, BusError> {
        self.lines(lines, Mode::Read)
    }

    fn clock(&self) -> Box<dyn Clock> {
        (self.clock)()
    }
}

/// One request, one reply, in order.
#[derive(Debug, Clone)]
struct Connection {
    stream: Arc<Mutex<UnixStream>>,
    place: Arc<str>,
}

impl Connection {
    fn ask(&self, request: &Request) -> Result<Reply, BusError> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = write_frame(&mut *stream, request).and_then(|()| read_frame(&mut *stream));
        let error = match reply {
            Ok(Some(reply)) => return Ok(reply),
            Ok(None) => "it closed the connection".to_owned(),
            Err(error) => error.to_string(),
        };
        // What is still on its way would be taken for the answer to the next request.
        let _ = stream.shutdown(std::net::Shutdown::Both);
        Err(BusError::Io {
            what: format!("virtual board at {}", self.place),
            error,
        })
    }

    fn odd(&self, reply: &Reply) -> BusError {
        BusError::Io {
            what: format!("virtual board at {}", self.place),
            error: format!("an answer to another question: {reply:?}"),
        }
    }
}

/// Lines held by the connection.
struct RemoteLines {
    connection: Connection,
    names: Vec<String>,
    actives: Vec<Active>,
    offsets: Vec<usize>,
}

impl RemoteLines {
    fn take(&self, modes: &[LineMode]) -> Result<(), BusError> {
        let pairs = self.offsets.iter().zip(modes);
        let lines = pairs
            .map(|(line, mode)| LineRequest {
                line: *line,
                mode: *mode,
            })
            .collect();
        self.done(&Request::RequestLines { lines })
    }

    fn levels(&self) -> Result<Vec<bool>, BusError> {
        match self.connection.ask(&Request::GetLines {
            lines: self.offsets.clone(),
        })? {
            Reply::Levels(levels) if levels.len() == self.offsets.len() => Ok(levels),
            Reply::Failed(fault) => Err(self.failed(fault)),
            other => Err(self.connection.odd(&other)),
        }
    }

    fn done(&self, request: &Request) -> Result<(), BusError> {
        match self.connection.ask(request)? {
            Reply::Done => Ok(()),
            Reply::Failed(fault) => Err(self.failed(fault)),
            other => Err(self.connection.odd(&other)),
        }
    }

    fn failed(&self, fault: Fault) -> BusError {
        let what = format!("GPIO lines {}", self.names.join(", "));
        match fault {
            Fault::Busy { line } => {
                let place = self.offsets.iter().position(|offset| *offset == line);
                let name = place.and_then(|place| self.names.get(place));
                BusError::Busy {
                    what: format!("GPIO line {}", name.map_or("", String::as_str)),
                    holder: "another process: is a second agent running?".to_owned(),
                }
            }
            other => BusError::Io {
                what,
                error: other.to_string(),
            },
        }
    }

    fn flip(&self, levels: &[bool]) -> Vec<bool> {
        let pairs = levels.iter().zip(&self.actives);
        pairs
            .map(|(level, active)| *level == (*active == Active::High))
            .collect()
    }
}

impl Lines for RemoteLines {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn set(&mut self, levels: &[bool]) -> Result<(), BusError> {
        let values = self
            .offsets
            .iter()
            .copied()
            .zip(self.flip(levels))
            .collect();
        self.done(&Request::SetLines { values })
    }

    fn get(&mut self) -> Result<Vec<bool>, BusError> {
        Ok(self.flip(&self.levels()?))
    }
}

impl Drop for RemoteLines {
    fn drop(&mut self) {
        // The connection may be gone already, and the lines with it.
        let _ = self.connection.ask(&Request::ReleaseLines {
            lines: self.offsets.clone(),
        });
    }
}

/// The board's bus, as an `embedded_hal` one.
struct RemoteI2c(Connection);

/// Why the board's bus failed.
#[derive(Debug)]
enum RemoteError {
    Board(Fault),
    Connection(BusError),
}

impl embedded_hal::i2c::Error for RemoteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Board(Fault::Nack) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::Board(Fault::Stuck) => ErrorKind::Bus,
            Self::Board(_) | Self::Connection(_) => ErrorKind::Other,
        }
    }
}

impl ErrorType for RemoteI2c {
    type Error = RemoteError;
}

impl I2c for RemoteI2c {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), RemoteError> {
        let asked = operations
            .iter()
            .map(|operation| match operation {
                Operation::Write(bytes) => I2cOperation::Write(bytes.to_vec()),
                Operation::Read(bytes) => I2cOperation::Read(bytes.len()),
            })
            .collect();
        let request = Request::I2c {
            bus: 0,
            address,
            operations: asked,
        };
        let reply = self.0.ask(&request).map_err(RemoteError::Connection)?;
        let read = match reply {
            Reply::I2c { read } => read,
            Reply::Failed(fault) => return Err(RemoteError::Board(fault)),
            other => return Err(RemoteError::Connection(self.0.odd(&other))),
        };
        let buffers = operations
            .iter_mut()
            .filter_map(|operation| match operation {
                Operation::Read(bytes) => Some(bytes),
                Operation::Write(_) => None,
            });
        let mut answers = read.into_iter();
        for buffer in buffers {
            match answers.next() {
                Some(bytes) if bytes.len() == buffer.len() => buffer.copy_from_slice(&bytes),
                _ => {
                    let odd = self.0.odd(&Reply::I2c { read: vec![] });
                    return Err(RemoteError::Connection(odd));
                }
            }
        }
        Ok(())
    }
}

fn explain(error: &RemoteError, adapter: &str, address: u8, transaction: &str) -> BusError {
    let adapter = adapter.to_owned();
    let transaction = transaction.to_owned();
    match error {
        RemoteError::Board(Fault::Nack) => BusError::Nack {
            adapter,
            address,
            transaction,
        },
        RemoteError::Board(Fault::Stuck) => BusError::Timeout {
            adapter,
            address,
            transaction,
        },
        RemoteError::Board(Fault::Unsupported) => BusError::Unsupported {
            adapter,
            transaction,
            offers: "what its scenario left it".to_owned(),
        },
        RemoteError::Board(fault) => BusError::Io {
            what: format!("{transaction} at 0x{address:02x} on {adapter}"),
            error: fault.to_string(),
        },
        RemoteError::Connection(error) => error.clone(),
    }
}

#[cfg(test)]
mod tests;
