//! A stream whose writes may not stall: a reader that takes nothing for a while loses the connection, so that it does
//! not hold a connection and a megabyte of response for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long one write may make no progress: longer than the worst gap of a phone between two cells.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// The guarded stream.
pub(super) struct StallGuard<S> {
    stream: S,
    /// Armed while a write waits.
    stalled: Pin<Box<Sleep>>,
    armed: bool,
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, stalled: Box::pin(tokio::time::sleep(STALL_TIME_MAX)), armed: false }
    }

    fn watched<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.armed = false;
            return write;
        }
        if !self.armed {
            self.armed = true;
            self.stalled.as_mut().reset(Instant::now() + STALL_TIME_MAX);
        }
        match self.stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.watched(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watched(cx, shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stalled_reader_loses_the_connection_and_a_slow_one_keeps_it() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut guarded = StallGuard::new(near);
        let slow = tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..4 {
                tokio::time::sleep(STALL_TIME_MAX - Duration::from_secs(1)).await;
                let mut piece = [0; 4];
                far.read_exact(&mut piece).await.unwrap();
                taken.extend_from_slice(&piece);
            }
            (taken, far)
        });
        guarded.write_all(b"0123456789abcdef").await.unwrap();
        let (taken, far) = slow.await.unwrap();
        assert_eq!(taken, b"0123456789abcdef");
        let error = guarded.write_all(b"01234").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
