//! The rates of the embedded trading server: as a roster states them, as the database has them, and what a roster changes of them.
//! Whether one may be used is decided when a deposit is converted.

use std::sync::Arc;

use cashier_core::conversion::{Rate, StatedRate};
use cashier_core::money::Currency;
use cashier_core::time::UnixTime;
use rusqlite::{Connection, Row, params};

use super::mistake::{Mistake, Section};
use super::rows::DiskFault;

/// From which currency to which.
pub(super) type RatePair = (Currency, Currency);

/// The known rates, by their currencies.
pub(super) type Rates = imbl::HashMap<RatePair, Arc<StatedRate>>;

/// A rate of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateEntry {
    pub from: Currency,
    pub to: Currency,
    pub stated: StatedRate,
}

impl RateEntry {
    pub(super) fn pair(&self) -> RatePair {
        (self.from, self.to)
    }
}

/// Rates of a currency in itself: an amount in the account's currency is not converted.
pub(super) fn mistakes(rates: &[RateEntry]) -> Vec<Mistake> {
    let in_itself = rates.iter().enumerate().filter(|(_, entry)| entry.from == entry.to);
    let mistake = |(index, entry): (usize, &RateEntry)| {
        Mistake::new(Section::Rates, index, "to", format!("is {} again", entry.from))
    };
    in_itself.map(mistake).collect()
}

/// What a rate is known by in a record of changes.
pub(super) fn row_name((from, to): RatePair) -> String {
    format!("rate {from} {to}")
}

pub(super) fn fields(stated: &StatedRate) -> Vec<(&'static str, String)> {
    vec![("rate", stated.rate.to_wire()), ("source", stated.source.to_string()), ("time", stated.time.to_string())]
}

pub(super) fn put(connection: &Connection, (from, to): RatePair, stated: &StatedRate) -> Result<(), DiskFault> {
    connection.prepare_cached("INSERT OR REPLACE INTO rate VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        from.code(),
        to.code(),
        stated.rate.to_wire(),
        stated.time.0,
        stated.source,
    ])?;
    Ok(())
}

pub(super) const READ: &str = "SELECT from_currency, to_currency, rate, stated_time, source FROM rate";

pub(super) fn read(row: &Row<'_>) -> Result<(RatePair, StatedRate), DiskFault> {
    let currency = |column: usize| -> Result<Currency, DiskFault> {
        let code: Box<str> = row.get(column)?;
        Currency::from_code(&code).ok_or_else(|| DiskFault::of_row(format!("a rate is of {code:?}, which is unknown")))
    };
    let (pair, text): (RatePair, Box<str>) = ((currency(0)?, currency(1)?), row.get(2)?);
    let rate = Rate::parse(&text).map_err(|error| DiskFault::of_row(format!("the {} {error}", row_name(pair))))?;
    Ok((pair, StatedRate { rate, time: UnixTime(row.get(3)?), source: row.get(4)? }))
}
