//! A virtual board with a bus, behind a socket, living in real time: enough for an agent process to run on.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_hal::i2c::Operation;
use fencepost::board::{Board, RelayState};
use fencepost::io::clock::Clock;
use fencepost::sim::board::VirtualBoard;
use fencepost::sim::port::{HostPort, I2cFault};
use fencepost::sim::remote::{Fault, I2cOperation, Reply, Request, read_frame, write_frame};
use fencepost::sim::wiring::Options;

/// The board; it lives as long as the test's process.
#[derive(Clone)]
pub(crate) struct BoardServer(Arc<Mutex<VirtualBoard>>);

impl BoardServer {
    /// Power it up and listen.
    pub(crate) fn start(profile: &Board, socket: &Path) -> Self {
        let options = Options {
            powered_at: Clock.now(),
            ..Options::default()
        };
        let server = Self(Arc::new(Mutex::new(VirtualBoard::for_board(
            profile, options,
        ))));
        let listener = UnixListener::bind(socket).unwrap();
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = accepting.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        let living = server.clone();
        std::thread::spawn(move || {
            loop {
                living.0.lock().unwrap().tick(Clock.now());
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        server
    }

    /// Where a relay's contacts are.
    pub(crate) fn contacts(&self, segment: usize) -> RelayState {
        self.0.lock().unwrap().segment_state(segment)
    }

    /// How often a relay moved.
    pub(crate) fn moves(&self, segment: usize) -> u64 {
        self.0.lock().unwrap().relay(segment).unwrap().operations()
    }

    fn serve(&self, mut stream: UnixStream) {
        while let Ok(Some(request)) = read_frame::<Request>(&mut stream) {
            let reply = match request {
                Request::LineNames => Reply::Names(self.0.lock().unwrap().line_names()),
                Request::I2c {
                    address,
                    operations,
                    ..
                } => self.i2c(address, operations),
                _ => panic!("this board has no lines"),
            };
            if write_frame(&mut stream, &reply).is_err() {
                return;
            }
        }
    }

    fn i2c(&self, address: u8, operations: Vec<I2cOperation>) -> Reply {
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
        let mut board = self.0.lock().unwrap();
        let now = Clock.now();
        board.tick(now);
        match board.i2c(now, address, &mut borrowed) {
            Ok(()) => Reply::I2c {
                read: buffers
                    .into_iter()
                    .filter(|(read, _)| *read)
                    .map(|(_, bytes)| bytes)
                    .collect(),
            },
            Err(I2cFault::Nack) => Reply::Failed(Fault::Nack),
            Err(I2cFault::Stuck) => Reply::Failed(Fault::Stuck),
        }
    }
}
