//! One byte of a large file, in bytes on the wire, by a relay that counts.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Size of the file in bytes: 16 MiB, or as many as `SYNC_LARGE_MIB` says.
fn size() -> usize {
    let words = std::env::var("SYNC_LARGE_MIB").ok();
    words.map_or(16, |words| words.parse().unwrap()) << 20
}

/// Most that a byte may cost, TLS included.
const COST_MAX: u64 = 5000;

/// Passes connections on, and counts what goes through, both ways together.
fn relay(to: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, count) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(to) else {
                continue;
            };
            for (from, into) in [(&near, &far), (&far, &near)] {
                let ends = (from.try_clone().unwrap(), into.try_clone().unwrap());
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || pass(ends.0, ends.1, &counted));
            }
        }
    });
    (at, count)
}

fn pass(mut from: TcpStream, mut into: TcpStream, counted: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        counted.fetch_add(u64::try_from(length).unwrap(), Ordering::SeqCst);
        if into.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _gone = into.shutdown(std::net::Shutdown::Both);
}

/// Bytes that no two blocks share.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Changes one byte of a node's file in place, until the other has it; what that cost on the wire.
fn cost(count: &AtomicU64, from: &Node, to: &Node, at: u64) -> u64 {
    let path = "app/large";
    let file = fs::File::options().write(true).open(from.at(path)).unwrap();
    let before = count.load(Ordering::SeqCst);
    file.write_all_at(b"!", at).unwrap();
    drop(file);
    let there = |node: &Node| {
        let mut byte = [0];
        let file = fs::File::open(node.at(path)).unwrap();
        file.read_exact_at(&mut byte, at).unwrap();
        byte == *b"!"
    };
    wait("the byte", || there(to));
    wait("in sync", || from.serves());
    count.load(Ordering::SeqCst) - before
}

#[test]
fn one_byte_of_a_large_file_costs_little_by_whomever_it_is_sent_first() {
    let (one, other) = (free_port(), free_port());
    let (by, count) = relay(other);
    let mut pair = Pair::between(one, other, by, Hooks::default()).settle();
    let size = size();
    let large = noise(size);
    fs::write(pair.a.at("app/large"), &large).unwrap();
    pair.until_same();
    let whole = count.load(Ordering::SeqCst);
    assert!(whole > u64::try_from(size).unwrap(), "the relay counts");

    let known = cost(&count, &pair.a, &pair.b, 5_000_000);
    for node in [&mut pair.a, &mut pair.b] {
        node.kill();
        node.start();
    }
    wait("in sync", || pair.a.serves());
    let asked = cost(&count, &pair.a, &pair.b, 7_000_000);
    println!(
        "one byte of {size}: {known} bytes with the base known, {asked} after both were restarted"
    );
    assert!(known < asked && asked <= COST_MAX, "{known}, {asked}");
    assert_eq!(tree(&pair.a.at("")), tree(&pair.b.at("")));
}
