//! The table customer_override.

use cashier_core::customer_override::CustomerOverride;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::table;

table! {
    CustomerOverride "customer_override" {
        customer_id; brand; provider_config_id; provider; method; mode; min_amount; max_amount; enabled; reason; comment;
        expires_time; created_time; updated_time;
    }
}

const PUT: &str = concat!("REPLACE INTO customer_override (", columns!(), ") VALUES (", values!(), ")");

pub(in crate::strand) const READ_ALL: &str = concat!("SELECT ", columns!(), " FROM customer_override ORDER BY id");

pub(super) fn put(writer: &mut RowWriter<'_>, row: &CustomerOverride) -> Result<(), Fault> {
    writer.touch('v', row.id.0);
    writer.put(TABLE, PUT, |put| bind(put, row))
}
