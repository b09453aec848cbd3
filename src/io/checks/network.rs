//! Checks that ask somebody over the network. Their time limit is the caller's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Finding;

/// Longest beginning of an answer that is looked at, in bytes; the status line fits many times.
const ANSWER_BYTES_MAX: usize = 1024;

/// A page and the status it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// `host:port` to connect to.
    pub address: String,
    /// Value of the `Host` header.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Accepted statuses, as ranges including both ends.
    pub statuses: Vec<(u16, u16)>,
}

/// Why a URL is not one this check can ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a URL this check can ask: expected http://host[:port][/path], {problem}")]
pub struct UrlError {
    url: String,
    problem: &'static str,
}

impl HttpTarget {
    /// From a URL; accepts any status from 200 to 399.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let wrong = |problem| UrlError {
            url: url.to_owned(),
            problem,
        };
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| wrong("without TLS (for https use a plugin such as check_http)"))?;
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => (&rest[..at], rest[at..].to_owned()),
            Some(at) => (&rest[..at], format!("/{}", &rest[at..])),
            None => (rest, "/".to_owned()),
        };
        if host.is_empty() || host.contains('@') {
            return Err(wrong("with a host and without a user"));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("in printable ASCII without spaces"));
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        Ok(Self {
            address,
            host: host.to_owned(),
            path,
            statuses: vec![(200, 399)],
        })
    }
}

pub(super) async fn tcp(address: &str) -> Finding {
    match TcpStream::connect(address).await {
        Ok(_) => Finding::good(format!("{address} accepts connections")),
        Err(error) => Finding::bad(format!("{address}: {error}")),
    }
}

pub(super) async fn http(target: &HttpTarget) -> Finding {
    match ask(target).await {
        Err(error) => Finding::bad(format!("{}: {error}", target.address)),
        Ok(answer) => match status(&answer) {
            None => Finding::bad(format!("{} does not speak HTTP", target.address)),
            Some(status)
                if target
                    .statuses
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&status)) =>
            {
                Finding::good(format!("status {status}"))
            }
            Some(status) => Finding::bad(format!("status {status} of {}", target.path)),
        },
    }
}

async fn ask(target: &HttpTarget) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(&target.address).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fencepost\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path, target.host
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
    fn urls_are_taken_apart() {
        let table = [
            ("http://10.0.0.1", "10.0.0.1:80", "10.0.0.1", "/"),
            (
                "http://10.0.0.1:8080/health?x=1",
                "10.0.0.1:8080",
                "10.0.0.1:8080",
                "/health?x=1",
            ),
            ("http://[::1]:8080/", "[::1]:8080", "[::1]:8080", "/"),
            ("http://[fe80::1]/a", "[fe80::1]:80", "[fe80::1]", "/a"),
            ("http://proxy?q", "proxy:80", "proxy", "/?q"),
        ];
        for (url, address, host, path) in table {
            let target = HttpTarget::from_url(url).unwrap();
            assert_eq!(
                (target.address.as_str(), target.host.as_str()),
                (address, host),
                "{url}"
            );
            assert_eq!(target.path, path, "{url}");
        }
        for url in [
            "https://x/",
            "x",
            "http:///",
            "http://u@h/",
            "http://h/a b",
            "http://h/\r\nX: y",
        ] {
            assert!(HttpTarget::from_url(url).is_err(), "{url}");
        }
    }

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
