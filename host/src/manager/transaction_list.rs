//! A list of transactions as it is sent: its rows become JSON when the reader has taken those before. The customer's listing and
//! the manager's table differ in what stands around the rows, and in the rows' form.

use cashier_core::refusal::Refusal;
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;
use futures_util::future::BoxFuture;

use crate::flows::transactions::TransactionPage;
use crate::wire::answer_values::{ListingOf, TableOf, rows, table_rows};
use crate::wire::pieces::{AnswerBody, Pieces, SendTime, around_rows, elements};
use crate::wire::transaction::{Audience, TransactionRecord};

/// The answer to a customer.
pub async fn listing(page: TransactionPage) -> Result<AnswerBody, Refusal> {
    let around = around_rows(&ListingOf::<TransactionRecord<'_>>::new(std::iter::empty(), page.count()))?;
    AnswerBody::of(Box::new(TransactionList::new(page, around, Audience::Customer))).await
}

/// The answer to a manager.
pub async fn table(page: TransactionPage) -> Result<AnswerBody, Refusal> {
    let around = around_rows(&TableOf::<TransactionRecord<'_>>::new(std::iter::empty(), page.count()))?;
    AnswerBody::of(Box::new(TransactionList::new(page, around, Audience::Manager))).await
}

struct TransactionList {
    page: TransactionPage,
    before: Vec<u8>,
    after: Option<Vec<u8>>,
    to: Audience,
    has_rows: bool,
}

impl TransactionList {
    fn new(page: TransactionPage, (before, after): (Vec<u8>, Vec<u8>), to: Audience) -> Self {
        Self { page, before, after: Some(after), to, has_rows: false }
    }

    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.after.is_none() {
            return Ok(None);
        }
        let taken = self.page.next_rows().await.map_err(|fault| fault.to_string())?;
        let mut piece = std::mem::take(&mut self.before);
        if !taken.is_empty() {
            if std::mem::replace(&mut self.has_rows, true) {
                piece.push(b',');
            }
            piece.extend(self.as_json(&taken).await?);
        }
        if self.page.is_finished() {
            piece.extend(self.after.take().unwrap_or_default());
        }
        Ok(Some(piece))
    }

    /// The one place where rows become text.
    async fn as_json(&self, taken: &[Transaction]) -> Result<Vec<u8>, String> {
        let written = match self.to {
            Audience::Customer => {
                let texts = self.page.texts_of(taken).await.map_err(|refusal| refusal.message.to_string())?;
                let records = taken.iter().zip(&texts);
                elements(&rows(records.map(|(row, texts)| TransactionRecord::new(row, texts, self.to))))
            }
            Audience::Manager => {
                // The table has no column for them.
                let none = Texts::default();
                elements(&table_rows(taken.iter().map(|row| TransactionRecord::new(row, &none, self.to))))
            }
        };
        written.map_err(|refusal| refusal.message.to_string())
    }
}

impl Pieces for TransactionList {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(self.piece())
    }

    fn is_done(&self) -> bool {
        self.after.is_none()
    }

    fn send_time(&self) -> SendTime {
        SendTime::of_list(self.page.time_left())
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(self.page.holds(bytes))
    }
}
