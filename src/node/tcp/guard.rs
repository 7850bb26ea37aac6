//! Connections whose other side stopped reading: they are ended, or they would stay for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::seats::Seat;

/// How long the other side may take no byte of what waits for it.
const STALL_TIMEOUT: Duration = Duration::from_secs(300);

/// A connection that fails when nothing can be written for too long.
pub(super) struct Guard<S> {
    stream: S,
    limit: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    /// Its seat among all connections, which a WebSocket goes on to hold.
    _seat: Option<Seat>,
}

impl<S> Guard<S> {
    /// Guards a connection for as long as it holds its seat.
    pub(super) fn new(stream: S, seat: Seat) -> Self {
        Guard { stream, limit: STALL_TIMEOUT, stall: None, _seat: Some(seat) }
    }

    /// What a write gives, or a failure when it has waited for too long.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = self.limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stall.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    impl<S> Guard<S> {
        fn within(limit: Duration, stream: S) -> Self {
            Guard { stream, limit, stall: None, _seat: None }
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go_and_who_is_slow_is_not() {
        let limit = Duration::from_millis(50);
        let (near, _far) = tokio::io::duplex(4);
        let failed = Guard::within(limit, near).write_all(b"more than fits").await;
        assert_eq!(failed.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);

        let (near, mut far) = tokio::io::duplex(4);
        let mut guard = Guard::within(limit, near);
        let reading = async {
            let mut taken = Vec::new();
            while taken.len() < 14 {
                taken.push(far.read_u8().await.expect("it comes"));
            }
            taken
        };
        let (written, taken) = tokio::join!(guard.write_all(b"more than fits"), reading);
        written.expect("it is read");
        assert_eq!(taken, b"more than fits");
    }
}
