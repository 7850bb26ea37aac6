//! The bounds of every input, named.

/// Longest text of one memory, in bytes of UTF-8. One replicated write carries at most 128 KiB.
pub const CONTENT_BYTES_MAX: usize = 96 * 1024;
/// Most tags of one memory.
pub const TAG_COUNT_MAX: usize = 100;
/// Longest tag, in characters.
pub const TAG_CHARS_MAX: usize = 100;
/// Largest metadata object of one memory, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// Most keys of one metadata object.
pub const METADATA_KEY_COUNT_MAX: usize = 200;
/// Deepest nesting of metadata.
pub const METADATA_DEPTH_MAX: usize = 32;
/// Longest memory type, in characters.
pub const MEMORY_TYPE_CHARS_MAX: usize = 100;
/// Longest search query, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Most results of one search or page.
pub const RESULT_COUNT_MAX: usize = 100;
/// Most memories of one batch request.
pub const BATCH_COUNT_MAX: usize = 10_000;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an idempotency key is remembered, in seconds.
pub const IDEMPOTENCY_SECONDS: f64 = 24.0 * 3600.0;
/// Most memories that one call forgets.
pub const FORGET_COUNT_MAX: usize = 10_000;
