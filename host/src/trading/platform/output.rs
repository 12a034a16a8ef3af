//! The line that is being written to a connection, and how far it is. What it says is `messages`'.

use tokio::io::{AsyncWriteExt, WriteHalf};
use zeroize::Zeroizing;

use super::dial::PlatformStream;

/// What is being written.
#[derive(Default)]
pub(super) struct Output {
    pub(super) line: Zeroizing<Vec<u8>>,
    pub(super) written: usize,
    pub(super) flushed: bool,
    pub(super) ext_id: Box<str>,
}

impl Output {
    pub(super) fn is_written(&self) -> bool {
        self.written >= self.line.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_written() && self.flushed
    }
}

/// Writes a part of what is left, or flushes what TLS holds back; nothing is lost when it is dropped while it waits.
pub(super) async fn advance(writer: &mut WriteHalf<Box<dyn PlatformStream>>, rest: &[u8]) -> std::io::Result<usize> {
    if rest.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(rest).await }
}
