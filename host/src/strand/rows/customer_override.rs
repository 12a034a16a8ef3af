//! The table customer_override.

use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};

use super::Writer;
use crate::ports::Fault;
use crate::strand::columns::{Cells, Put};

pub(in crate::strand) const TABLE: &str = "customer_override";

macro_rules! columns {
    () => {
        "id, customer_id, brand, provider_config_id, provider, method, mode, min_amount, max_amount, enabled, reason, \
         comment, expires_time, created_time, updated_time"
    };
}

const PUT: &str = concat!("REPLACE INTO customer_override (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM customer_override ORDER BY id");

pub(super) fn put(writer: &mut Writer<'_>, row: &CustomerOverride) -> Result<(), rusqlite::Error> {
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

pub(in crate::strand) fn read(cells: &mut Cells<'_, '_>) -> Result<CustomerOverride, Fault> {
    Ok(CustomerOverride {
        id: OverrideId(cells.id()?),
        customer_id: CustomerId(cells.id()?),
        brand: cells.text()?,
        provider_config_id: ConfigId(cells.id()?),
        provider: cells.text()?,
        method: cells.text()?,
        mode: cells.number(OverrideMode::from_number)?,
        min_amount: cells.limit()?,
        max_amount: cells.limit()?,
        enabled: cells.flag()?,
        reason: cells.text()?,
        comment: cells.text()?,
        expires_time: cells.time()?,
        created_time: cells.time()?,
        updated_time: cells.time()?,
    })
}
