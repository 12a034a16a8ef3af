//! The column of a transaction's frozen rate: `[rate, time, source]` with the rate as the text of an exact decimal, or nothing where
//! order and account have one currency.

use cashier_core::conversion::{Conversion, Rate};
use cashier_core::time::UnixTime;
use serde::de::Error as _;

use super::columns::{Column, ColumnReader, Put};
use crate::ports::Fault;

impl Column for Option<Box<Conversion>> {
    fn bind<'c>(&self, put: Put<'c>) -> Put<'c> {
        put.json(|out| match self {
            Some(frozen) => serde_json::to_writer(out, &(frozen.rate.to_wire(), frozen.time.0, &*frozen.source)),
            None => Ok(()),
        })
    }

    fn read(columns: &mut ColumnReader<'_, '_>) -> Result<Self, Fault> {
        columns.json(|text| {
            let (rate, time, source): (Box<str>, i64, Box<str>) = serde_json::from_str(text)?;
            let rate = Rate::parse(&rate).map_err(|error| serde_json::Error::custom(format!("the rate {error}")))?;
            Ok(Some(Box::new(Conversion { rate, time: UnixTime(time), source })))
        })
    }
}
