//! What clients did to a cluster, call by call, and whether its nodes still know it.
//!
//! The checker asks only for what is promised. An acknowledged write is there on every node, or a
//! write that need not have seen it took its place; what was deleted stays deleted; and a read
//! with the position of a write sees that write. A call without an answer may have done its work
//! or not, at any time later.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Writes of different nodes closer than this may share a millisecond of their clocks.
const SAME_TIME: Duration = Duration::from_millis(5);

/// A memory as a client sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub content: String,
    /// Each value that can be replaced, by name: metadata, and the type.
    pub values: BTreeMap<String, String>,
}

/// What a node holds, by hash.
pub type Contents = HashMap<String, Seen>;

/// What a client asked for, about one memory. Texts and values are written only once each.
#[derive(Clone, Debug)]
pub enum Action {
    Store {
        content: String,
    },
    Set {
        name: String,
        value: String,
    },
    Delete,
    /// A read that had to see an earlier call, and what it saw; `None`: there is no such memory.
    Read {
        after: usize,
        seen: Option<Seen>,
    },
}

/// What the client knows of how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Acknowledged,
    /// It had no effect and never will.
    Refused,
    /// No answer, or one that leaves it open.
    Unknown,
}

/// One call of one client.
#[derive(Clone, Debug)]
pub struct Call {
    /// The hash of the memory.
    pub memory: String,
    /// Who answered: one file of one node, so that what happened there is in order.
    pub node: String,
    pub action: Action,
    pub outcome: Outcome,
    /// Times since the history began.
    pub start: Duration,
    pub end: Duration,
}

/// How the clocks of the nodes are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// On one machine: what began after another write had ended is newer.
    InStep,
    /// Only what one node did after the other is newer.
    Apart,
}

/// Calls of several clients, in the order of their ends.
pub struct History {
    began: Instant,
    calls: Mutex<Vec<Call>>,
}

impl History {
    pub fn new() -> Self {
        History { began: Instant::now(), calls: Mutex::default() }
    }

    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Adds a call; gives its number, by which a read names it.
    pub fn add(&self, call: Call) -> usize {
        let mut calls = self.calls.lock().expect("no panic");
        calls.push(call);
        calls.len() - 1
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no panic").clone()
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An acknowledged write is not there, nor one that may have taken its place.
    Lost,
    /// What was deleted is there.
    Resurrected,
    /// A read did not see the write whose position it came with.
    Stale,
    /// A value is there that nobody wrote.
    Invented,
}

/// A fault, and the call that it wrongs.
#[derive(Clone, Debug)]
pub struct Violation {
    pub fault: Fault,
    pub call: Call,
    /// The node that shows it, and what it shows.
    pub node: String,
    pub shown: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { fault, call, node, shown } = self;
        write!(f, "{fault:?} on {node}, which shows {shown}: {call:?}")
    }
}

/// Checks a history against what every node holds in the end.
pub fn check(calls: &[Call], nodes: &[(String, Contents)], clocks: Clocks) -> Vec<Violation> {
    let mut by_memory: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_memory.entry(&call.memory).or_default().push(call);
    }
    let mut violations = Vec::new();
    for (memory, of_memory) in &by_memory {
        let life = Life { calls: of_memory, clocks };
        for (node, contents) in nodes {
            life.check_end(node, contents.get(*memory), &mut violations);
        }
        for read in of_memory {
            if let Action::Read { after, seen } = &read.action
                && read.outcome == Outcome::Acknowledged
            {
                life.check_read(read, &calls[*after], seen.as_ref(), &mut violations);
            }
        }
    }
    violations
}

/// Everything that happened to one memory.
struct Life<'a> {
    calls: &'a [&'a Call],
    clocks: Clocks,
}

impl Life<'_> {
    fn check_end(&self, node: &str, found: Option<&Seen>, violations: &mut Vec<Violation>) {
        let mut violated = |fault, call: &Call, shown: String| {
            let (call, node) = (call.clone(), node.to_owned());
            violations.push(Violation { fault, call, node, shown });
        };
        let Some(found) = found else {
            for call in self.acknowledged().filter(|call| call.writes()) {
                if !self.may_be_deleted_before(Duration::MAX) {
                    violated(Fault::Lost, call, "nothing".to_owned());
                }
            }
            return;
        };
        for call in self.acknowledged() {
            match &call.action {
                Action::Delete => violated(Fault::Resurrected, call, found.content.clone()),
                Action::Store { content } if *content != found.content => {
                    violated(Fault::Lost, call, found.content.clone());
                }
                Action::Set { name, value } => {
                    let shown = found.values.get(name);
                    if shown != Some(value) && !self.may_replace(shown, call) {
                        violated(Fault::Lost, call, format!("{shown:?}"));
                    }
                }
                Action::Store { .. } | Action::Read { .. } => {}
            }
        }
        for (name, value) in &found.values {
            let is_known = self.calls.iter().any(|call| call.name() == Some(name));
            if is_known && self.writer(name, value).is_none() {
                violated(Fault::Invented, self.calls[0], format!("{name}: {value}"));
            }
        }
    }

    fn check_read(
        &self,
        read: &Call,
        after: &Call,
        seen: Option<&Seen>,
        violations: &mut Vec<Violation>,
    ) {
        let is_stale = match (&after.action, seen) {
            (Action::Delete, seen) => seen.is_some(),
            (_, None) => !self.may_be_deleted_before(read.end),
            (Action::Set { name, value }, Some(seen)) => {
                let shown = seen.values.get(name);
                shown != Some(value) && !self.may_replace(shown, after)
            }
            (Action::Store { .. } | Action::Read { .. }, Some(_)) => false,
        };
        if is_stale {
            let (call, node, shown) = (after.clone(), read.node.clone(), format!("{seen:?}"));
            violations.push(Violation { fault: Fault::Stale, call, node, shown });
        }
    }

    fn acknowledged(&self) -> impl Iterator<Item = &Call> {
        let all = self.calls.iter().copied();
        all.filter(|call| call.outcome == Outcome::Acknowledged)
    }

    fn may_be_deleted_before(&self, time: Duration) -> bool {
        let mut deletes = self.calls.iter().filter(|call| matches!(call.action, Action::Delete));
        deletes.any(|call| call.outcome != Outcome::Refused && call.start < time)
    }

    /// Whether the value shown is of a write that may rightly win over this one.
    fn may_replace(&self, shown: Option<&String>, call: &Call) -> bool {
        let (Some(name), Some(shown)) = (call.name(), shown) else { return false };
        self.writer(name, shown).is_some_and(|writer| !self.is_older(writer, call))
    }

    fn writer(&self, name: &str, value: &str) -> Option<&Call> {
        let wrote = |call: &&&Call| {
            let wrote = matches!(&call.action,
                Action::Set { name: n, value: v } if n == name && v == value);
            wrote && call.outcome != Outcome::Refused
        };
        self.calls.iter().find(wrote).copied()
    }

    /// Whether a write must have a smaller clock than another. One that was never answered may
    /// have happened at any time.
    fn is_older(&self, call: &Call, than: &Call) -> bool {
        let is_same_node = call.node == than.node;
        let margin = if is_same_node { Duration::ZERO } else { SAME_TIME };
        let is_ordered = is_same_node || self.clocks == Clocks::InStep;
        is_ordered && call.outcome == Outcome::Acknowledged && call.end + margin < than.start
    }
}

impl Call {
    pub fn writes(&self) -> bool {
        !matches!(self.action, Action::Read { .. })
    }

    fn name(&self) -> Option<&String> {
        match &self.action {
            Action::Set { name, .. } => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of one millisecond at a node.
    fn call(node: &str, at_ms: u64, action: Action, outcome: Outcome) -> Call {
        let start = Duration::from_millis(at_ms);
        let end = start + Duration::from_millis(1);
        Call { memory: "m".to_owned(), node: node.to_owned(), action, outcome, start, end }
    }

    fn acknowledged(node: &str, at_ms: u64, action: Action) -> Call {
        call(node, at_ms, action, Outcome::Acknowledged)
    }

    fn store() -> Action {
        Action::Store { content: "text".to_owned() }
    }

    fn set(value: &str) -> Action {
        Action::Set { name: "v".to_owned(), value: value.to_owned() }
    }

    fn read(after: usize, seen: Option<Seen>) -> Action {
        Action::Read { after, seen }
    }

    fn seen(value: Option<&str>) -> Option<Seen> {
        let values = value.map(|value| ("v".to_owned(), value.to_owned()));
        Some(Seen { content: "text".to_owned(), values: values.into_iter().collect() })
    }

    /// Checks a history in which node `a` ends with this.
    #[track_caller]
    fn check_one(calls: &[Call], end: Option<Seen>, clocks: Clocks, expected: &[Fault]) {
        let contents = end.map(|seen| ("m".to_owned(), seen)).into_iter().collect();
        let violations = check(calls, &[("a".to_owned(), contents)], clocks);
        let found: Vec<Fault> = violations.iter().map(|violation| violation.fault).collect();
        assert_eq!(found, expected, "{violations:#?}");
    }

    #[test]
    fn a_good_history_passes() {
        let calls = [
            acknowledged("a", 0, store()),
            acknowledged("b", 100, set("1")),
            acknowledged("a", 200, read(1, seen(Some("1")))),
            acknowledged("a", 300, set("2")),
            acknowledged("c", 400, read(1, seen(Some("2")))),
        ];
        check_one(&calls, seen(Some("2")), Clocks::InStep, &[]);
        let deleted = [
            acknowledged("a", 0, store()),
            acknowledged("b", 10, Action::Delete),
            acknowledged("c", 20, read(1, None)),
            acknowledged("c", 20, read(0, None)),
        ];
        check_one(&deleted, None, Clocks::InStep, &[]);
    }

    #[test]
    fn one_lost_write_is_caught() {
        check_one(&[acknowledged("b", 0, store())], None, Clocks::Apart, &[Fault::Lost]);
        let updated = [acknowledged("a", 0, store()), acknowledged("b", 100, set("1"))];
        check_one(&updated, seen(None), Clocks::Apart, &[Fault::Lost]);
        let twice = [updated[0].clone(), updated[1].clone(), acknowledged("b", 200, set("2"))];
        check_one(&twice, seen(Some("1")), Clocks::Apart, &[Fault::Lost]);
        let elsewhere = [updated[0].clone(), updated[1].clone(), acknowledged("a", 200, set("2"))];
        check_one(&elsewhere, seen(Some("1")), Clocks::InStep, &[Fault::Lost]);
        let refused =
            [acknowledged("a", 0, store()), call("b", 1, Action::Delete, Outcome::Refused)];
        check_one(&refused, None, Clocks::Apart, &[Fault::Lost]);
    }

    #[test]
    fn what_may_be_gone_is_not_called_lost() {
        check_one(&[call("a", 0, store(), Outcome::Unknown)], None, Clocks::InStep, &[]);
        let deleted_perhaps =
            [acknowledged("a", 0, store()), call("b", 1, Action::Delete, Outcome::Unknown)];
        check_one(&deleted_perhaps, None, Clocks::InStep, &[]);
        check_one(&deleted_perhaps, seen(None), Clocks::InStep, &[]);
        let first = acknowledged("a", 100, set("1"));
        let late = [call("b", 0, set("0"), Outcome::Unknown), first.clone()];
        check_one(&late, seen(Some("0")), Clocks::InStep, &[]);
        let together = [first.clone(), acknowledged("b", 102, set("2"))];
        check_one(&together, seen(Some("1")), Clocks::InStep, &[]);
        let skewed = [first, acknowledged("b", 900, set("2"))];
        check_one(&skewed, seen(Some("1")), Clocks::Apart, &[]);
    }

    #[test]
    fn one_resurrected_delete_is_caught() {
        let calls = [acknowledged("a", 0, store()), acknowledged("b", 100, Action::Delete)];
        check_one(&calls, seen(None), Clocks::Apart, &[Fault::Resurrected]);
    }

    #[test]
    fn one_stale_token_is_caught() {
        let stored = acknowledged("a", 0, store());
        let missing = [stored.clone(), acknowledged("b", 100, read(0, None))];
        check_one(&missing, seen(None), Clocks::Apart, &[Fault::Stale]);
        let first = acknowledged("a", 100, set("1"));
        let second = acknowledged("a", 200, set("2"));
        let old = acknowledged("b", 300, read(2, seen(Some("1"))));
        let calls = [stored.clone(), first, second, old];
        check_one(&calls, seen(Some("2")), Clocks::Apart, &[Fault::Stale]);
        let deleted = acknowledged("a", 100, Action::Delete);
        let undead = [stored, deleted, acknowledged("b", 200, read(1, seen(None)))];
        check_one(&undead, None, Clocks::Apart, &[Fault::Stale]);
    }

    #[test]
    fn what_nobody_wrote_is_caught() {
        let calls = [
            acknowledged("a", 0, store()),
            acknowledged("a", 100, set("1")),
            call("a", 200, set("2"), Outcome::Refused),
        ];
        let expected = [Fault::Lost, Fault::Invented];
        check_one(&calls, seen(Some("2")), Clocks::Apart, &expected);
    }
}
