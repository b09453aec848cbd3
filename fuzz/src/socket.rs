//! What comes over Unix sockets: understood and written back the same, or refused.

use std::fmt::Debug;

use fencepost::control::{ReplyLine, RequestLine};
use fencepost::sim::remote::{FRAME_MAX, Reply, Request, read_frame, write_frame};
use serde_json::{from_slice, from_str, to_string};

/// The control socket: requests as the agent reads them, replies as the command line reads them.
pub fn control(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if let Ok(request) = from_str::<RequestLine>(&text) {
            let written = to_string(&request).expect("a request can be written");
            assert_eq!(from_str::<RequestLine>(&written).ok(), Some(request));
        }
        if let Ok(reply) = from_str::<ReplyLine>(&text) {
            let written = to_string(&reply).expect("a reply can be written");

            assert_eq!(from_str::<ReplyLine>(&written).ok(), Some(reply));
        }
    }
}

/// A virtual board's socket, read by both ends.
pub fn remote(bytes: &[u8]) {
    frames::<Request>(bytes);
    frames::<Reply>(bytes);
    // The bodies alone: lengths that fit are rare in arbitrary bytes.
    if let Ok(request) = from_slice::<Request>(bytes) {
        written(&request);
    }
    if let Ok(reply) = from_slice::<Reply>(bytes) {
        written(&reply);
    }
}

fn frames<T>(mut bytes: &[u8])
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    while let Ok(Some(body)) = read_frame::<T>(&mut bytes) {
        written(&body);
    }
}

fn written<T>(body: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let mut frame = Vec::new();
    if write_frame(&mut frame, body).is_ok() {
        assert!(frame.len() <= FRAME_MAX as usize + 4);
        let again = read_frame::<T>(&mut frame.as_slice()).ok().flatten();
        assert_eq!(again.as_ref(), Some(body));
    }
}
