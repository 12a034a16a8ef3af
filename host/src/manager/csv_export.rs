//! A list command's answer as CSV. A request for one page gets that page; one for more rows gets pages one after the other, each
//! asked for where the last one ended, so that an export of any length holds one page. Rows without an id are asked for as they are
//! found. No count is asked for. It knows no command.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::filter::LIMIT_MAX;
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use crate::manager::command::ListPart;
use crate::ports::Clock;
use crate::wire::csv::{Columns, CsvPieces};
use crate::wire::envelope::{CommandAnswer, CommandResult};
use crate::wire::pieces::{AnswerBody, Pieces, SendTime};
use crate::wire::values::AnyJson;

/// Rows of one CSV export: what a spreadsheet or a script takes at once. Go on behind the last id.
pub const CSV_ROWS_MAX: u64 = 5_000_000;

/// Rows of an export that are asked for at once.
const CSV_PAGE_ROWS: u64 = 10_000;

/// How often a page is asked for again that is refused because too much is going on.
const PAGE_TRIES_MAX: u32 = 30;

/// Before a page is asked for again.
const PAGE_PAUSE: Duration = Duration::from_secs(1);

/// Asks the command, with other data each time.
pub type Ask = Box<dyn Fn(Option<AnyJson>, ListPart) -> BoxFuture<'static, CommandResult> + Send + Sync>;

/// The answer as CSV.
///
/// # Errors
/// What the command refuses; 400 for more rows than one page in another order than by id, or than they are found.
pub async fn answer(ask: Ask, columns: Columns, data: Option<AnyJson>, clock: Arc<dyn Clock>) -> CommandResult {
    let members = data.as_ref().and_then(|data| serde_json::from_str::<Map<String, Value>>(data.0.get()).ok());
    let limit = members.as_ref().and_then(|members| members.get("limit")).and_then(number);
    let pieces: Box<dyn Pieces> = match (members, limit) {
        (Some(members), Some(limit)) if limit > LIMIT_MAX as u64 && !columns.may_have_ids() => {
            check_rows(limit, &members)?;
            let in_order = members.get("orderBy").is_some_and(|order| !order.is_null());
            if in_order {
                return Err(Refusal::invalid(
                    "orderBy: an export of more than 50000 rows of this list has them as they are found; leave it out",
                ));
            }
            let found = ask(data, ListPart::Rows(limit)).await?;
            Box::new(CsvPieces::new(found.into_body(), columns, true))
        }
        (Some(members), Some(limit)) if limit > LIMIT_MAX as u64 => {
            let mut export = CsvExport::new(ask, columns, members, limit, clock)?;
            export.page = Some(export.ask_page().await?);
            Box::new(export)
        }
        // Anything wrong is the command's to say.
        (Some(_) | None, Some(_) | None) => {
            let page = ask(data, ListPart::UncountedPage).await?;
            Box::new(CsvPieces::new(page.into_body(), columns, true))
        }
    };
    Ok(CommandAnswer::bare(AnswerBody::of(pieces).await?))
}

/// Whether an export may have so many rows.
fn check_rows(limit: u64, members: &Map<String, Value>) -> Result<(), Refusal> {
    if limit > CSV_ROWS_MAX {
        let message = format!("limit: a CSV export has at most {CSV_ROWS_MAX} rows; go on behind the last id");
        return Err(Refusal::invalid(message));
    }
    if members.get("offset").and_then(number).unwrap_or_default() > 0 {
        return Err(Refusal::invalid("offset: an export of more than 50000 rows begins with the first; name an id"));
    }
    Ok(())
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Pages in the order of ids.
struct CsvExport {
    ask: Ask,
    columns: Columns,
    /// The request, without its page.
    members: Map<String, Value>,
    conditions: Vec<Value>,
    /// `<` where the newest come first.
    beyond: &'static str,
    left: u64,
    asked: u64,
    last_id: Option<u64>,
    page: Option<CsvPieces>,
    clock: Arc<dyn Clock>,
}

impl CsvExport {
    fn new(
        ask: Ask,
        columns: Columns,
        mut members: Map<String, Value>,
        limit: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Refusal> {
        check_rows(limit, &members)?;
        let by_id = || Refusal::invalid("orderBy: an export of more than 50000 rows is sorted by id, or by nothing");
        let order = members.get("orderBy").cloned().unwrap_or_else(|| json!([["id", "desc"]]));
        let key = order.get(0).filter(|first| first.is_array()).unwrap_or(&order);
        let direction = key.get(1).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let is_single = order.as_array().is_some_and(|keys| keys.len() <= if key == &order { 2 } else { 1 });
        let beyond = match (key.get(0).and_then(Value::as_str), &*direction) {
            (Some("id"), "desc") if is_single => "<",
            (Some("id"), "asc") if is_single => ">",
            _ => return Err(by_id()),
        };
        let conditions = match members.remove("where") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(conditions)) => conditions,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(Refusal::invalid("where must be a list of conditions"));
            }
        };
        members.insert("orderBy".to_owned(), json!([["id", direction]]));
        members.remove("offset");
        let (left, asked, last_id, page) = (limit, 0, None, None);
        Ok(Self { ask, columns, members, conditions, beyond, left, asked, last_id, page, clock })
    }

    /// The next page, whose command was answered.
    async fn ask_page(&mut self) -> Result<CsvPieces, Refusal> {
        let mut conditions = self.conditions.clone();
        conditions.extend(self.last_id.map(|id| json!(["id", self.beyond, id])));
        self.asked = self.left.min(CSV_PAGE_ROWS);
        self.members.insert("where".to_owned(), Value::Array(conditions));
        self.members.insert("limit".to_owned(), json!(self.asked));
        let unwritten = |_| Refusal::new(RefusalCode::Internal, "the request of a page could not be written");
        let data = to_raw_value(&self.members).map_err(unwritten)?;
        let part = if self.last_id.is_some() { ListPart::NextPage } else { ListPart::UncountedPage };
        let page = (self.ask)(Some(AnyJson(data)), part).await?;
        Ok(CsvPieces::new(page.into_body(), self.columns.clone(), self.last_id.is_none()))
    }

    /// The page after one that was sent.
    async fn ask_again(&mut self) -> Result<CsvPieces, String> {
        let mut tries = 0;
        loop {
            match self.ask_page().await {
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
            if rows < self.asked || self.left == 0 {
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

    use cashier_core::filter::{Clause, EventField, FilterBuilder};

    use super::*;
    use crate::test_cashier::TestClock;

    type Asked = Arc<Mutex<Vec<(String, ListPart)>>>;

    /// A list of rows with these ids, which answers the page that is asked for and remembers what was asked.
    fn list(ids: Vec<u64>, asked: &Asked) -> Ask {
        let asked = Arc::clone(asked);
        Box::new(move |data, part| {
            let data = data.map_or("{}".to_owned(), |data| data.0.get().to_owned());
            asked.lock().unwrap().push((data.clone(), part));
            let request: Value = serde_json::from_str(&data).unwrap();
            let below = request["where"][0][2].as_u64().unwrap_or(u64::MAX);
            let limit = request["limit"].as_u64().unwrap_or(100) as usize;
            let rows: Vec<Value> =
                ids.iter().filter(|id| **id < below).take(limit).map(|id| json!({"id": id})).collect();
            let text = json!({"count": 0, "rows": rows}).to_string();
            Box::pin(std::future::ready(Ok(CommandAnswer::of_body(text.into_bytes().into()))))
        })
    }

    async fn exported(ids: Vec<u64>, columns: &str, data: &str) -> (Result<usize, String>, Vec<(String, ListPart)>) {
        let asked = Asked::default();
        let data = AnyJson(serde_json::value::RawValue::from_string(data.to_owned()).unwrap());
        let columns = Columns::Fields(vec![columns.to_owned()]);
        let answer = answer(list(ids, &asked), columns, Some(data), Arc::new(TestClock::running())).await;
        let mut pieces = answer.unwrap_or_else(|refusal| panic!("{refusal}")).into_body().into_pieces();
        let mut lines = 0;
        let end = loop {
            match pieces.next().await {
                Ok(Some(piece)) => lines += piece.iter().filter(|byte| **byte == b'\n').count(),
                Ok(None) => break Ok(lines - 1),
                Err(why) => break Err(why),
            }
        };
        let asked = asked.lock().unwrap().clone();
        (end, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn i10_no_page_of_an_export_is_asked_for_with_a_count() {
        let (rows, asked) = exported((1..=25_000).rev().collect(), "id", r#"{"limit":60000}"#).await;
        assert_eq!(rows, Ok(25_000));
        let page = |beyond: &str| format!(r#"{{"limit":10000,"orderBy":[["id","desc"]],"where":[{beyond}]}}"#);
        let pages = [page(""), page(r#"["id","<",15001]"#), page(r#"["id","<",5001]"#)];
        let parts = [ListPart::UncountedPage, ListPart::NextPage, ListPart::NextPage];
        assert_eq!(asked, pages.into_iter().zip(parts).collect::<Vec<_>>());
        let (rows, asked) = exported((1..=25_000).rev().collect(), "id", r#"{"limit":50000}"#).await;
        assert_eq!((rows, asked), (Ok(25_000), vec![(r#"{"limit":50000}"#.to_owned(), ListPart::UncountedPage)]));
    }

    #[tokio::test(start_paused = true)]
    async fn i10_an_export_with_as_many_conditions_as_a_filter_may_have_goes_to_its_end() {
        // Like a command that sets the brand of the session itself.
        let scoped = |list: Ask| -> Ask {
            Box::new(move |data, part| {
                let mut own = FilterBuilder::<EventField>::new();
                own.flat(Clause::Where, &["brand", "=", "ion4"]).unwrap();
                let sent = data.unwrap();
                if let Err(refusal) = part.filter(sent.0.get().as_bytes(), own) {
                    return Box::pin(std::future::ready(Err(refusal)));
                }
                let mut request: Value = serde_json::from_str(sent.0.get()).unwrap();
                request["where"] = request["where"].as_array().unwrap().iter().skip(32).cloned().collect();
                list(Some(AnyJson(to_raw_value(&request).unwrap())), part)
            })
        };
        let exported = async |conditions: usize| {
            let wide = vec![json!(["id", ">", 0]); conditions];
            let data = AnyJson(to_raw_value(&json!({"limit": 60_000, "where": wide})).unwrap());
            let (columns, clock) = (Columns::Fields(vec!["id".to_owned()]), Arc::new(TestClock::running()));
            let list = list((1..=25_000).rev().collect(), &Asked::default());
            let mut pieces = answer(scoped(list), columns, Some(data), clock).await?.into_body().into_pieces();
            let mut lines = 0;
            while let Some(piece) = pieces.next().await.map_err(Refusal::invalid)? {
                lines += piece.iter().filter(|byte| **byte == b'\n').count();
            }
            Ok::<_, Refusal>(lines)
        };
        assert_eq!(exported(32).await.unwrap(), 25_001);
        assert_eq!(exported(33).await.unwrap_err().message, "where: more than 32 conditions");
    }

    #[tokio::test(start_paused = true)]
    async fn i10_a_list_that_cannot_go_on_does_not_look_like_one_that_ended() {
        // Rows without an id are asked for as they are found, whatever number of them.
        let (rows, asked) = exported((1..=25_000).collect(), "kind", r#"{"limit":60000}"#).await;
        assert_eq!((rows, asked), (Ok(25_000), vec![(r#"{"limit":60000}"#.to_owned(), ListPart::Rows(60_000))]));
        // A table names its columns in its answer: without an id it breaks off.
        let asked = Asked::default();
        let list = list((1..=25_000).rev().collect(), &asked);
        let table: Ask = Box::new(move |data, part| {
            let page = list(data, part);
            Box::pin(async move {
                let text = String::from_utf8(page.await?.into_body().collected().await).unwrap();
                let table = text.replace("{\"id\":", "[").replace("},", "],").replace("}]", "]]");
                let table = table.replacen('{', "{\"structure\":[\"code\"],", 1);
                Ok(CommandAnswer::of_body(table.into_bytes().into()))
            })
        });
        let data = AnyJson(serde_json::value::RawValue::from_string(r#"{"limit":60000}"#.to_owned()).unwrap());
        let answer = answer(table, Columns::Structure, Some(data), Arc::new(TestClock::running())).await;
        let refusal = answer.err().unwrap();
        assert!(refusal.message.contains("no id to go on behind"), "{refusal}");
    }
}
