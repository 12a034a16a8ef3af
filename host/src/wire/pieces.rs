//! Answers that are written piece by piece, as their reader takes them: what is held of a long list is one piece and its packed
//! rows, and a permit that ends with the answer. It knows no record.

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::wire::write;

/// Bytes of a list up to which it is made whole before it is sent; a page of usual length is.
pub const WHOLE_BYTES_MAX: usize = 256 * 1024;

/// The parts of an answer that are made when they are needed.
pub trait Pieces: Send {
    /// The next piece; its caller has sent those before. `None` after the last one.
    ///
    /// # Errors
    /// Why the answer breaks off.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>>;

    /// Every piece was given out.
    fn is_done(&self) -> bool;
}

/// What is sent as an answer.
pub enum AnswerBody {
    Whole(WholeBody),
    Pieces(Box<dyn Pieces>),
}

/// A whole answer, with what is held until it is sent.
pub struct WholeBody {
    bytes: Vec<u8>,
    held: Option<Box<dyn Send>>,
}

impl AsRef<[u8]> for WholeBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for AnswerBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(WholeBody { bytes, held: None })
    }
}

impl AnswerBody {
    /// A short answer is whole, so that its length is sent before it.
    pub async fn of(mut pieces: Box<dyn Pieces>) -> Result<Self, Refusal> {
        let mut first = Vec::new();
        while !pieces.is_done() && first.len() <= WHOLE_BYTES_MAX {
            let piece = pieces.next().await.map_err(|why| Refusal::new(RefusalCode::StorageUnavailable, why))?;
            first.extend(piece.unwrap_or_default());
        }
        Ok(if pieces.is_done() {
            Self::Whole(WholeBody { bytes: first, held: Some(Box::new(pieces)) })
        } else {
            Self::Pieces(Box::new(Around { before: first, pieces, after: Vec::new() }))
        })
    }

    /// The answer within this text.
    #[must_use]
    pub fn within(self, before: Vec<u8>, after: Vec<u8>) -> Self {
        match self {
            Self::Whole(WholeBody { bytes, held }) => {
                Self::Whole(WholeBody { bytes: [before, bytes, after].concat(), held })
            }
            Self::Pieces(pieces) => Self::Pieces(Box::new(Around { before, pieces, after })),
        }
    }

    /// Its length, where it is known.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::Whole(whole) => Some(whole.bytes.len()),
            Self::Pieces(_) => None,
        }
    }

    /// The same; what is `held` ends once the answer is sent.
    #[must_use]
    pub fn holding(self, held: impl Send + 'static) -> Self {
        match self {
            Self::Whole(WholeBody { bytes, held: None }) => {
                Self::Whole(WholeBody { bytes, held: Some(Box::new(held)) })
            }
            other => other,
        }
    }

    /// The whole answer, for those who do not send it.
    #[cfg(test)]
    pub(crate) async fn collected(self) -> Vec<u8> {
        match self {
            Self::Whole(whole) => whole.bytes,
            Self::Pieces(mut pieces) => {
                let mut all = Vec::new();
                while let Some(piece) = pieces.next().await.unwrap() {
                    all.extend(piece);
                }
                all
            }
        }
    }
}

/// Pieces with a text before the first and one after the last.
struct Around {
    before: Vec<u8>,
    pieces: Box<dyn Pieces>,
    after: Vec<u8>,
}

impl Pieces for Around {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            if !self.before.is_empty() {
                return Ok(Some(std::mem::take(&mut self.before)));
            }
            match self.pieces.next().await? {
                Some(piece) => Ok(Some(piece)),
                None if !self.after.is_empty() => Ok(Some(std::mem::take(&mut self.after))),
                None => Ok(None),
            }
        })
    }

    fn is_done(&self) -> bool {
        self.before.is_empty() && self.pieces.is_done() && self.after.is_empty()
    }
}

/// What comes before and after the rows of a listing or table, as one without rows shows it.
pub fn around_rows(without_rows: &impl Serialize) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    const ROWS: &[u8] = b"\"rows\":[";
    let text = write::json(without_rows)?;
    let at = text.windows(ROWS.len()).position(|part| part == ROWS).map(|at| at + ROWS.len());
    let (before, after) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((&text, &[]));
    Ok((before.to_vec(), after.to_vec()))
}

/// The elements of a JSON array without its brackets.
pub fn elements(array: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    let mut text = write::json(array)?;
    text.pop();
    text.drain(..1.min(text.len()));
    Ok(text)
}
