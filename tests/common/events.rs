//! A blocking reader of server-sent events over a plain connection.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::DEADLINE;

/// Longest wait for more of a stream; lines that only keep it open are no more.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An event as it came.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
}

impl Event {
    /// The hash of the memory that it tells of.
    pub fn hash(&self) -> String {
        self.data["content_hash"].as_str().unwrap_or_default().to_owned()
    }
}

/// An event stream.
pub struct EventStream {
    lines: BufReader<TcpStream>,
    pub head: String,
    /// The id that a client would come back with.
    pub last_id: Option<String>,
    pub retry_ms: Option<u64>,
}

impl EventStream {
    /// Opens a stream and reads its head; `path` with its query string.
    pub fn open(url: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(url, path, headers).expect("the server answers")
    }

    pub fn try_open(url: &str, path: &str, headers: &[(&str, &str)]) -> std::io::Result<Self> {
        let address = url.strip_prefix("http://").expect("a plain address");
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(READ_TIMEOUT))?;
        // The old version of HTTP: the body comes as it is, up to the end of the connection.
        let mut request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        connection.write_all(format!("{request}\r\n").as_bytes())?;
        let mut lines = BufReader::new(connection);
        let mut head = String::new();
        while lines.read_line(&mut head)? > 2 {}
        Ok(EventStream { lines, head, last_id: None, retry_ms: None })
    }

    /// The usual stream, and its first event.
    #[track_caller]
    pub fn listen(url: &str) -> Self {
        Self::resume(url, "/api/events", None).0
    }

    /// A stream that goes on after an id, and how it begins.
    #[track_caller]
    pub fn resume(url: &str, path: &str, id: Option<&str>) -> (Self, String) {
        let headers: Vec<(&str, &str)> = id.map(|id| ("last-event-id", id)).into_iter().collect();
        let mut stream = Self::open(url, path, &headers);
        assert!(stream.head.starts_with("HTTP/1.0 200"), "{}", stream.head);
        // What was seen stays seen, as in a browser.
        stream.last_id = id.map(str::to_owned);
        let first = stream.next();
        assert_eq!(first.name, "connection_established", "{first:?}");
        let status = first.data["replay"]["status"].as_str().expect("a status").to_owned();
        (stream, status)
    }

    /// The next event.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        self.try_next().expect("the stream goes on")
    }

    /// The next event; `None` at the end of the stream.
    pub fn try_next(&mut self) -> Option<Event> {
        let (mut name, mut data) = (String::new(), String::new());
        let mut id = None;
        let until = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < until, "no event within {DEADLINE:?}");
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("no event within {READ_TIMEOUT:?}")
                }
                Err(_) => return None,
                Ok(_) => {}
            }
            let line = line.trim_end_matches('\n');
            if line.is_empty() {
                if data.is_empty() {
                    // An id alone is remembered, and is not that of what comes next.
                    (name, id) = (String::new(), None);
                    continue;
                }
                let data = serde_json::from_str(&data).unwrap_or_else(|e| panic!("{e}: {data}"));
                return Some(Event { id, name, data });
            }
            let (field, value) = line.split_once(':').expect("a field");
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => {
                    self.last_id = Some(value.to_owned());
                    id = Some(value.to_owned());
                }
                "event" => value.clone_into(&mut name),
                "data" => value.clone_into(&mut data),
                "retry" => self.retry_ms = value.parse().ok(),
                "" => {}
                other => panic!("an unknown field: {other}"),
            }
        }
    }

    /// The next event of a name.
    #[track_caller]
    pub fn next_named(&mut self, name: &str) -> Event {
        self.find(name, |event| event.name == name)
    }

    /// What the next event of a name says that says what is wanted.
    #[track_caller]
    pub fn next_as(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.find(name, |event| event.name == name && wanted(&event.data)).data
    }

    /// The next event about a memory.
    #[track_caller]
    pub fn next_of(&mut self, hash: &str) -> Event {
        self.find(hash, |event| event.data["content_hash"] == hash)
    }

    #[track_caller]
    fn find(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
        panic!("no event: {what}");
    }
}
