//! A page of events by a filter, verified and quarantined ones together: what is counted and what is shown are of one moment. Its
//! queries are those of docs/decisions/0023.

use cashier_core::filter::{EventField, Field, Filter};
use cashier_core::notice::ProviderEvent;
use rusqlite::{Connection, params_from_iter};

use crate::ports::{EventPage, Fault};
use crate::strand::columns::{for_each_row, sql_fault};
use crate::strand::filter_sql::{Parameter, conditions, order, page};
use crate::strand::rows::event;

/// The matching events, as far as their rows take no more than so many bytes.
pub(super) fn read(connection: &Connection, filter: &Filter<EventField>, bytes_max: usize) -> Result<EventPage, Fault> {
    let fault = sql_fault("reading events");
    // No row changes between the statements. Nothing is written, so that it ends however this function does.
    let _moment = connection.unchecked_transaction().map_err(&fault)?;
    let query = EventQuery::new(filter);
    let mut count = 0;
    if filter.is_counted() {
        let counted: Result<i64, _> = connection
            .prepare(&query.count)
            .and_then(|mut statement| statement.query_row(params_from_iter(&query.parameters), |row| row.get(0)));
        count = counted.map_err(&fault)?.cast_unsigned();
    }
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    if !filter.is_counted() || filter.offset() < count {
        for id in query.ids(connection, filter).map_err(&fault)? {
            for_each_row(connection, event::READ_LISTED, [id], event::TABLE, |columns| {
                let row: ProviderEvent = event::read(columns)?;
                bytes = bytes.saturating_add(EventPage::row_bytes(&row));
                if bytes <= bytes_max {
                    rows.push(row);
                }
                Ok(())
            })?;
        }
    }
    Ok(if bytes <= bytes_max { EventPage::Found { rows, count } } else { EventPage::TooLarge(bytes) })
}

/// The statements for a filter. The constants of its conditions are bound once for each table.
pub(in crate::strand) struct EventQuery {
    pub(in crate::strand) count: String,
    pub(in crate::strand) page: String,
    pub(in crate::strand) parameters: Vec<Parameter>,
}

impl EventQuery {
    pub(in crate::strand) fn new(filter: &Filter<EventField>) -> Self {
        let mut parameters = Vec::new();
        let verified = conditions(filter, verified_column, &mut parameters);
        let quarantined = conditions(filter, column, &mut parameters);
        let keys: String = filter
            .order()
            .iter()
            .map(|(field, _)| column(*field))
            .fold(String::new(), |keys, key| if key == column(EventField::ID) { keys } else { keys + ", " + key });
        let order = order(filter, column);
        Self {
            count: format!(
                "SELECT (SELECT count(*) FROM provider_event WHERE {verified}) + \
                 (SELECT count(*) FROM unproven_event WHERE {quarantined})"
            ),
            page: format!(
                "SELECT id{keys} FROM provider_event WHERE {verified} UNION ALL \
                 SELECT id{keys} FROM unproven_event WHERE {quarantined} ORDER BY {order}"
            ),
            parameters,
        }
    }

    fn ids(mut self, connection: &Connection, filter: &Filter<EventField>) -> Result<Vec<i64>, rusqlite::Error> {
        let page = page(filter, &mut self.parameters);
        let mut statement = connection.prepare(&format!("{} {page}", self.page))?;
        statement.query_map(params_from_iter(&self.parameters), |row| row.get(0))?.collect()
    }
}

fn column(field: EventField) -> &'static str {
    match field {
        EventField::ProviderConfigId => "config_id",
        EventField::Id
        | EventField::Provider
        | EventField::EventId
        | EventField::TransactionId
        | EventField::ProviderPaymentId
        | EventField::SignatureStatus
        | EventField::ProcessingStatus
        | EventField::CreatedTime
        | EventField::ProcessedTime
        | EventField::Brand
        | EventField::FailureReason => field.name(),
    }
}

/// In the table of verified events every row has signature status 1: a filter for others does not visit one.
fn verified_column(field: EventField) -> &'static str {
    if field == EventField::SignatureStatus { "1" } else { column(field) }
}
