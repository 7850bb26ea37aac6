//! What can be wrong with bytes and names that come from elsewhere.
//!
//! All of these are *poison* in the words of the protocol: the op is set aside and kept, never
//! applied in part. Failures of disks and networks have no place here.

use crate::part::Part;

/// Why bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not CBOR, or CBOR of another shape.
    #[error("malformed encoding")]
    Malformed(#[from] minicbor::decode::Error),
    /// The bytes say the right thing in another than the one allowed way.
    #[error("the encoding is not the canonical one")]
    NotCanonical,
    /// The bytes are more than any node may send.
    #[error("{bytes} bytes are more than the allowed {bytes_max}")]
    TooLarge {
        /// Size of what was refused.
        bytes: usize,
        /// The limit it broke.
        bytes_max: usize,
    },
    /// The sender speaks a protocol whose rules this version cannot know.
    #[error("protocol version {major} is not understood")]
    UnsupportedMajor {
        /// The sender's major version.
        major: u64,
    },
    /// A name in it breaks the rules for names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The shape is right, the content cannot be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Why the content of a well-formed op or register was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The clock is zero, or at or after 2100-01-01.
    #[error("clock {0} is outside the allowed range")]
    Clock(u64),
    /// The author cannot have seen an erasure that is not older than its own write.
    #[error("the era is not older than the clock")]
    Era,
    /// The sequence number of the dot is zero or beyond [`OSEQ_MAX`](crate::OSEQ_MAX).
    #[error("sequence number {0} is outside the allowed range")]
    Sequence(u64),
    /// The value of a part is of another type or range than its part demands.
    #[error("the value of part `{}` is not valid", .0.name())]
    Value(Part),
    /// The kind of op demands a part that it does not write.
    #[error("the op does not write part `{}`", .0.name())]
    MissingPart(Part),
    /// Only a purge may erase, and a purge does nothing else.
    #[error("only a purge writes part `erased`, and no other part")]
    StrayErase,
    /// The namespace is empty, too long or holds control characters.
    #[error("the namespace is not valid")]
    Namespace,
    /// The embedding has no model name, no or too many dimensions, or a number that is not finite.
    #[error("the embedding is not valid")]
    Embedding,
    /// The trace context is not a short line of visible ASCII.
    #[error("the trace context is not valid")]
    Traceparent,
    /// The encoded op is more than one op may add to a message.
    #[error("the op has {bytes} bytes, more than the allowed {bytes_max}")]
    TooLarge {
        /// Size of the encoded op without its embedding.
        bytes: usize,
        /// The limit it broke.
        bytes_max: usize,
    },
}

/// Why a text is not the name of a node, an origin or a dot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 1 to 64 characters, or outer space, control characters or `~` among them.
    #[error(
        "a node name has 1 to 64 characters, no space at its ends, no control character and no `~`"
    )]
    Node,
    /// Not of the form `node~epoch`, the epoch being 16 lower-case hexadecimal digits.
    #[error("an origin has the form `node~epoch`")]
    Origin,
    /// Not of the form `node~epoch:oseq`, or the sequence number is outside its range.
    #[error("a dot has the form `node~epoch:oseq`")]
    Dot,
}
