//! Requests that no well-behaved client sends: bytes over TCP, as they are.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::client::Answer;

/// Longest wait for the next part of an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Opens a connection to a server.
pub fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("a plain address");
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out that is not zero");
    stream
}

/// Opens a connection from one of the addresses of loopback.
pub fn connect_from(address: &str, url: &str) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let stream = runtime.expect("a runtime").block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{address}:0").parse().expect("an address")).expect("it is ours");
        let server = url.strip_prefix("http://").expect("a plain address");
        let stream = socket.connect(server.parse().expect("an address")).await;
        stream.expect("the server listens").into_std().expect("a stream")
    });
    stream.set_nonblocking(false).expect("a stream that blocks");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out that is not zero");
    stream
}

/// Sends a request and reads the answer until the server closes. The request should ask it to.
///
/// # Panics
/// When what comes back is no answer.
pub fn exchange(url: &str, request: &[u8]) -> Answer {
    let mut stream = connect(url);
    stream.write_all(request).expect("the server reads");
    read_answer(&mut stream)
}

/// Reads one answer to the end of the connection; its body is left as it came.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server answers");
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a header name");
        headers.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    let body = bytes[end + 4..].to_vec();
    Answer { status: status.expect("a status line"), headers, body }
}
