//! One replicated write.
//!
//! An op carries only what its author changed, with everything that the merge needs to know about
//! the author: name, time and what it had seen. The embedding is a stowaway: it saves work, is no
//! state and does not count for the size limit.

mod codec;

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::Invalid;
use crate::origin::Dot;
use crate::part::{Part, Parts};
use crate::record::{RecordId, Stamp};
use crate::vector::Vector;

/// The most that one encoded op may have without its embedding.
pub const OP_BYTES_MAX: usize = 128 * 1024;
/// The most dimensions that an embedding may have.
pub const EMBEDDING_DIMENSIONS_MAX: usize = 8192;

const EMBEDDING_MODEL_BYTES_MAX: usize = 256;
const NAMESPACE_BYTES_MAX: usize = 256;
const TRACEPARENT_BYTES_MAX: usize = 128;

/// The protocol version that an op was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Other rules under another number.
    pub major: u64,
    /// Only additions under another number.
    pub minor: u64,
}

impl Version {
    /// The version that this crate writes.
    pub const CURRENT: Version = Version { major: 1, minor: 0 };
}

/// The random id of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

/// What the author meant, for events and history. The merge looks at parts only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// A new memory.
    Create,
    /// Some parts of a memory changed.
    Update,
    /// The memory was deleted.
    Delete,
    /// A deleted memory was created again with its former values.
    Restore,
    /// The memory was erased for good.
    Purge,
}

impl OpKind {
    const ALL: [OpKind; 5] =
        [OpKind::Create, OpKind::Update, OpKind::Delete, OpKind::Restore, OpKind::Purge];

    /// The stable number of the kind.
    pub fn code(self) -> u8 {
        match self {
            OpKind::Create => 0,
            OpKind::Update => 1,
            OpKind::Delete => 2,
            OpKind::Restore => 3,
            OpKind::Purge => 4,
        }
    }

    /// The kind with that number.
    pub fn from_code(code: u8) -> Option<OpKind> {
        OpKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The meaning of a body as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The model's id.
    pub model: String,
    /// Its vector, finite numbers.
    pub vector: Vec<f32>,
}

/// Fields of a newer minor version, kept as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownFields(BTreeMap<u64, Vec<u8>>);

impl UnknownFields {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One replicated write.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// The protocol version of its author.
    pub version: Version,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The namespace of the memory.
    pub namespace: String,
    /// The content hash of the memory.
    pub content_hash: [u8; 32],
    /// Its name.
    pub dot: Dot,
    /// Its time.
    pub clock: Clock,
    /// The erase clock its author had seen, zero as a rule.
    pub era: Clock,
    /// What its author had seen: the origins that changed in the last 30 days.
    pub context: Vector,
    /// What its author meant.
    pub kind: OpKind,
    /// What it writes.
    pub parts: Parts,
    /// The embedding of a new body.
    pub embedding: Option<Embedding>,
    /// The trace it belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
    /// What a newer minor version added.
    pub unknown: UnknownFields,
}

impl Op {
    /// The id of the record it writes to.
    pub fn id(&self) -> RecordId {
        RecordId::new(&self.namespace, &self.content_hash)
    }

    /// The stamp of every register it writes.
    pub fn stamp(&self) -> Stamp {
        Stamp { era: self.era, clock: self.clock, dot: self.dot.clone() }
    }

    /// Checks all but the size.
    ///
    /// # Errors
    /// Every [`Invalid`] but `TooLarge`.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.check_registers()?;
        let size = self.namespace.len();
        if size == 0 || size > NAMESPACE_BYTES_MAX || self.namespace.contains(char::is_control) {
            return Err(Invalid::Namespace);
        }
        if self.embedding.as_ref().is_some_and(|embedding| !embedding.is_valid()) {
            return Err(Invalid::Embedding);
        }
        if self.traceparent.as_deref().is_some_and(|trace| !is_traceparent(trace)) {
            return Err(Invalid::Traceparent);
        }
        self.check_kind()
    }

    /// Checks all that becomes replicated state.
    pub(crate) fn check_registers(&self) -> Result<(), Invalid> {
        self.stamp().check()?;
        self.parts.iter().try_for_each(|(part, value)| part.check(value, self.clock))
    }

    fn check_kind(&self) -> Result<(), Invalid> {
        let required: &[Part] = match self.kind {
            OpKind::Create | OpKind::Restore => &[Part::Born, Part::Body],
            OpKind::Update => &[],
            OpKind::Delete => &[Part::Reset],
            OpKind::Purge => &[Part::Erased],
        };
        if let Some(missing) = required.iter().find(|part| !self.parts.contains_key(part)) {
            return Err(Invalid::MissingPart(missing.clone()));
        }
        let erases = self.parts.contains_key(&Part::Erased);
        let stray = match self.kind {
            OpKind::Purge => self.parts.len() > 1,
            _ => erases,
        };
        if stray { Err(Invalid::StrayErase) } else { Ok(()) }
    }
}

impl Embedding {
    pub(crate) fn is_valid(&self) -> bool {
        let model = &self.model;
        (1..=EMBEDDING_MODEL_BYTES_MAX).contains(&model.len())
            && !model.contains(char::is_control)
            && (1..=EMBEDDING_DIMENSIONS_MAX).contains(&self.vector.len())
            && self.vector.iter().all(|number| number.is_finite())
    }
}

/// Visible ASCII of a bounded length; what it means is the tracer's business.
fn is_traceparent(text: &str) -> bool {
    (1..=TRACEPARENT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
