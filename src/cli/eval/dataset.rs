//! Sets of memories and questions, as docs/evaluation.md tells.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::exit::Failure;
use super::super::output::harmless;
use crate::memory::ContentHash;

/// What stands for the class of questions that have none.
const NO_CLASS: &str = "-";
/// Characters of a line that a message about it shows.
const SHOWN_CHARS: usize = 60;

/// A set, checked.
pub(super) struct Dataset {
    /// The name of its file.
    pub(super) name: String,
    /// The memories, as lines for an import.
    pub(super) documents: Vec<String>,
    /// The questions.
    pub(super) queries: Vec<Query>,
}

/// A question.
pub(super) struct Query {
    /// What is asked.
    pub(super) text: String,
    /// Questions of one class are reported together.
    pub(super) class: String,
    /// Questions of one group are not independent: they stay in one half, and are drawn together.
    pub(super) group: String,
    /// What answers it: hash of the memory, and how well (1 and more).
    pub(super) relevant: BTreeMap<String, f64>,
    /// What the search is narrowed by, as in the body of `POST /api/search`.
    pub(super) filter: Map<String, Value>,
}

impl Query {
    /// Whether it is of the half that nobody tunes on.
    pub(super) fn is_held_out(&self) -> bool {
        Sha256::digest(self.group.as_bytes())[0] & 1 == 1
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentLine {
    document: String,
    content: String,
    #[serde(default)]
    tags: Vec<String>,
    memory_type: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    created_at: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryLine {
    query: String,
    text: String,
    class: Option<String>,
    group: Option<String>,
    relevant: Relevant,
    tags: Option<Vec<String>>,
    memory_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Relevant {
    Alike(Vec<String>),
    Graded(BTreeMap<String, f64>),
}

impl Relevant {
    fn graded(self) -> BTreeMap<String, f64> {
        match self {
            Relevant::Alike(names) => names.into_iter().map(|name| (name, 1.0)).collect(),
            Relevant::Graded(graded) => graded,
        }
    }
}

impl Dataset {
    /// Reads and checks a set.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut reading = Reading::default();
        for (line, number) in BufReader::new(File::open(path).map_err(failed)?).lines().zip(1..) {
            let line = line.map_err(failed)?;
            if !line.trim().is_empty() {
                reading.take(&line).map_err(|reason| {
                    Failure::BadInput(format!("{}:{number}: {reason}", path.display()))
                })?;
            }
        }
        reading
            .finish(name)
            .map_err(|reason| Failure::BadInput(format!("{}: {reason}", path.display())))
    }

    /// Names the memories of the set: equal for equal ones only.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for document in &self.documents {
            digest.update(document.as_bytes());
            digest.update(b"\n");
        }
        digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[derive(Default)]
struct Reading {
    documents: Vec<String>,
    hashes: HashMap<String, String>,
    queries: Vec<QueryLine>,
}

impl Reading {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let shown = || harmless(&line.chars().take(SHOWN_CHARS).collect::<String>());
        if value.get("document").is_some() {
            let document = serde_json::from_value(value).map_err(|error| error.to_string())?;
            self.take_document(document)
        } else if value.get("query").is_some() {
            self.queries.push(serde_json::from_value(value).map_err(|error| error.to_string())?);
            Ok(())
        } else {
            Err(format!("neither a `document` nor a `query`: {}", shown()))
        }
    }

    fn take_document(&mut self, document: DocumentLine) -> Result<(), String> {
        let DocumentLine { document, content, tags, memory_type, metadata, created_at } = document;
        let hash = ContentHash::of(&content).to_string();
        if self.hashes.insert(document.clone(), hash).is_some() {
            return Err(format!("there are two documents `{document}`"));
        }
        let line = json!({"content": content, "tags": tags, "memory_type": memory_type,
            "metadata": metadata, "created_at": created_at});
        self.documents.push(line.to_string());
        Ok(())
    }

    fn finish(self, name: String) -> Result<Dataset, String> {
        let Reading { documents, hashes, queries } = self;
        let queries = queries.into_iter().map(|line| query_of(line, &hashes));
        Ok(Dataset { name, documents, queries: queries.collect::<Result<_, _>>()? })
    }
}

fn query_of(line: QueryLine, hashes: &HashMap<String, String>) -> Result<Query, String> {
    let mut relevant = BTreeMap::new();
    for (name, grade) in line.relevant.graded() {
        let hash = hashes.get(&name).ok_or_else(|| {
            format!("query `{}` names the document `{name}`, which is not there", line.query)
        })?;
        if !(grade > 0.0 && grade.is_finite()) {
            return Err(format!("query `{}`: a grade must be above 0", line.query));
        }
        relevant.insert(hash.clone(), grade);
    }
    if relevant.is_empty() {
        return Err(format!("query `{}` has no relevant document", line.query));
    }
    let mut filter = Map::new();
    filter.extend(line.tags.map(|tags| ("tags".to_owned(), json!(tags))));
    filter.extend(line.memory_type.map(|kind| ("memory_type".to_owned(), json!(kind))));
    Ok(Query {
        text: line.text,
        class: line.class.unwrap_or_else(|| NO_CLASS.to_owned()),
        group: line.group.unwrap_or(line.query),
        relevant,
        filter,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Dataset, String> {
        let mut reading = Reading::default();
        lines.iter().try_for_each(|line| reading.take(line))?;
        reading.finish("a.jsonl".to_owned())
    }

    #[test]
    fn documents_and_queries_come_in_any_order() {
        let set = read(&[
            r#"{"query": "q", "text": "who?", "relevant": {"a": 2}, "memory_type": "turn"}"#,
            r#"{"document": "a", "content": "Me", "created_at": 5}"#,
            r#"{"document": "b", "content": "You", "tags": ["x"]}"#,
            r#"{"query": "r", "text": "you?", "class": "c", "group": "q", "relevant": ["b", "a"]}"#,
        ])
        .expect("a set");
        assert_eq!(set.documents.len(), 2);
        let [first, second] = &set.queries[..] else { panic!("two queries") };
        let me = ContentHash::of("Me").to_string();
        assert_eq!(first.relevant, BTreeMap::from([(me, 2.0)]));
        assert_eq!((first.class.as_str(), second.class.as_str()), ("-", "c"));
        assert_eq!(first.filter["memory_type"], "turn");
        assert_eq!(first.is_held_out(), second.is_held_out(), "they are of one group");
        assert_eq!(set.digest().len(), 16);
    }

    #[test]
    fn what_is_wrong_with_a_set_is_said() {
        let check = |lines: &[&str], expected: &str| {
            let reason = read(lines).err().expect("refused");
            assert!(reason.contains(expected), "{reason}");
        };
        let document = r#"{"document": "a", "content": "x"}"#;
        check(&["{"], "EOF");
        check(&["{}"], "neither a `document` nor a `query`");
        check(&[r#"{"document": "a"}"#], "missing field `content`");
        check(&[r#"{"document": "a", "content": "x", "more": 1}"#], "unknown field");
        check(&[document, document], "two documents `a`");
        let query = r#"{"query": "q", "text": "t", "relevant": "#;
        check(&[document, &format!(r#"{query}["b"]}}"#)], "`b`, which is not there");
        check(&[document, &format!("{query}[]}}")], "no relevant document");
        check(&[document, &format!(r#"{query}{{"a": 0}}}}"#)], "above 0");
    }
}
