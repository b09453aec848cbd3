//! A pairing over TCP: one connection at a time, each message in time, everything else put aside.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::exchange::{
    self, Agreed, HELLO_BYTES, Misfit, PROOF_BYTES, Part, SHARE_BYTES, Started, Word,
};
use super::{Code, GOOD_FOR, MESSAGE_WITHIN, PairingError, Store, TRIES, Terms};

/// Between two looks at the listener.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What comes before each message of the inviter.
const OK: u8 = 0;
const OTHER_VERSION: u8 = 1;
const OTHER_TERMS: u8 = 2;
const WRONG_CODE: u8 = 3;

/// A code that waits for its joiner.
#[derive(Debug)]
pub struct Invitation {
    listener: TcpListener,
    code: Code,
    terms: Terms,
    store: Store,
    until: Instant,
    wrong: u32,
}

impl Invitation {
    /// Listens on this address of a link.
    ///
    /// # Errors
    /// The address is not here, or its port is taken.
    pub fn open(
        address: SocketAddr,
        code: Code,
        terms: Terms,
        store: Store,
    ) -> Result<Self, PairingError> {
        let network = |error| PairingError::Network {
            what: format!("cannot listen on {address}"),
            error,
        };
        let listener = TcpListener::bind(address).map_err(network)?;
        listener.set_nonblocking(true).map_err(network)?;
        Ok(Self {
            listener,
            code,
            terms,
            store,
            until: Instant::now() + GOOD_FOR,
            wrong: 0,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits until one has joined. `told` hears of attempts that came to nothing.
    ///
    /// # Errors
    /// Too many wrong codes, too late, or the joiner was lost after it was told to go on.
    pub fn wait(mut self, mut told: impl FnMut(&PairingError)) -> Result<SocketAddr, PairingError> {
        loop {
            let (stream, peer) = self.next()?;
            match self.meet(stream, peer) {
                Ok(()) => return Ok(peer),
                Err((_, error @ PairingError::Store(_))) | Err((Stage::Bound, error)) => {
                    return Err(error);
                }
                Err((Stage::Free, error)) => {
                    self.wrong += u32::from(matches!(error, PairingError::WrongCode));
                    if self.wrong >= TRIES {
                        return Err(PairingError::TooManyTries);
                    }
                    told(&error);
                }
            }
        }
    }

    fn next(&self) -> Result<(TcpStream, SocketAddr), PairingError> {
        loop {
            match self.listener.accept() {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    let what = "cannot take a connection".to_owned();
                    return Err(PairingError::Network { what, error });
                }
            }
            if Instant::now() >= self.until {
                return Err(PairingError::TooLate);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn meet(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), (Stage, PairingError)> {
        let free = |error| (Stage::Free, error);
        let bound = |error| (Stage::Bound, error);
        let mut line = Line::new(stream, peer).map_err(free)?;
        let agreed = self.introduce(&mut line).map_err(free)?;
        let store = &self.store;
        line.hear(
            &agreed,
            Part::Joiner,
            Word::Staged,
            "before it had staged the key",
        )
        .map_err(free)?;
        let place = || {
            store.stage(self.terms, &agreed.secret())?;
            store.begin()?;
            store.put_in_place()
        };
        place().map_err(|error| bound(error.into()))?;
        line.say(&[OK], &agreed.say(Part::Inviter, Word::InPlace))
            .map_err(bound)?;
        line.hear(
            &agreed,
            Part::Joiner,
            Word::InPlace,
            "before it said that it has the key",
        )
        .map_err(bound)?;
        store.finish().map_err(|error| bound(error.into()))
    }

    /// Until both know that the other knows the code.
    fn introduce(&self, line: &mut Line) -> Result<Agreed, PairingError> {
        let hello: [u8; HELLO_BYTES] = line.read("before it said anything")?;
        let share = match exchange::hello(&hello, self.terms) {
            Ok(share) => share,
            Err(misfit) => {
                let (byte, error) = match misfit {
                    Misfit::Version => (OTHER_VERSION, PairingError::Version),
                    Misfit::Terms => (OTHER_TERMS, PairingError::Terms),
                };
                line.say(&[byte], &[])?;
                return Err(error);
            }
        };
        let started = Started::new(Part::Inviter, self.terms, &self.code);
        let own = started.share();
        let agreed = started
            .agree(&share)
            .ok_or(PairingError::Strange { peer: line.peer })?;
        line.say(&[OK], &own)?;
        let heard = line.hear(
            &agreed,
            Part::Joiner,
            Word::KnowsCode,
            "before it proved the code",
        );
        if let Err(PairingError::WrongCode) = heard {
            // Whether it hears why changes nothing.
            let _refused = line.say(&[WRONG_CODE], &[]);
        }
        heard?;
        line.say(&[OK], &agreed.say(Part::Inviter, Word::KnowsCode))?;
        Ok(agreed)
    }
}

/// How far the inviter has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has changed; the code waits for the next.
    Free,
    /// The key is, or may be, in force.
    Bound,
}

/// Joins the node that waits at this address.
///
/// # Errors
/// Everything in [`PairingError`]; unless it is about the key file or a cut at the very end, no key file has changed.
pub fn join(
    address: SocketAddr,
    code: &Code,
    terms: Terms,
    store: &Store,
) -> Result<(), PairingError> {
    let stream = TcpStream::connect_timeout(&address, MESSAGE_WITHIN);
    let stream = stream.map_err(|error| PairingError::Network {
        what: format!("cannot reach {address}"),
        error,
    })?;
    let mut line = Line::new(stream, address)?;
    let started = Started::new(Part::Joiner, terms, code);
    line.say(&[], &started.hello())?;
    line.verdict("before it answered")?;
    let share: [u8; SHARE_BYTES] = line.read("before it answered")?;
    let agreed = started
        .agree(&share)
        .ok_or(PairingError::Strange { peer: address })?;
    line.say(&[], &agreed.say(Part::Joiner, Word::KnowsCode))?;
    line.verdict("before it judged the code")?;
    line.hear(
        &agreed,
        Part::Inviter,
        Word::KnowsCode,
        "before it proved the code",
    )?;
    store.stage(terms, &agreed.secret())?;
    line.say(&[], &agreed.say(Part::Joiner, Word::Staged))?;
    line.verdict("before it had the key")?;
    line.hear(
        &agreed,
        Part::Inviter,
        Word::InPlace,
        "before it had the key",
    )?;
    store.put_in_place()?;
    store.finish()?;
    line.say(&[], &agreed.say(Part::Joiner, Word::InPlace))
}

/// A connection whose every read and write has its time.
struct Line {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Line {
    fn new(stream: TcpStream, peer: SocketAddr) -> Result<Self, PairingError> {
        let set = || {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(MESSAGE_WITHIN))?;
            stream.set_write_timeout(Some(MESSAGE_WITHIN))?;
            stream.set_nodelay(true)
        };
        set().map_err(|error| PairingError::Network {
            what: format!("connection with {peer}"),
            error,
        })?;
        Ok(Self { stream, peer })
    }

    fn say(&mut self, verdict: &[u8], message: &[u8]) -> Result<(), PairingError> {
        let peer = self.peer;
        let sent = self.stream.write_all(&[verdict, message].concat());
        sent.map_err(|_| PairingError::Cut {
            peer,
            when: "while it was told something",
        })
    }

    /// The whole message within [`MESSAGE_WITHIN`], however slowly its bytes come.
    fn read<const N: usize>(&mut self, when: &'static str) -> Result<[u8; N], PairingError> {
        let cut = PairingError::Cut {
            peer: self.peer,
            when,
        };
        let until = Instant::now() + MESSAGE_WITHIN;
        let (mut bytes, mut have) = ([0; N], 0);
        while have < N {
            if Instant::now() >= until {
                return Err(cut);
            }
            match self.stream.read(&mut bytes[have..]) {
                Ok(0) => return Err(cut),
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(cut),
            }
        }
        Ok(bytes)
    }

    fn verdict(&mut self, when: &'static str) -> Result<(), PairingError> {
        match self.read(when)? {
            [OK] => Ok(()),
            [OTHER_VERSION] => Err(PairingError::Version),
            [OTHER_TERMS] => Err(PairingError::Terms),
            [WRONG_CODE] => Err(PairingError::WrongCode),
            [_] => Err(PairingError::Strange { peer: self.peer }),
        }
    }

    fn hear(
        &mut self,
        agreed: &Agreed,
        part: Part,
        word: Word,
        when: &'static str,
    ) -> Result<(), PairingError> {
        let said: [u8; PROOF_BYTES] = self.read(when)?;
        let right = agreed.heard(part, word, &said);
        right.then_some(()).ok_or(PairingError::WrongCode)
    }
}
