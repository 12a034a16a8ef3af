//! A page of events by a filter, verified and quarantined ones together: what is counted and what is shown are of one moment. Its
//! queries are those of docs/decisions/0023.

use cashier_core::filter::{EventField, Field, Filter, FilterValue};
use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::status::ProcessingStatus;
use rusqlite::{Connection, Error, params_from_iter};

use crate::ports::{EventPage, Fault};
use crate::strand::columns::{for_each_row, sql_fault};
use crate::strand::filter_sql::{self, FieldColumns, Parameter};
use crate::strand::rows::event;

/// Configs that have at most so many events together are read by themselves and sorted; of those that have more, one in a few hundred
/// rows is theirs, and the rows are read in the order of time until the page is full.
const FEW: u64 = 10_000;

/// In the table of verified events every row has signature status 1: a filter for others does not visit one.
const VERIFIED: FieldColumns<EventField> =
    FieldColumns { name: |field| if field == EventField::SignatureStatus { "1" } else { column(field) }, usual };

/// Quarantined events are few, and have no index.
const QUARANTINED: FieldColumns<EventField> = FieldColumns { name: column, usual: |_| None };

/// The matching events, as far as their rows take no more than so many bytes.
pub(in crate::strand) fn read(
    connection: &Connection,
    filter: &Filter<EventField>,
    bytes_max: usize,
) -> Result<EventPage, Fault> {
    let fault = sql_fault("reading events");
    // No row changes between the statements. Nothing is written, so that it ends however this function does.
    let _moment = connection.unchecked_transaction().map_err(&fault)?;
    let mut count = 0;
    if filter.is_counted() {
        count = Statement::that_counts(filter).number(connection).map_err(&fault)?;
    }
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    if !filter.is_counted() || filter.offset() < count {
        let of_configs = match Statement::that_counts_configs(filter) {
            Some(statement) => statement.number(connection).map_err(&fault)? <= FEW,
            None => false,
        };
        for id in Statement::of_page(filter, of_configs).ids(connection).map_err(&fault)? {
            for_each_row(connection, event::READ_ONE, [id], event::TABLE, |columns| {
                let mut row: ProviderEvent = event::read(columns)?;
                row.update = row.update.map(Update::shown);
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

/// A statement with its constants. Those of a filter's conditions are bound once for each table.
pub(in crate::strand) struct Statement {
    pub(in crate::strand) sql: String,
    pub(in crate::strand) parameters: Vec<Parameter>,
}

impl Statement {
    /// How many events match. Where all conditions are on what events are counted by, the counts are added up.
    pub(in crate::strand) fn that_counts(filter: &Filter<EventField>) -> Self {
        let mut parameters = Vec::new();
        let verified = filter_sql::conditions(filter, &VERIFIED, &mut parameters);
        let quarantined = filter_sql::conditions(filter, &QUARANTINED, &mut parameters);
        let is_counted = filter.conditions().iter().all(|known| is_counted_by(known.field));
        let counted = match is_counted {
            true => format!("SELECT coalesce(sum(rows), 0) FROM provider_event_count WHERE {verified}"),
            false => format!("SELECT count(*) FROM provider_event WHERE {verified}{}", by_key(filter)),
        };
        let sql = format!("SELECT ({counted}) + (SELECT count(*) FROM unproven_event WHERE {quarantined})");
        Self { sql, parameters }
    }

    /// How many events the configs have that match the conditions on brand and provider; `None` where no condition is on these, or
    /// an index serves another condition better.
    pub(in crate::strand) fn that_counts_configs(filter: &Filter<EventField>) -> Option<Self> {
        let is_narrow = [
            EventField::Id,
            EventField::EventId,
            EventField::TransactionId,
            EventField::ProviderPaymentId,
            EventField::ProviderConfigId,
        ];
        let is_meant = filter.conditions().iter().any(|known| is_of_config(known.field))
            && !filter.goes_on()
            && is_narrow.iter().all(|field| filter.pinned(*field).is_none());
        if !is_meant {
            return None;
        }
        let mut parameters = Vec::new();
        let configs = of_configs(filter, &mut parameters);
        let sql = format!("SELECT coalesce(sum(rows), 0) FROM provider_event_count WHERE {configs}");
        Some(Self { sql, parameters })
    }

    /// The ids of the page; read by way of the configs whose events they can be, where these have few.
    pub(in crate::strand) fn of_page(filter: &Filter<EventField>, by_configs: bool) -> Self {
        let mut parameters = Vec::new();
        let mut verified = filter_sql::conditions(filter, &VERIFIED, &mut parameters) + by_key(filter);
        let mut way = "";
        if by_configs {
            verified = format!("{verified} AND {}", of_configs(filter, &mut parameters));
            way = " INDEXED BY provider_event_by_config";
        }
        let quarantined = filter_sql::conditions(filter, &QUARANTINED, &mut parameters);
        let keys: String = filter
            .order()
            .iter()
            .map(|(field, _)| column(*field))
            .fold(String::new(), |keys, key| if key == column(EventField::ID) { keys } else { keys + ", " + key });
        let order = filter_sql::order(filter, &QUARANTINED);
        let page = filter_sql::page(filter, &mut parameters);
        let sql = format!(
            "SELECT id{keys} FROM provider_event{way} WHERE {verified} UNION ALL \
             SELECT id{keys} FROM unproven_event WHERE {quarantined} ORDER BY {order} {page}"
        );
        Self { sql, parameters }
    }

    fn number(&self, connection: &Connection) -> Result<u64, Error> {
        let mut statement = connection.prepare(&self.sql)?;
        statement.query_row(params_from_iter(&self.parameters), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    }

    fn ids(&self, connection: &Connection) -> Result<Vec<i64>, Error> {
        let mut statement = connection.prepare(&self.sql)?;
        statement.query_map(params_from_iter(&self.parameters), |row| row.get(0))?.collect()
    }
}

/// An event id is found in the index of deduplication under each config that has events.
fn by_key(filter: &Filter<EventField>) -> &'static str {
    match filter.pinned(EventField::EventId) {
        Some(_) if !filter.goes_on() => " AND config_id IN (SELECT config_id FROM provider_event_count)",
        Some(_) | None => "",
    }
}

/// That an event is of a config which has events of the brands and providers that are asked for.
fn of_configs(filter: &Filter<EventField>, parameters: &mut Vec<Parameter>) -> String {
    let conditions = filter_sql::conditions_on(filter, &VERIFIED, is_of_config, parameters);
    format!("config_id IN (SELECT config_id FROM provider_event_count WHERE {conditions})")
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

/// Most verified events are processed, and have no reason.
fn usual(field: EventField) -> Option<FilterValue<'static>> {
    match field {
        EventField::ProcessingStatus => Some(FilterValue::Int(ProcessingStatus::Processed as i64)),
        EventField::FailureReason => Some(FilterValue::Text("")),
        EventField::Id
        | EventField::Provider
        | EventField::EventId
        | EventField::TransactionId
        | EventField::ProviderPaymentId
        | EventField::SignatureStatus
        | EventField::CreatedTime
        | EventField::ProcessedTime
        | EventField::Brand
        | EventField::ProviderConfigId => None,
    }
}

/// Whether verified events are counted by this field; all of them have one signature status.
fn is_counted_by(field: EventField) -> bool {
    is_of_config(field)
        || match field {
            EventField::ProviderConfigId | EventField::ProcessingStatus | EventField::SignatureStatus => true,
            EventField::Id
            | EventField::Provider
            | EventField::EventId
            | EventField::TransactionId
            | EventField::ProviderPaymentId
            | EventField::CreatedTime
            | EventField::ProcessedTime
            | EventField::Brand
            | EventField::FailureReason => false,
        }
}

/// Whether the events of a config mostly have one value of this field.
fn is_of_config(field: EventField) -> bool {
    matches!(field, EventField::Brand | EventField::Provider)
}
