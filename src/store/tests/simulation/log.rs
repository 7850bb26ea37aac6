//! A stream as JetStream keeps it, with all that may happen to one.

use std::collections::{BTreeMap, BTreeSet};

use memnode_cluster::replicator::StreamInfo;
use memnode_cluster::wire::{self, Batch};
use memnode_cluster::{Dot, Vector};

use super::random::Random;

#[derive(Default)]
pub(super) struct Log {
    /// How often it was made.
    made_count: u64,
    first_seq: u64,
    last_seq: u64,
    messages: BTreeMap<u64, Vec<u8>>,
    /// Dots that were ever taken in.
    pub(super) ever: Vector,
}

impl Log {
    pub(super) fn new() -> Log {
        Log { first_seq: 1, ..Log::default() }
    }

    pub(super) fn info(&self) -> StreamInfo {
        StreamInfo { created: self.created(), first_seq: self.first_seq, last_seq: self.last_seq }
    }

    pub(super) fn created(&self) -> String {
        format!("stream {}", self.made_count)
    }

    /// Takes a message in and gives its number.
    pub(super) fn append(&mut self, message: Vec<u8>) -> u64 {
        self.ever.join(&dots_of(&message));
        self.last_seq += 1;
        self.messages.insert(self.last_seq, message);
        self.last_seq
    }

    /// The next message from a number on.
    pub(super) fn next(&self, from: u64) -> Option<(u64, &Vec<u8>)> {
        self.messages.range(from..).next().map(|(seq, message)| (*seq, message))
    }

    /// Drops old messages.
    pub(super) fn truncate(&mut self, count: u64) {
        self.first_seq = self.first_seq.saturating_add(count).min(self.last_seq + 1);
        self.messages = self.messages.split_off(&self.first_seq);
    }

    /// One message is gone, as by a damaged block.
    pub(super) fn lose_one(&mut self, random: &mut Random) {
        let seqs: Vec<u64> = self.messages.keys().copied().collect();
        if !seqs.is_empty() {
            self.messages.remove(random.pick(&seqs));
        }
    }

    /// It is made anew: numbers start again.
    pub(super) fn make_anew(&mut self) {
        let ever = std::mem::take(&mut self.ever);
        *self = Log { made_count: self.made_count + 1, ever, ..Log::new() };
    }

    /// The server comes back with an older state: the last messages are gone and their numbers
    /// will be used again.
    pub(super) fn set_back(&mut self, count: u64) {
        self.last_seq = self.last_seq.saturating_sub(count).max(self.first_seq.saturating_sub(1));
        self.messages.split_off(&(self.last_seq + 1));
    }

    /// What the messages up to a number hold, but for some.
    pub(super) fn dots_through(&self, seq: u64, missed: &BTreeSet<(String, u64)>) -> Vector {
        let mut all = Vector::default();
        for (at, message) in self.messages.range(..=seq) {
            if !missed.contains(&(self.created(), *at)) {
                all.join(&dots_of(message));
            }
        }
        all
    }
}

/// What a message holds, as its header says.
pub(super) fn dots_of(message: &[u8]) -> Vector {
    let batch = wire::from_bytes::<Batch>(message).ok().filter(|b| b.cluster == super::CLUSTER);
    let Some((batch, hi)) = batch.and_then(|batch| batch.hi().map(|hi| (batch, hi))) else {
        return Vector::default();
    };
    (batch.lo..=hi).map(|oseq| Dot { origin: batch.origin.clone(), oseq }).collect()
}
