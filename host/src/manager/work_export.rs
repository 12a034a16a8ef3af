//! The whole work list as it is sent: its items become JSON when the reader has taken those before.

use std::collections::BTreeMap;

use cashier_core::refusal::Refusal;
use futures_util::future::BoxFuture;

use crate::flows::work_list::WorkExport;
use crate::wire::pieces::{AnswerBody, Pieces, SendTime, around_rows, elements};
use crate::wire::work_item::{WorkAnswer, WorkRecord};

/// The answer to a manager.
pub async fn listing(export: WorkExport) -> Result<AnswerBody, Refusal> {
    let (before, after) = around_rows(&WorkAnswer::new(&[], 0, &BTreeMap::new(), export.now()))?;
    AnswerBody::of(Box::new(WorkRows { export, before, after: Some(after), has_rows: false })).await
}

struct WorkRows {
    export: WorkExport,
    before: Vec<u8>,
    after: Option<Vec<u8>>,
    has_rows: bool,
}

impl WorkRows {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if self.after.is_none() {
            return Ok(None);
        }
        let items = self.export.next_items().await?;
        let mut piece = std::mem::take(&mut self.before);
        if !items.is_empty() {
            if std::mem::replace(&mut self.has_rows, true) {
                piece.push(b',');
            }
            let records: Vec<WorkRecord<'_>> =
                items.iter().map(|item| WorkRecord::new(item, self.export.now())).collect();
            piece.extend(elements(&records)?);
        }
        if self.export.is_finished() {
            piece.extend(self.after.take().unwrap_or_default());
        }
        Ok(Some(piece))
    }
}

impl Pieces for WorkRows {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move { self.piece().await.map_err(|refusal| refusal.message.to_string()) })
    }

    fn is_done(&self) -> bool {
        self.after.is_none()
    }

    fn send_time(&self) -> SendTime {
        SendTime::EXPORT
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(self.export.holds(bytes))
    }
}
