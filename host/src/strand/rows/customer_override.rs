//! The table customer_override.

use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put};

pub(in crate::strand) const TABLE: &str = "customer_override";

macro_rules! columns {
    () => {
        "id, customer_id, brand, provider_config_id, provider, method, mode, min_amount, max_amount, enabled, reason, \
         comment, expires_time, created_time, updated_time"
    };
}

const PUT: &str = concat!("REPLACE INTO customer_override (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM customer_override ORDER BY id");

pub(super) fn put(writer: &mut RowWriter<'_>, row: &CustomerOverride) -> Result<(), rusqlite::Error> {
    writer.touch('v', row.id.0);
    Put::prepare(writer.connection, PUT)?
        .id(row.id.0)
        .id(row.customer_id.0)
        .text(&row.brand)
        .id(row.provider_config_id.0)
        .text(&row.provider)
        .text(&row.method)
        .number(row.mode.number())
        .limit(row.min_amount)
        .limit(row.max_amount)
        .flag(row.enabled)
        .text(&row.reason)
        .text(&row.comment)
        .time(row.expires_time)
        .time(row.created_time)
        .time(row.updated_time)
        .run()
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<CustomerOverride, Fault> {
    Ok(CustomerOverride {
        id: OverrideId(columns.id()?),
        customer_id: CustomerId(columns.id()?),
        brand: columns.text()?,
        provider_config_id: ConfigId(columns.id()?),
        provider: columns.text()?,
        method: columns.text()?,
        mode: columns.number(OverrideMode::from_number)?,
        min_amount: columns.limit()?,
        max_amount: columns.limit()?,
        enabled: columns.flag()?,
        reason: columns.text()?,
        comment: columns.text()?,
        expires_time: columns.time()?,
        created_time: columns.time()?,
        updated_time: columns.time()?,
    })
}
