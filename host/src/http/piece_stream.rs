//! An answer that is written piece by piece, as the stream that the HTTP connection takes it from: the next piece is made once
//! the ones before are written. One that breaks off ends the connection, so that nobody takes a part for the whole.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use crate::wire::pieces::Pieces;

/// The pieces of an answer. It is locked by nobody: the mutex lets it be shared, which the connection's type asks for.
pub(super) struct PieceStream(Mutex<BoxStream<'static, io::Result<Bytes>>>);

impl PieceStream {
    pub(super) fn new(pieces: Box<dyn Pieces>) -> Self {
        let stream = stream::unfold(Some(pieces), |pieces| async move {
            let mut pieces = pieces?;
            match pieces.next().await {
                Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(pieces))),
                Ok(None) => None,
                Err(reason) => {
                    tracing::warn!(reason, "a list that was being sent broke off");
                    Some((Err(io::Error::other(reason)), None))
                }
            }
        });
        Self(Mutex::new(stream.boxed()))
    }
}

impl Stream for PieceStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(cx)
    }
}

impl fmt::Debug for PieceStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PieceStream")
    }
}
