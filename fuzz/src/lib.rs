//! The parts of the program that read what comes from outside, and what these need of the rest:
//! without the model, NATS and the server, fuzzing builds in minutes.
#![allow(dead_code, unused_imports, reason = "the rest of the program uses what is here")]

#[path = "../../src/auth/mod.rs"]
pub mod auth;
#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/ingest/mod.rs"]
pub mod ingest;
#[path = "../../src/limit/mod.rs"]
mod limit;
#[path = "../../src/memory/mod.rs"]
pub mod memory;

pub use error::{Code, Error, Result};

/// Of HTTP, how bodies and query strings are read.
#[path = "../../src/http"]
pub mod http {
    pub mod extract {
        mod fields;
        mod json;
        mod namespace;
        mod parameters;
        pub mod schemas;
        mod write;

        pub use fields::{Tags, fraction, fraction_or_none, result_count};
        pub use json::{parse_any, parse_json, parse_value};
        pub use namespace::{Asked, NamespaceParameters, NamespacesParameters, one, set};
        pub use parameters::{parse_query, within};
        pub use write::Sender;
    }
    pub mod line;
    pub mod new_memory;
    mod phrases;
    pub mod problem;
    mod quota;
    pub mod search_request;
    pub mod selection;
}

/// Of the bridge, how messages are cut out of a stream and read.
#[path = "../../src/bridge"]
pub mod bridge {
    mod line;
    mod message;
    mod scan;

    use line::{Line, LineSplitter};
    use message::Message;
    use serde_json::Value;

    /// What goes on for each line of a stream that comes in these parts: the message, or a refusal.
    pub fn carried<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<Vec<u8>> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for part in parts {
            splitter.push(part, |line| {
                lines.push(match line {
                    Line::Whole(line) => carry(line),
                    Line::TooLong(id) => message::to_line(&id),
                });
            });
        }
        lines
    }

    fn carry(line: &[u8]) -> Vec<u8> {
        match message::parse(line) {
            Ok(
                Message::Request(_, _, members)
                | Message::Notification(_, members)
                | Message::Response(_, members),
            ) => message::to_line(&Value::Object(members)),
            Err(refusal) => refusal.to_line(),
        }
    }

    /// The id that is found in a message which is too long to be kept.
    pub fn scanned<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Value {
        let mut scanner = scan::IdScanner::default();
        parts.into_iter().for_each(|part| scanner.push(part));
        scanner.id()
    }
}

/// Of the store, how words become an expression of FTS5.
#[path = "../../src/store"]
pub mod store {
    mod wanted;

    pub use wanted::Wanted;

    /// The expression.
    pub fn expression(wanted: Wanted<'_>) -> String {
        wanted.expression()
    }
}
