//! Reading the stream, and knowing when what it says cannot be trusted.

use sha2::{Digest, Sha256};

use super::{AlarmKind, Effect, Position, Replicator, StreamInfo};
use crate::origin::Dot;
use crate::wire::Batch;

/// Time without a message, while there should be some, after which a reader is replaced, in
/// milliseconds.
const SILENT_MS: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Stream {
    /// What was kept of an earlier run.
    cursor: Option<Position>,
    info: Option<StreamInfo>,
    reader: Option<Reader>,
    reader_count: u64,
}

#[derive(Debug)]
struct Reader {
    number: u64,
    /// The last message that came, or the one before the first that was asked for.
    seq: u64,
    /// When the last message came.
    heard: u64,
    /// Whether it took the place of one that brought nothing, and brought nothing so far.
    is_second: bool,
}

impl Stream {
    pub(super) fn new(cursor: Option<Position>) -> Stream {
        Stream { cursor, info: None, reader: None, reader_count: 0 }
    }

    pub(super) fn is_known(&self) -> bool {
        self.info.is_some()
    }

    pub(super) fn forget_reader(&mut self) {
        if let (Some(reader), Some(info)) = (self.reader.take(), &self.info) {
            self.cursor = Some(Position { created: info.created.clone(), seq: reader.seq });
        }
        self.info = None;
    }

    /// Whether messages that exist have not come yet.
    pub(super) fn is_behind(&self) -> bool {
        match (&self.info, &self.reader) {
            (Some(info), Some(reader)) => reader.seq < info.last_seq,
            _ => true,
        }
    }

    /// Messages that have not come yet.
    pub(super) fn behind_count(&self) -> u64 {
        match (&self.info, &self.reader) {
            (Some(info), Some(reader)) => info.last_seq.saturating_sub(reader.seq),
            _ => 0,
        }
    }

    pub(super) fn info(&self) -> Option<&StreamInfo> {
        self.info.as_ref()
    }

    pub(super) fn position(&self) -> Option<u64> {
        self.reader.as_ref().map(|reader| reader.seq)
    }
}

impl Replicator {
    pub(super) fn stream_info(&mut self, info: StreamInfo) {
        let known = self.stream.info.replace(info.clone());
        // The reader may have gone on since the server was asked: only the server's own numbers
        // tell that the stream was set back.
        let is_other = known
            .is_some_and(|known| known.created != info.created || info.last_seq < known.last_seq);
        match &self.stream.reader {
            None => self.start_reading(&info),
            Some(_) if is_other => self.replaced(&info),
            Some(reader) if info.first_seq > reader.seq + 1 && reader.seq < info.last_seq => {
                self.truncated(&info);
            }
            Some(_) => {}
        }
    }

    /// The first reader of a connection goes on where the store is, if that place still exists.
    fn start_reading(&mut self, info: &StreamInfo) {
        match self.stream.cursor.clone() {
            None => self.read_from(info.first_seq),
            Some(cursor) if cursor.created == info.created && cursor.seq <= info.last_seq => {
                if info.first_seq > cursor.seq + 1 && cursor.seq < info.last_seq {
                    self.truncated(info);
                } else {
                    self.read_from(cursor.seq + 1);
                }
            }
            Some(_) => self.replaced(info),
        }
    }

    /// Another stream, or the same one set back: what is known of it means nothing. Dots make
    /// reading again harmless, and own ops that peers may lack go in once more.
    fn replaced(&mut self, info: &StreamInfo) {
        let detail = format!("the stream made at {} is not the one read before", info.created);
        self.raise(AlarmKind::StreamReplaced, "stream", detail);
        self.effects.push_back(Effect::LoadOutbox);
        self.read_from(info.first_seq);
    }

    fn truncated(&mut self, info: &StreamInfo) {
        let detail =
            format!("the stream begins at {}: messages before were not read", info.first_seq);
        self.raise(AlarmKind::StreamTruncated, "stream", detail);
        self.read_from(info.first_seq);
    }

    /// Reads all of the stream once more.
    pub(super) fn read_again(&mut self) {
        if let Some(first_seq) = self.stream.info.as_ref().map(|info| info.first_seq) {
            self.read_from(first_seq);
        }
    }

    /// Starts a new reader; what the store keeps of an older one is void until it is past it.
    fn read_from(&mut self, from: u64) {
        self.forget_position();
        let from = from.max(1);
        self.stream.reader_count += 1;
        let number = self.stream.reader_count;
        let reader = Reader { number, seq: from - 1, heard: self.now, is_second: false };
        self.stream.reader = Some(reader);
        self.effects.push_back(Effect::Read { reader: number, from });
    }

    pub(super) fn tick_stream(&mut self) {
        let is_behind = self.stream.is_behind();
        let Some(reader) = &mut self.stream.reader else { return };
        if !is_behind || !self.inbox.has_room() {
            reader.heard = self.now;
            return;
        }
        if self.now < reader.heard + SILENT_MS {
            return;
        }
        if reader.is_second {
            // Messages were deleted one by one, as an erasure does: there are no more.
            reader.seq = self.stream.info.as_ref().map_or(reader.seq, |info| info.last_seq);
            reader.is_second = false;
            return;
        }
        let from = reader.seq + 1;
        self.read_from(from);
        if let Some(reader) = &mut self.stream.reader {
            reader.is_second = true;
        }
    }

    pub(super) fn message(&mut self, reader: u64, seq: u64, batch: Result<Box<Batch>, String>) {
        let Some(current) = self.stream.reader.as_mut().filter(|r| r.number == reader) else {
            return;
        };
        current.seq = current.seq.max(seq);
        current.heard = self.now;
        current.is_second = false;
        match batch {
            Ok(batch) => self.batch(*batch),
            Err(reason) => {
                let detail = format!("message {seq} of the stream cannot be read: {reason}");
                self.raise(AlarmKind::Undecodable, "stream", detail);
            }
        }
        if let Some(info) = &self.stream.info {
            let position = Position { created: info.created.clone(), seq };
            self.reached(position);
        }
    }

    fn batch(&mut self, batch: Batch) {
        if batch.cluster != self.identity.cluster {
            let detail = format!("{} publishes for another cluster", batch.origin);
            self.raise(AlarmKind::OtherCluster, &batch.origin.to_string(), detail);
            return;
        }
        let Some(hi) = batch.hi() else {
            let detail = format!("{} publishes numbers that cannot be", batch.origin);
            self.raise(AlarmKind::Undecodable, &batch.origin.to_string(), detail);
            return;
        };
        let mut all = crate::Vector::default();
        all.insert_range(&batch.origin, batch.lo, hi);
        self.learn(&all);
        for (payload, oseq) in batch.ops.into_iter().zip(batch.lo..) {
            let dot = Dot { origin: batch.origin.clone(), oseq };
            if self.outbox.is_twin(&dot, payload_hash(&payload)) {
                self.meet_twin(&dot);
            }
            if batch.wants_ack && batch.run != self.identity.run {
                self.inbox.want_ack(&dot);
            }
            self.enqueue(dot, payload.into());
        }
        let known = self.inbox.take_acks(&self.vector);
        if !known.is_empty() {
            self.effects.push_back(Effect::Ack(known));
        }
    }

    /// Somebody wrote another value under an own dot: a machine that was set back with its memory.
    fn meet_twin(&mut self, dot: &Dot) {
        let detail = format!("another process wrote {dot}: this one goes on under a new epoch");
        self.raise(AlarmKind::EpochReused, &dot.origin.to_string(), detail);
        if self.own.as_ref() == Some(&dot.origin) {
            self.own = None;
            self.effects.push_back(Effect::NewEpoch);
        }
    }
}

/// A hash of an op's encoding, the same for its author and whoever reads it.
pub fn payload_hash(payload: &[u8]) -> u64 {
    u64::from_be_bytes(*Sha256::digest(payload).first_chunk().expect("a SHA-256 has 32 bytes"))
}
