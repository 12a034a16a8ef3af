//! Finance orders in the rows of the platform's tables. A row that cannot be read is a fault where it may be ours, and else no row.

use cashier_core::operation::OperationKey;
use cashier_core::status::OperationCmd;

use super::next_step::{APPROVED, DECLINED, FinanceOrder, OrderState, PENDING, words};
use super::settings::PlatformSettings;
use super::tables::TableRow;
use crate::ports::Fault;

/// An order with what a list of postings needs beside it.
#[derive(Debug, Clone)]
pub(super) struct ListedOrder {
    pub(super) order: FinanceOrder,
    pub(super) update_time: Box<str>,
    pub(super) gw_order: u64,
}

/// Reads rows by the settings.
pub(super) struct OrderRows<'s>(pub(super) &'s PlatformSettings);

impl OrderRows<'_> {
    pub(super) fn read(&self, rows: &[TableRow]) -> Result<Vec<FinanceOrder>, Fault> {
        rows.iter().filter_map(|row| self.ours(row).transpose()).collect()
    }

    /// The order of a row; `None` where it cannot be read and is not ours, whatever its columns are.
    fn ours(&self, row: &TableRow) -> Result<Option<FinanceOrder>, Fault> {
        self.unless_foreign(row, self.order(row))
    }

    fn unless_foreign<T>(&self, row: &TableRow, read: Result<T, Fault>) -> Result<Option<T>, Fault> {
        let text = |name: &str| row.optional_text(name).unwrap_or_default();
        let texts = || [text("gw_uuid"), text("comment")];
        match read {
            Ok(read) => Ok(Some(read)),
            Err(fault) if may_be_ours(&text("gw_source"), texts(), &self.0.source) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn order(&self, row: &TableRow) -> Result<FinanceOrder, Fault> {
        let text = |name: &str| row.optional_text(name).unwrap_or_default();
        Ok(FinanceOrder {
            order: row.number("order")?,
            login: cashier_core::ids::Login(row.number("login")?),
            cmd: cmd_of(row.integer("cmd")?),
            state: self.state_of(row.integer("state")?),
            amount: amount_of(row),
            source: text("gw_source"),
            uuid: text("gw_uuid"),
            comment: text("comment"),
        })
    }

    pub(super) fn listed(&self, row: &TableRow) -> Result<Option<ListedOrder>, Fault> {
        let gw_order = row.number("gw_order").unwrap_or_default();
        let Some(order) = self.ours(row)? else { return Ok(None) };
        let update_time = self.unless_foreign(row, row.text("update_time"))?;
        Ok(update_time.map(|update_time| ListedOrder { order, update_time, gw_order }))
    }

    pub(super) fn state_of(&self, number: i64) -> OrderState {
        match number {
            PENDING => OrderState::Pending,
            APPROVED => OrderState::Approved,
            DECLINED => OrderState::Declined,
            _ if self.0.executed_states.contains(&number) => OrderState::Executed,
            _ if self.0.declined_states.contains(&number) => OrderState::Declined,
            _ => OrderState::Unexplained(number),
        }
    }
}

/// `profit` of an order, or `amount`: one that is pending has earned nothing yet. Empty where neither can be read.
fn amount_of(row: &TableRow) -> Box<str> {
    let stated = || ["profit", "amount"].into_iter().filter_map(|name| row.decimal(name).ok());
    let is_more_than_zero = |decimal: &str| decimal.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    stated().find(|decimal| is_more_than_zero(decimal)).or_else(|| stated().next()).unwrap_or_default()
}

/// Of an order that cannot be read: by its source, and where it states none, by a key of ours in it.
fn may_be_ours(source: &str, texts: [Box<str>; 2], ours: &str) -> bool {
    let has_key = |text: &str| words(text).any(|word| word.contains(':') && OperationKey::read(word).is_some());
    *source == *ours || source.is_empty() && texts.iter().any(|text| has_key(text))
}

fn cmd_of(number: i64) -> Option<OperationCmd> {
    [OperationCmd::BalanceIn, OperationCmd::BalanceOut].into_iter().find(|cmd| i64::from(number_of(*cmd)) == number)
}

pub(super) fn number_of(cmd: OperationCmd) -> u8 {
    match cmd {
        OperationCmd::BalanceIn => 6,
        OperationCmd::BalanceOut => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_numbers_of_the_platform() {
        assert_eq!(
            [5, 6, 7, 8].map(cmd_of),
            [None, Some(OperationCmd::BalanceIn), None, Some(OperationCmd::BalanceOut)]
        );
    }
}
