//! A stream whose writes may not stall, and whose answers are taken in time: a reader that takes nothing for a while, or too
//! little in all, loses the connection, so that it does not hold a connection and a megabyte of response for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::sending::Sending;

/// How long one write may make no progress: longer than the worst gap of a phone between two cells.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// The guarded stream. It lies below TLS, where each byte that leaves is seen.
pub(super) struct StallGuard<S> {
    stream: S,
    sending: Arc<Sending>,
    /// Since when a write waits.
    waiting: Option<Instant>,
    late: Pin<Box<Sleep>>,
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S, sending: Arc<Sending>) -> Self {
        Self { stream, sending, waiting: None, late: Box::pin(tokio::time::sleep(STALL_TIME_MAX)) }
    }

    /// `bytes`: how many of what was written left.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let now = Instant::now();
        let taken = match &write {
            Poll::Ready(Ok(written)) => Some(bytes(written)),
            Poll::Ready(Err(_)) => return write,
            Poll::Pending => None,
        };
        let stalled = match taken {
            Some(taken) => {
                let waited = self.waiting.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
                self.sending.took(taken, waited);
                None
            }
            None => {
                self.sending.waits();
                Some(*self.waiting.get_or_insert(now) + STALL_TIME_MAX)
            }
        };
        let since = self.waiting.unwrap_or(now);
        let Some(late) = stalled.into_iter().chain(self.sending.late_at(since)).min() else { return write };
        if taken.is_some() {
            return if late < now { Poll::Ready(Err(Self::too_slow())) } else { write };
        }
        if self.late.deadline() != late {
            self.late.as_mut().reset(late);
        }
        match self.late.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Self::too_slow())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn too_slow() -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, "its reader takes its answers too slowly")
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
        self.watched(cx, write, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, write, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flush {
            // Whoever writes flushes once all they have was written.
            self.sending.flushed();
        }
        self.watched(cx, flush, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watched(cx, shutdown, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stalled_reader_loses_the_connection_and_a_slow_one_keeps_it() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut guarded = StallGuard::new(near, Arc::default());
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
