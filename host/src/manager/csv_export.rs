//! A list command's answer as CSV. A request for one page gets that page; one for more rows gets pages one after the other, each
//! asked for where the last one ended, so that an export of any length holds one page. Rows without an id are asked for as they are
//! found. No count is asked for. It knows no command.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::filter::LIMIT_MAX;
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;

use crate::manager::command::ListPart;
use crate::ports::Clock;
use crate::wire::csv::{Columns, CsvPieces};
use crate::wire::envelope::{CommandAnswer, CommandResult};
use crate::wire::filter::Parameters;
use crate::wire::pieces::{AnswerBody, Pieces, SendTime};

/// Rows of an export that are asked for at once.
const CSV_PAGE_ROWS: usize = 10_000;

/// How often a page is asked for again that is refused because too much is going on.
const PAGE_TRIES_MAX: u32 = 30;

/// Before a page is asked for again.
const PAGE_PAUSE: Duration = Duration::from_secs(1);

/// Asks the command with the same data for one part of the list after the other.
pub type Ask = Box<dyn Fn(ListPart) -> BoxFuture<'static, CommandResult> + Send + Sync>;

/// The answer to this data as CSV.
///
/// # Errors
/// What the command refuses; 400 for more rows than one page in another order than by id, or than they are found.
pub async fn answer(ask: Ask, columns: Columns, data: &[u8], clock: Arc<dyn Clock>) -> CommandResult {
    // Anything wrong is the command's to say.
    let limit = Parameters::from_json(data).ok().and_then(|parameters| parameters.limit());
    let pieces: Box<dyn Pieces> = match limit.filter(|limit| *limit > LIMIT_MAX as u64) {
        Some(limit) if columns.may_have_ids() => {
            let mut export = CsvExport::new(ask, columns, limit, clock);
            export.page = Some(export.ask_fitting().await?);
            Box::new(export)
        }
        limit => {
            let part = limit.map_or(ListPart::UncountedPage, ListPart::Rows);
            Box::new(CsvPieces::new(ask(part).await?.into_body(), columns, true))
        }
    };
    Ok(CommandAnswer::bare(AnswerBody::of(pieces).await?))
}

/// Pages in the order of ids.
struct CsvExport {
    ask: Ask,
    columns: Columns,
    left: u64,
    /// Rows of the next page, unless fewer are left.
    page_rows: usize,
    asked: usize,
    last_id: Option<u64>,
    page: Option<CsvPieces>,
    clock: Arc<dyn Clock>,
}

impl CsvExport {
    fn new(ask: Ask, columns: Columns, limit: u64, clock: Arc<dyn Clock>) -> Self {
        Self { ask, columns, left: limit, page_rows: CSV_PAGE_ROWS, asked: 0, last_id: None, page: None, clock }
    }

    /// The next page, whose command was answered. One whose rows take too many bytes is halved, and the one behind it may be twice
    /// as long again: long rows often stand together.
    async fn ask_fitting(&mut self) -> Result<CsvPieces, Refusal> {
        loop {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.asked = left.min(self.page_rows);
            match (self.ask)(ListPart::ExportPage { rows: self.asked, behind: self.last_id }).await {
                Ok(page) => {
                    self.page_rows = self.asked.saturating_mul(2).min(CSV_PAGE_ROWS);
                    return Ok(CsvPieces::new(page.into_body(), self.columns.clone(), self.last_id.is_none()));
                }
                Err(refusal) if refusal.fewer_rows && self.asked > 1 => self.page_rows = self.asked / 2,
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// The page after one that was sent.
    async fn ask_again(&mut self) -> Result<CsvPieces, String> {
        let mut tries = 0;
        loop {
            match self.ask_fitting().await {
                Ok(page) => return Ok(page),
                Err(refusal) => {
                    let passes = [RefusalCode::Frequent, RefusalCode::StorageUnavailable].contains(&refusal.code);
                    if !passes || tries >= PAGE_TRIES_MAX {
                        return Err(refusal.message);
                    }
                    tries += 1;
                    self.clock.sleep(PAGE_PAUSE).await;
                }
            }
        }
    }

    async fn lines(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let Some(page) = &mut self.page else { return Ok(None) };
            if let Some(lines) = page.next().await? {
                return Ok(Some(lines));
            }
            let (rows, last_id) = page.passed();
            // The page gives back what it held before the next is asked for.
            self.page = None;
            self.left = self.left.saturating_sub(rows);
            if rows < self.asked as u64 || self.left == 0 {
                return Ok(None);
            }
            // An end here would look like that of the list.
            self.last_id = Some(last_id.ok_or("the rows have no id to go on behind")?);
            self.page = Some(self.ask_again().await?);
        }
    }
}

impl Pieces for CsvExport {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(self.lines())
    }

    fn is_done(&self) -> bool {
        self.page.is_none()
    }

    fn send_time(&self) -> SendTime {
        SendTime::EXPORT
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        match &mut self.page {
            Some(page) => page.holds(bytes),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::test_cashier::TestClock;

    type Asked = Arc<Mutex<Vec<ListPart>>>;

    /// A list of rows with these ids, newest first, which answers the part that is asked for and remembers what was asked.
    fn list(ids: Vec<u64>, asked: &Asked) -> Ask {
        long_list(ids, asked, usize::MAX)
    }

    /// The same of rows of which so many are too large for one page.
    fn long_list(ids: Vec<u64>, asked: &Asked, too_large: usize) -> Ask {
        let asked = Arc::clone(asked);
        Box::new(move |part| {
            asked.lock().unwrap().push(part);
            let (rows, behind) = match part {
                ListPart::Page | ListPart::UncountedPage => (100, None),
                ListPart::ExportPage { rows, behind } => (rows, behind),
                ListPart::Rows(rows) => (usize::try_from(rows).unwrap(), None),
            };
            let below = behind.unwrap_or(u64::MAX);
            let rows: Vec<Value> =
                ids.iter().filter(|id| **id < below).take(rows).map(|id| json!({"id": id})).collect();
            if rows.len() >= too_large {
                return Box::pin(std::future::ready(Err(Refusal::too_large("limit: ask for fewer"))));
            }
            let text = json!({"count": 0, "rows": rows}).to_string();
            Box::pin(std::future::ready(Ok(CommandAnswer::of_body(text.into_bytes().into()))))
        })
    }

    async fn exported(ask: Ask, columns: &str, data: &str) -> Result<usize, String> {
        let columns = Columns::Fields(vec![columns.to_owned()]);
        let answer = answer(ask, columns, data.as_bytes(), Arc::new(TestClock::running())).await;
        let mut pieces = answer.unwrap_or_else(|refusal| panic!("{refusal}")).into_body().into_pieces();
        let mut lines = 0;
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => lines += piece.iter().filter(|byte| **byte == b'\n').count(),
                Ok(None) => return Ok(lines - 1),
                Err(why) => return Err(why),
            }
        }
    }

    fn page(rows: usize, behind: u64) -> ListPart {
        ListPart::ExportPage { rows, behind: Some(behind).filter(|id| *id > 0) }
    }

    #[tokio::test(start_paused = true)]
    async fn i10_no_page_of_an_export_is_asked_for_with_a_count() {
        let (ids, asked) = ((1..=25_000).rev().collect::<Vec<_>>(), Asked::default());
        for limit in [r#"60000"#, r#""60000""#] {
            let data = format!(r#"{{"limit":{limit}}}"#);
            assert_eq!(exported(list(ids.clone(), &asked), "id", &data).await, Ok(25_000));
            assert_eq!(
                std::mem::take(&mut *asked.lock().unwrap()),
                [page(10_000, 0), page(10_000, 15_001), page(10_000, 5_001)]
            );
        }
        assert_eq!(exported(list(ids, &asked), "id", r#"{"limit":50000}"#).await, Ok(100));
        assert_eq!(*asked.lock().unwrap(), [ListPart::UncountedPage]);
    }

    #[tokio::test(start_paused = true)]
    async fn i10_a_page_whose_rows_take_too_many_bytes_is_halved_and_the_next_may_be_longer() {
        let (ids, asked) = ((1..=12_000).rev().collect::<Vec<_>>(), Asked::default());
        // Up to 5999 rows fit: the first page is halved, and so is each that is twice as long as the one before.
        assert_eq!(exported(long_list(ids.clone(), &asked, 6_000), "id", r#"{"limit":60000}"#).await, Ok(12_000));
        let expected = [page(10_000, 0), page(5_000, 0), page(10_000, 7_001), page(5_000, 7_001), page(10_000, 2_001)];
        assert_eq!(*asked.lock().unwrap(), expected);
        // One row that is too large alone is what the command refuses, and the export breaks off there.
        let whole = answer(
            long_list(ids, &Asked::default(), 1),
            Columns::Fields(vec!["id".to_owned()]),
            br#"{"limit":60000}"#,
            Arc::new(TestClock::running()),
        );
        assert_eq!(whole.await.err().unwrap().message, "limit: ask for fewer");
    }

    #[tokio::test(start_paused = true)]
    async fn i10_a_list_that_cannot_go_on_does_not_look_like_one_that_ended() {
        // Rows without an id are asked for as they are found, whatever number of them.
        let asked = Asked::default();
        let rows = exported(list((1..=25_000).collect(), &asked), "kind", r#"{"limit":60000}"#).await;
        assert_eq!((rows, &**asked.lock().unwrap()), (Ok(25_000), &[ListPart::Rows(60_000)][..]));
        // A table names its columns in its answer: without an id it breaks off.
        let list = list((1..=25_000).rev().collect(), &asked);
        let table: Ask = Box::new(move |part| {
            let page = list(part);
            Box::pin(async move {
                let text = String::from_utf8(page.await?.into_body().collected().await).unwrap();
                let table = text.replace("{\"id\":", "[").replace("},", "],").replace("}]", "]]");
                let table = table.replacen('{', "{\"structure\":[\"code\"],", 1);
                Ok(CommandAnswer::of_body(table.into_bytes().into()))
            })
        });
        let answer = answer(table, Columns::Structure, br#"{"limit":60000}"#, Arc::new(TestClock::running())).await;
        let refusal = answer.err().unwrap();
        assert!(refusal.message.contains("no id to go on behind"), "{refusal}");
    }
}
