//! The board over a Unix socket, for an agent that runs natively: no guest, no kernel device.
//!
//! Contract: protocol and line ownership of `fencepost::sim::remote`. Each connection is one process holding kernel handles:
//! when it closes, for whatever reason, its lines float. A request that breaks the protocol ends the connection, as a
//! kernel handle would not survive its process.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use embedded_hal::i2c::Operation;
use fencepost::sim::port::{I2cFault, LineDirection};
use fencepost::sim::remote::{
    Fault, I2cOperation, LineMode, LineRequest, Reply, Request, read_frame, write_frame,
};

use crate::board::Board;
use crate::error::{AtPath, Result};
use crate::vhost::i2c::Shape;

/// Longest I2C message, bytes: the kernel's own limit.
const MESSAGE_MAX: usize = 8192;
/// Most messages of one transaction: the kernel's own limit.
const OPERATIONS_MAX: usize = 42;

/// A board served on a socket; ends with it.
pub struct Server {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    board: Board,
    shape: Shape,
    lines: Mutex<Lines>,
    stop: AtomicBool,
}

/// Who holds what.
#[derive(Default)]
struct Lines {
    held: BTreeMap<usize, Holder>,
    connections: BTreeMap<u64, UnixStream>,
}

#[derive(Clone, Copy)]
struct Holder {
    connection: u64,
    output: bool,
}

/// Serves `board` on `path`, which is made anew.
pub fn serve(path: &Path, board: Board, shape: Shape) -> Result<Server> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).at("cannot listen on", path)?;
    let shared = Arc::new(Shared {
        board,
        shape,
        lines: Mutex::default(),
        stop: AtomicBool::new(false),
    });
    let theirs = Arc::clone(&shared);
    let thread = std::thread::spawn(move || accept(&listener, &theirs));
    Ok(Server {
        path: path.to_path_buf(),
        shared,
        thread: Some(thread),
    })
}

impl Server {
    /// Hangs up on everybody, as if the board had lost power for an instant. They may connect again.
    pub fn disconnect_all(&self) {
        for stream in self.shared.lines().connections.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.disconnect_all();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for (stream, connection) in listener.incoming().zip(0..) {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(handle) = stream.try_clone() else {
            continue;
        };
        shared.lines().connections.insert(connection, handle);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            if let Err(error) = shared.serve(connection, stream) {
                tracing::debug!("board socket, connection {connection}: {error}");
            }
            shared.close(connection);
        });
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, connection: u64, mut stream: UnixStream) -> io::Result<()> {
        while let Some(request) = read_frame::<Request>(&mut stream)? {
            let reply = self
                .answer(connection, request)
                .unwrap_or_else(Reply::Failed);
            write_frame(&mut stream, &reply)?;
        }
        Ok(())
    }

    fn close(&self, connection: u64) {
        let mut lines = self.lines();
        lines.connections.remove(&connection);
        let held: Vec<usize> = lines.held_by(connection).collect();
        self.release(&mut lines, connection, &held);
    }

    fn answer(&self, connection: u64, request: Request) -> std::result::Result<Reply, Fault> {
        match request {
            Request::LineNames => Ok(Reply::Names(self.board.with(|port, _| port.line_names()))),
            Request::I2c {
                bus,
                address,
                operations,
            } => self.i2c(bus, address, operations),
            Request::RequestLines { lines } => self.take(connection, &lines),
            Request::ReleaseLines { lines } => {
                self.release(&mut self.lines(), connection, &lines);
                Ok(Reply::Done)
            }
            Request::SetLines { values } => self.set(connection, &values),
            Request::GetLines { lines } => self.get(connection, &lines),
        }
    }

    fn i2c(
        &self,
        bus: usize,
        address: u8,
        operations: Vec<I2cOperation>,
    ) -> std::result::Result<Reply, Fault> {
        if bus != 0 {
            return Err(Fault::NoSuchBus { bus });
        }
        let length = |operation: &I2cOperation| match operation {
            I2cOperation::Write(bytes) => bytes.len(),
            I2cOperation::Read(length) => *length,
        };
        let too_long = operations
            .iter()
            .any(|operation| length(operation) > MESSAGE_MAX);
        let messages: Vec<(bool, usize)> = operations
            .iter()
            .map(|operation| {
                (
                    matches!(operation, I2cOperation::Read(_)),
                    length(operation),
                )
            })
            .collect();
        if too_long || operations.len() > OPERATIONS_MAX || !self.shape.accepts(&messages) {
            return Err(Fault::Unsupported);
        }
        self.transact(address, operations)
    }

    fn transact(
        &self,
        address: u8,
        operations: Vec<I2cOperation>,
    ) -> std::result::Result<Reply, Fault> {
        let mut buffers: Vec<(bool, Vec<u8>)> = operations
            .into_iter()
            .map(|operation| match operation {
                I2cOperation::Write(bytes) => (false, bytes),
                I2cOperation::Read(length) => (true, vec![0; length]),
            })
            .collect();
        let mut borrowed: Vec<Operation<'_>> = buffers
            .iter_mut()
            .map(|(read, bytes)| match read {
                true => Operation::Read(bytes),
                false => Operation::Write(bytes),
            })
            .collect();
        let done = self.board.i2c(address, &mut borrowed);
        match done {
            Ok(()) => {
                let read = buffers.into_iter().filter(|(read, _)| *read);
                Ok(Reply::I2c {
                    read: read.map(|(_, bytes)| bytes).collect(),
                })
            }
            Err(I2cFault::Nack) => Err(Fault::Nack),
            Err(I2cFault::Stuck) => Err(Fault::Stuck),
        }
    }

    /// All or none, as one kernel line handle.
    fn take(&self, connection: u64, wanted: &[LineRequest]) -> std::result::Result<Reply, Fault> {
        let mut lines = self.lines();
        for request in wanted {
            let line = request.line;
            if line >= self.board.lines() {
                return Err(Fault::NoSuchLine { line });
            }
            if lines
                .held
                .get(&line)
                .is_some_and(|holder| holder.connection != connection)
            {
                return Err(Fault::Busy { line });
            }
        }
        self.board.with(|port, now| {
            for LineRequest { line, mode } in wanted.iter().copied() {
                if let LineMode::Output { level } = mode {
                    // Level first, direction second: as the kernel's drivers do, so that no other level shows.
                    port.line_set(now, line, level);
                }
                let output = matches!(mode, LineMode::Output { .. });
                let direction = if output {
                    LineDirection::Output
                } else {
                    LineDirection::Input
                };
                port.line_direction(now, line, direction);
                lines.held.insert(line, Holder { connection, output });
            }
        });
        Ok(Reply::Done)
    }

    fn release(&self, lines: &mut Lines, connection: u64, wanted: &[usize]) {
        for line in wanted {
            let holder = lines.held.get(line);
            if holder.is_some_and(|holder| holder.connection == connection) {
                lines.held.remove(line);
                self.board.with(|port, now| {
                    port.line_direction(now, *line, LineDirection::Released);
                });
            }
        }
    }

    fn set(&self, connection: u64, values: &[(usize, bool)]) -> std::result::Result<Reply, Fault> {
        let lines = self.lines();
        for (line, _) in values {
            lines.check(connection, *line, true)?;
        }
        self.board.with(|port, now| {
            for (line, level) in values {
                port.line_set(now, *line, *level);
            }
        });
        Ok(Reply::Done)
    }

    fn get(&self, connection: u64, wanted: &[usize]) -> std::result::Result<Reply, Fault> {
        let lines = self.lines();
        for line in wanted {
            lines.check(connection, *line, false)?;
        }
        let levels = self.board.with(|port, now| {
            wanted
                .iter()
                .map(|line| port.line_get(now, *line))
                .collect()
        });
        Ok(Reply::Levels(levels))
    }
}

impl Lines {
    fn held_by(&self, connection: u64) -> impl Iterator<Item = usize> {
        let held = self.held.iter();
        held.filter(move |(_, holder)| holder.connection == connection)
            .map(|(line, _)| *line)
    }

    fn check(&self, connection: u64, line: usize, output: bool) -> std::result::Result<(), Fault> {
        match self.held.get(&line) {
            Some(holder) if holder.connection == connection && (holder.output || !output) => Ok(()),
            _ => Err(Fault::NotHeld { line }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Bench, MEMORY_ADDRESS};
    use crate::board::Clock;
    use std::time::{Duration, Instant};

    struct Agent(UnixStream);

    impl Agent {
        fn ask(&mut self, request: Request) -> Reply {
            write_frame(&mut self.0, &request).unwrap();
            read_frame(&mut self.0).unwrap().unwrap()
        }

        fn take(&mut self, line: usize, mode: LineMode) -> Reply {
            self.ask(Request::RequestLines {
                lines: vec![LineRequest { line, mode }],
            })
        }
    }

    fn rig(shape: Shape) -> (tempfile::TempDir, Server, Board) {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(Arc::new(Mutex::new(Bench::default())), Clock::start());
        let server = serve(&folder.path().join("board"), board.clone(), shape).unwrap();
        (folder, server, board)
    }

    fn agent(server: &Server) -> Agent {
        Agent(UnixStream::connect(&server.path).unwrap())
    }

    fn i2c(operations: Vec<I2cOperation>) -> Request {
        Request::I2c {
            bus: 0,
            address: MEMORY_ADDRESS,
            operations,
        }
    }

    #[test]
    fn an_agent_that_dies_lets_go_of_its_lines() {
        let (_folder, server, board) = rig(Shape::Plain);
        let (mut first, mut second) = (agent(&server), agent(&server));
        assert_eq!(first.take(3, LineMode::Output { level: true }), Reply::Done);
        assert!(board.with(|port, now| port.line_get(now, 11)));
        assert_eq!(
            second.take(3, LineMode::Input),
            Reply::Failed(Fault::Busy { line: 3 })
        );

        drop(first);
        let until = Instant::now() + Duration::from_secs(60);
        while second.take(3, LineMode::Input) != Reply::Done {
            assert!(Instant::now() < until, "the line was never released");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!board.with(|port, now| port.line_get(now, 11)));
    }

    #[test]
    fn a_request_of_lines_is_all_or_none() {
        let (_folder, server, board) = rig(Shape::Plain);
        let (mut first, mut second) = (agent(&server), agent(&server));
        assert_eq!(first.take(1, LineMode::Input), Reply::Done);
        let output = LineMode::Output { level: true };
        let lines = [0, 1]
            .map(|line| LineRequest { line, mode: output })
            .to_vec();
        let refused = second.ask(Request::RequestLines { lines });
        assert_eq!(refused, Reply::Failed(Fault::Busy { line: 1 }));
        assert!(
            !board.with(|port, now| port.line_get(now, 8)),
            "line 0 was driven all the same"
        );
        assert_eq!(first.take(0, LineMode::Input), Reply::Done);
        let no_line = first.take(16, LineMode::Input);
        assert_eq!(no_line, Reply::Failed(Fault::NoSuchLine { line: 16 }));
    }

    #[test]
    fn only_held_outputs_can_be_driven() {
        let (_folder, server, _board) = rig(Shape::Plain);
        let mut agent = agent(&server);
        let drive = |agent: &mut Agent| {
            agent.ask(Request::SetLines {
                values: vec![(2, true)],
            })
        };
        assert_eq!(drive(&mut agent), Reply::Failed(Fault::NotHeld { line: 2 }));
        agent.take(2, LineMode::Input);
        assert_eq!(drive(&mut agent), Reply::Failed(Fault::NotHeld { line: 2 }));
        agent.take(2, LineMode::Output { level: false });
        assert_eq!(drive(&mut agent), Reply::Done);
        assert_eq!(
            agent.ask(Request::GetLines { lines: vec![2] }),
            Reply::Levels(vec![true])
        );
    }

    #[test]
    fn transactions_reach_the_bus_and_its_faults_come_back() {
        let (_folder, server, _board) = rig(Shape::Plain);
        let mut agent = agent(&server);
        let write = i2c(vec![I2cOperation::Write(vec![7, 1, 2])]);
        assert_eq!(agent.ask(write), Reply::I2c { read: vec![] });
        let read = i2c(vec![I2cOperation::Write(vec![7]), I2cOperation::Read(2)]);
        assert_eq!(
            agent.ask(read),
            Reply::I2c {
                read: vec![vec![1, 2]]
            }
        );
        let probe = i2c(vec![I2cOperation::Write(vec![])]);
        assert_eq!(agent.ask(probe), Reply::I2c { read: vec![] });

        let nobody = Request::I2c {
            bus: 0,
            address: 0x10,
            operations: vec![],
        };
        assert_eq!(agent.ask(nobody), Reply::Failed(Fault::Nack));
        let nowhere = Request::I2c {
            bus: 1,
            address: 0x10,
            operations: vec![],
        };
        assert_eq!(
            agent.ask(nowhere),
            Reply::Failed(Fault::NoSuchBus { bus: 1 })
        );
    }

    #[test]
    fn an_smbus_adapter_refuses_what_smbus_does_not_know() {
        let (_folder, server, _board) = rig(Shape::SmbusOnly);
        let mut agent = agent(&server);
        let byte_data = i2c(vec![I2cOperation::Write(vec![7]), I2cOperation::Read(1)]);
        assert!(matches!(agent.ask(byte_data), Reply::I2c { .. }));
        let two_writes = i2c(vec![
            I2cOperation::Write(vec![7]),
            I2cOperation::Write(vec![1]),
        ]);
        assert_eq!(agent.ask(two_writes), Reply::Failed(Fault::Unsupported));
        let long = i2c(vec![I2cOperation::Write(vec![0; 64])]);
        assert_eq!(agent.ask(long), Reply::Failed(Fault::Unsupported));
    }
}
