//! Lists of audit records, read off the strand's thread. It never writes.

use cashier_core::filter::{AuditField, Filter, FilterValue, RowPage};
use rusqlite::{Connection, params_from_iter};

use super::columns::{ColumnReader, for_each_row, sql_fault};
use super::filter_sql::{self, FieldColumns, Parameter};
use crate::ports::{AuditRow, Fault};

/// Bytes of changes in one page: some hundred records of the largest rosters, or 50,000 usual ones.
pub(super) const AUDIT_PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

const TABLE: &str = "audit_record";

const COLUMNS: &str = "id, at, manager_id, role, brand, address, request_id, command, config_id, transaction_id, \
                       approval_id, outcome, changes_json, hash";

/// The table that says how many records there are of each kind.
const COUNTS: &str = "audit_record_count";

const FIELDS: FieldColumns<AuditField> = FieldColumns { name: column, usual };

fn column(field: AuditField) -> &'static str {
    match field {
        AuditField::CreatedTime => "at",
        AuditField::ProviderConfigId => "config_id",
        AuditField::Id
        | AuditField::ManagerId
        | AuditField::Role
        | AuditField::Brand
        | AuditField::Command
        | AuditField::TransactionId
        | AuditField::ApprovalId
        | AuditField::Outcome
        | AuditField::RequestId => field_name(field),
    }
}

fn field_name(field: AuditField) -> &'static str {
    cashier_core::filter::Field::name(field)
}

/// Most records are about no transaction, config or approval.
fn usual(field: AuditField) -> Option<FilterValue<'static>> {
    match field {
        AuditField::TransactionId | AuditField::ProviderConfigId | AuditField::ApprovalId => Some(FilterValue::Int(0)),
        AuditField::Id
        | AuditField::ManagerId
        | AuditField::Role
        | AuditField::Brand
        | AuditField::Command
        | AuditField::Outcome
        | AuditField::RequestId
        | AuditField::CreatedTime => None,
    }
}

/// Whether records are counted by this field.
fn is_counted_by(field: AuditField) -> bool {
    match field {
        AuditField::Brand | AuditField::Command | AuditField::Role | AuditField::Outcome => true,
        AuditField::Id
        | AuditField::ManagerId
        | AuditField::TransactionId
        | AuditField::ProviderConfigId
        | AuditField::ApprovalId
        | AuditField::RequestId
        | AuditField::CreatedTime => false,
    }
}

/// The statements that count the records and read a page of them, with the constants of each.
pub(super) fn statements(filter: &Filter<AuditField>, brand: Option<&str>) -> ([String; 2], [Vec<Parameter>; 2]) {
    let mut parameters = Vec::new();
    let mut conditions = filter_sql::conditions(filter, &FIELDS, &mut parameters);
    if let Some(brand) = brand {
        conditions += if filter.goes_on() { " AND +brand = ?" } else { " AND brand = ?" };
        parameters.push(Parameter::Text(brand.into()));
    }
    let counting = if filter.conditions().iter().all(|condition| is_counted_by(condition.field)) {
        format!("SELECT coalesce(sum(rows), 0) FROM {COUNTS} WHERE {conditions}")
    } else {
        format!("SELECT count(*) FROM {TABLE} WHERE {conditions}")
    };
    let of_count = parameters.clone();
    let order = filter_sql::order(filter, &FIELDS);
    let limit = filter_sql::page(filter, &mut parameters);
    let reading = format!("SELECT {COLUMNS} FROM {TABLE} WHERE {conditions} ORDER BY {order} {limit}");
    ([counting, reading], [of_count, parameters])
}

/// A page of the records; of sessions of one brand, where it is given. `None` where it holds more than
/// [`AUDIT_PAGE_BYTES_MAX`]. Page and count are of one moment.
pub(super) fn page(
    connection: &Connection,
    filter: &Filter<AuditField>,
    brand: Option<&str>,
) -> Result<Option<RowPage<AuditRow>>, Fault> {
    let ([counting, reading], [of_count, of_page]) = statements(filter, brand);
    let moment = connection.unchecked_transaction().map_err(sql_fault(TABLE))?;
    let mut count = 0;
    if filter.is_counted() {
        for_each_row(&moment, &counting, params_from_iter(&of_count), TABLE, |columns| {
            count = columns.value()?;
            Ok(())
        })?;
    }
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    for_each_row(&moment, &reading, params_from_iter(&of_page), TABLE, |columns| {
        let (row, length) = read(columns)?;
        bytes = bytes.saturating_add(length);
        if bytes <= AUDIT_PAGE_BYTES_MAX {
            rows.push(row);
        }
        Ok(())
    })?;
    Ok((bytes <= AUDIT_PAGE_BYTES_MAX).then_some(RowPage { rows, count }))
}

/// A record, and the length of its changes.
fn read(columns: &mut ColumnReader<'_, '_>) -> Result<(AuditRow, usize), Fault> {
    let length;
    let row = AuditRow {
        id: columns.value()?,
        created_time: columns.value()?,
        manager_id: columns.value()?,
        role: u8::try_from(columns.value::<u32>()?).unwrap_or(u8::MAX),
        brand: columns.value()?,
        address: columns.value()?,
        request_id: columns.value()?,
        command: columns.value()?,
        config_id: columns.value()?,
        transaction_id: columns.value()?,
        approval_id: columns.value()?,
        outcome: columns.value()?,
        changes: {
            let text = columns.str()?;
            length = text.len();
            serde_json::from_str(text)
                .map_err(|_| Fault::new(format!("{TABLE}: the changes of a record cannot be read")))?
        },
        hash: hex::encode(columns.bytes::<32>()?).into(),
    };
    Ok((row, length))
}
