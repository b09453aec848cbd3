//! Checks that ask somebody over the network. Their time limit is the caller's.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Finding;

/// Longest beginning of an answer that is looked at, in bytes; the status line fits many times.
const ANSWER_BYTES_MAX: usize = 1024;

pub(super) async fn tcp(address: SocketAddr) -> Finding {
    match TcpStream::connect(address).await {
        Ok(_) => Finding::good(format!("{address} accepts connections")),
        Err(error) => Finding::bad(format!("{address}: {error}")),
    }
}

pub(super) async fn http(address: SocketAddr, path: &str, wanted: u16) -> Finding {
    match ask(address, path).await {
        Err(error) => Finding::bad(format!("{address}: {error}")),
        Ok(answer) => match status(&answer) {
            None => Finding::bad(format!("{address} does not speak HTTP")),
            Some(status) if status == wanted => Finding::good(format!("status {status}")),
            Some(status) => Finding::bad(format!("status {status} of {path}, not {wanted}")),
        },
    }
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: fencepost\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut part = [0; 256];
    while answer.len() < ANSWER_BYTES_MAX && !answer.contains(&b'\n') {
        match stream.read(&mut part).await? {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    Ok(answer)
}

/// The status of an HTTP/1.x answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let rest = line.strip_prefix("HTTP/1.")?;
    let code = rest.split(' ').nth(1)?;
    (code.len() == 3).then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_and_nonsense_is_not() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for nonsense in [
            &b""[..],
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 9999 OK",
            b"\xff\xfe",
        ] {
            assert_eq!(status(nonsense), None);
        }
    }
}
