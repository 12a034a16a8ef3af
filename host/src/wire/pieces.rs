//! Answers that are written piece by piece, as their reader takes them: what is held of a long list is one piece and its packed
//! rows, and a permit that ends with the answer. It knows no record.

use std::time::Duration;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::wire::write;

/// Bytes of a list up to which it is made whole before it is sent; a page of usual length is.
pub const WHOLE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the longest piece: the rows that are unpacked at once with the longest texts.
const PIECE_BYTES_MAX: usize = 512 * 1024;

/// How long an answer may take to be sent that has no rule of its own.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

/// How long the server may wait in all for the reader of an export: a slow line gets its fifty thousand rows.
pub const EXPORT_TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes of an export that its reader takes in a second, on average over the time that the server waits for it.
pub const EXPORT_BYTES_PER_SECOND_MIN: u64 = 8 * 1024;

/// How long the server waits for the reader of an export before its progress is judged.
pub const EXPORT_GRACE: Duration = Duration::from_secs(10);

/// How long an answer may take to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendTime {
    /// So long from now until its last byte was taken.
    Within(Duration),
    /// As long as its reader keeps a pace in the time that the server waits for it.
    AtPace {
        bytes_per_second: u64,
        /// For so long it is not judged.
        grace: Duration,
        /// The server waits for no longer in all.
        waited: Duration,
    },
}

impl SendTime {
    /// Of an export, whose reader has a pace to keep.
    pub const EXPORT: Self =
        Self::AtPace { bytes_per_second: EXPORT_BYTES_PER_SECOND_MIN, grace: EXPORT_GRACE, waited: EXPORT_TIME_MAX };

    /// Of a list that has so much of its time left; `None` is an export.
    pub fn of_list(left: Option<Duration>) -> Self {
        left.map_or(Self::EXPORT, Self::Within)
    }
}

impl Default for SendTime {
    fn default() -> Self {
        Self::Within(ANSWER_TIME_MAX)
    }
}

/// The parts of an answer that are made when they are needed.
pub trait Pieces: Send {
    /// The next piece; its caller has sent those before. `None` after the last one.
    ///
    /// # Errors
    /// Why the answer breaks off.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>>;

    /// Every piece was given out.
    fn is_done(&self) -> bool;

    /// How long the whole may take to be sent.
    fn send_time(&self) -> SendTime {
        SendTime::default()
    }

    /// So many bytes of it are held at once until it is sent, beside what the next pieces are made of.
    ///
    /// # Errors
    /// They are more than may be held now.
    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// What is sent as an answer.
pub enum AnswerBody {
    Whole(WholeBody),
    Pieces(Box<dyn Pieces>),
}

/// A whole answer, with what is held until it is sent.
pub struct WholeBody {
    bytes: Vec<u8>,
    time: SendTime,
    held: Option<Box<dyn Send>>,
}

impl AsRef<[u8]> for WholeBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for AnswerBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(WholeBody { bytes, time: SendTime::default(), held: None })
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
        let (is_whole, time) = (pieces.is_done(), pieces.send_time());
        pieces.holds(first.len() + if is_whole { 0 } else { PIECE_BYTES_MAX }).await?;
        Ok(if is_whole {
            Self::Whole(WholeBody { bytes: first, time, held: Some(Box::new(pieces)) })
        } else {
            Self::Pieces(Box::new(Around { before: first, pieces, after: Vec::new() }))
        })
    }

    /// The answer within this text.
    #[must_use]
    pub fn within(self, before: Vec<u8>, after: Vec<u8>) -> Self {
        match self {
            Self::Whole(WholeBody { bytes, time, held }) => {
                Self::Whole(WholeBody { bytes: [before, bytes, after].concat(), time, held })
            }
            Self::Pieces(pieces) => Self::Pieces(Box::new(Around { before, pieces, after })),
        }
    }

    /// The answer as pieces, however short it is.
    pub fn into_pieces(self) -> Box<dyn Pieces> {
        match self {
            Self::Whole(whole) => Box::new(CutWhole { whole, given: 0 }),
            Self::Pieces(pieces) => pieces,
        }
    }

    /// How long it may take to be sent.
    pub fn send_time(&self) -> SendTime {
        match self {
            Self::Whole(whole) => whole.time,
            Self::Pieces(pieces) => pieces.send_time(),
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
            Self::Whole(whole @ WholeBody { held: None, .. }) => {
                Self::Whole(WholeBody { held: Some(Box::new(held)), ..whole })
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

/// A whole answer, given out in pieces; what it holds is counted already.
struct CutWhole {
    whole: WholeBody,
    given: usize,
}

impl Pieces for CutWhole {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        let piece = self.whole.bytes.get(self.given..).unwrap_or_default();
        let piece = piece.get(..WHOLE_BYTES_MAX).unwrap_or(piece).to_vec();
        self.given += piece.len();
        Box::pin(std::future::ready(Ok((!piece.is_empty()).then_some(piece))))
    }

    fn is_done(&self) -> bool {
        self.given >= self.whole.bytes.len()
    }

    fn send_time(&self) -> SendTime {
        self.whole.time
    }

    fn holds(&mut self, _: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
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

    fn send_time(&self) -> SendTime {
        self.pieces.send_time()
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        self.pieces.holds(bytes)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// So many pieces of this text; the last one breaks off where `is_cut`.
    struct Repeated {
        text: &'static str,
        left: usize,
        is_cut: bool,
        _held: Arc<()>,
    }

    impl Pieces for Repeated {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
            let next = match self.left {
                0 => Ok(None),
                1 if self.is_cut => Err("slow".into()),
                _ => Ok(Some(self.text.into())),
            };
            self.left = self.left.saturating_sub(1);
            Box::pin(std::future::ready(next))
        }

        fn is_done(&self) -> bool {
            self.left == 0
        }

        fn holds(&mut self, _: usize) -> BoxFuture<'_, Result<(), Refusal>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    async fn body(left: usize, is_cut: bool, held: &Arc<()>) -> Result<AnswerBody, Refusal> {
        AnswerBody::of(Box::new(Repeated { text: "0123456789", left, is_cut, _held: Arc::clone(held) })).await
    }

    #[tokio::test]
    async fn b2_a_short_answer_is_whole_and_a_long_one_is_made_while_it_is_taken() {
        let held = Arc::new(());
        for (pieces, is_whole) in [(3, true), (WHOLE_BYTES_MAX / 10 + 1, true), (WHOLE_BYTES_MAX / 10 + 2, false)] {
            let body = body(pieces, false, &held).await.unwrap().within(b"{".to_vec(), b"}".to_vec());
            assert_eq!((body.length().is_some(), Arc::strong_count(&held)), (is_whole, 2), "{pieces}");
            assert_eq!(body.collected().await.len(), 10 * pieces + 2);
            assert_eq!(Arc::strong_count(&held), 1, "what it held ends with it");
        }
        assert_eq!(body(3, true, &held).await.err().unwrap().code, RefusalCode::StorageUnavailable);
        let AnswerBody::Pieces(mut cut) = body(WHOLE_BYTES_MAX, true, &held).await.unwrap() else {
            panic!("it is long")
        };
        let mut taken = 0;
        let reason = loop {
            match cut.next().await {
                Ok(Some(piece)) => taken += piece.len(),
                Ok(None) => panic!("it breaks off"),
                Err(reason) => break reason,
            }
        };
        assert_eq!((reason.as_str(), taken), ("slow", (WHOLE_BYTES_MAX - 1) * 10));
    }

    #[test]
    fn rows_stand_where_an_answer_without_rows_has_none() {
        let (before, after) = around_rows(&serde_json::json!({"count": 2, "rows": [], "structure": ["id"]})).unwrap();
        let text = [before, elements(&[1, 2]).unwrap(), after].concat();
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"count":2,"rows":[1,2],"structure":["id"]}"#);
        assert_eq!(elements(&Vec::<u8>::new()).unwrap(), b"");
    }
}
