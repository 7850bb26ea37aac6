//! Whole messages on their way to one side; knows nothing of what they say.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Above this many waiting bytes, the side that causes them is not read.
pub(super) const OUTBOX_BYTES_HIGH: usize = 1024 * 1024;

/// Lines that wait to be written, in order.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    unflushed: bool,
}

impl Outbox {
    /// Appends one message and its line end.
    pub(super) fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.bytes.push(b'\n');
    }

    /// Bytes still to be written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Whether all is written and flushed.
    pub(super) fn is_settled(&self) -> bool {
        self.len() == 0 && !self.unflushed
    }

    /// Forgets everything, for a stream that is gone.
    pub(super) fn clear(&mut self) {
        *self = Outbox::default();
    }

    fn wrote(&mut self, count: usize) {
        self.written += count;
        self.unflushed = true;
        if self.len() == 0 {
            self.bytes.clear();
            self.written = 0;
        }
    }
}

/// Writes a part of what waits, or flushes when nothing does. Losing the future loses nothing.
pub(super) async fn advance<W: AsyncWrite + Unpin>(
    writer: &mut W,
    outbox: &mut Outbox,
) -> io::Result<()> {
    if outbox.len() == 0 {
        writer.flush().await?;
        outbox.unflushed = false;
        return Ok(());
    }
    match writer.write(&outbox.bytes[outbox.written..]).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => {
            outbox.wrote(count);
            Ok(())
        }
    }
}
