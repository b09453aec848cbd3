//! Somebody on a wire who keeps what it hears, and says it again: whole, or damaged so that only a signature shows it.
//!
//! It listens to UDP over IPv4 without options. A damaged frame carries no UDP checksum, which IPv4 allows: the receiver's kernel takes it,
//! and whoever waits there has to see for himself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{SharedPort, Threads};

/// Frames it keeps; later ones it hears and forgets.
const KEPT_MAX: usize = 4096;
/// Between two frames it sends: an emulated machine must be able to take them all.
const SEND_EVERY: Duration = Duration::from_millis(2);
/// Where a frame's UDP checksum and payload begin.
const CHECKSUM: usize = 40;
const PAYLOAD: usize = 42;
/// From one damaged bit to the next frame's; no divisor of any length that occurs.
const STRIDE: usize = 2_003;

/// It listens as long as it lives.
pub struct Intruder {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    port: SharedPort,
    _threads: Threads,
}

impl Intruder {
    /// Begins to listen at `port` for what is `wanted`.
    pub fn listen(port: &SharedPort, wanted: fn(&[u8]) -> bool) -> Self {
        let kept: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let theirs = Arc::clone(&kept);
        let mut threads = Threads::default();
        threads.receive(SharedPort::clone(port), move |frame| {
            let mut kept = lock(&theirs);
            if wanted(frame) && kept.len() < KEPT_MAX {
                kept.push(frame.to_vec());
            }
        });
        Self {
            kept,
            port: SharedPort::clone(port),
            _threads: threads,
        }
    }

    /// Says all of it again, in order; how many frames that were.
    pub fn replay(&self) -> usize {
        let kept = lock(&self.kept).clone();
        self.say(kept)
    }

    /// Says all of it again with one bit of each payload inverted; how many frames that were.
    pub fn forge(&self) -> usize {
        let mut kept = lock(&self.kept).clone();
        for (number, frame) in kept.iter_mut().enumerate() {
            damage(frame, number);
        }
        self.say(kept)
    }

    fn say(&self, frames: Vec<Vec<u8>>) -> usize {
        let said = frames.len();
        for frame in frames {
            self.port.send(&frame);
            std::thread::sleep(SEND_EVERY);
        }
        said
    }
}

fn lock(kept: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Inverts one bit of the payload, another one for each `number`, and takes the checksum away.
fn damage(frame: &mut [u8], number: usize) {
    if frame.len() <= PAYLOAD {
        return;
    }
    let bit = (number * STRIDE) % ((frame.len() - PAYLOAD) * 8);
    frame[PAYLOAD + bit / 8] ^= 1 << (bit % 8);
    frame[CHECKSUM..PAYLOAD].fill(0);
}

#[cfg(test)]
mod tests {
    use super::super::FRAME_MAX;
    use super::super::pipe::pipe;
    use super::*;

    fn received(port: &SharedPort) -> Vec<u8> {
        let mut buffer = [0; FRAME_MAX];
        for _ in 0..1_000 {
            if let Some(length) = port.receive(&mut buffer).unwrap() {
                return buffer[..length].to_vec();
            }
        }
        panic!("nothing was said");
    }

    #[test]
    fn it_repeats_what_it_wanted_whole_and_damaged() {
        let (wire, end) = pipe();
        let intruder = Intruder::listen(&end, |frame| frame[0] == 1);
        let mut wanted = [7; 100];
        wanted[0] = 1;
        wire.send(&[2; 100]);
        wire.send(&wanted);
        while lock(&intruder.kept).is_empty() {
            std::thread::sleep(SEND_EVERY);
        }
        assert_eq!(intruder.replay(), 1);
        assert_eq!(received(&wire), wanted);
        assert_eq!(intruder.forge(), 1);
        let forged = received(&wire);
        assert_eq!(forged[..CHECKSUM], wanted[..CHECKSUM]);
        assert_eq!(forged[CHECKSUM..PAYLOAD], [0, 0]);
        let differ = forged[PAYLOAD..].iter().zip(&wanted[PAYLOAD..]);
        assert_eq!(differ.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(), 1);
    }
}
