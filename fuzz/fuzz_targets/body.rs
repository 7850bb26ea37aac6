//! What is sent or read to be stored: a memory, a batch, lines of an import, a file. What is
//! refused is refused with an answer that is JSON.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use memnode_fuzz::http::extract::{NamespaceParameters, Sender, parse_json};
use memnode_fuzz::http::new_memory::{ImportLine, StoreRequest, batch_items};
use memnode_fuzz::http::problem::Problem;
use memnode_fuzz::ingest::{IngestOptions, read_stream};
use memnode_fuzz::memory::NewMemory;
use serde_json::Value;

fn check(read: Result<NewMemory, Problem>) {
    match read {
        // Whether it may be stored is for its rules to say, in an orderly way.
        Ok(memory) => drop(memory.validate()),
        Err(problem) => {
            let body: Value = serde_json::from_slice(&problem.to_json("/")).expect("JSON");
            assert_eq!(body["status"], problem.status().as_u16());
            assert!((400..500).contains(&problem.status().as_u16()), "{body}");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (asked, sender) = (NamespaceParameters::default(), Sender::default());
    let store = |body: StoreRequest| body.into_memory(&asked, &sender);
    check(parse_json(bytes).and_then(store));
    check(parse_json(bytes).and_then(|line: ImportLine| line.into_memory(&asked, false)));
    match batch_items(bytes) {
        Ok(items) => items.into_iter().for_each(|(_, item)| check(item.and_then(store))),
        Err(problem) => check(Err(problem)),
    }
    let file = Box::new(Cursor::new(bytes.to_vec()));
    for item in read_stream(file, "fuzz", &IngestOptions::default()).flatten() {
        item.memory.validate().expect("what was read of a file may be stored");
    }
});
