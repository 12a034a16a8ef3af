//! Finance orders in the rows of the platform's tables. A row that cannot be read is a fault where it may be of the key that is asked
//! for, is listed where it may be ours, and else no row.

use cashier_core::ids::Login;
use cashier_core::status::OperationCmd;

use super::finance_order::{APPROVED, DECLINED, FinanceOrder, OrderKey, OrderState, PENDING, has_key};
use super::settings::PlatformSettings;
use super::tables::TableRow;
use crate::ports::Fault;

/// An order with what a list of postings needs beside it.
#[derive(Debug, Clone)]
pub(super) struct ListedOrder {
    pub(super) order: FinanceOrder,
    /// Empty where none can be read.
    pub(super) update_time: Box<str>,
    pub(super) gw_order: u64,
    /// It is ours, as far as it can be read; then what cannot is 0 or empty.
    pub(super) is_readable: bool,
}

/// Reads rows by the settings.
pub(super) struct OrderRows<'s>(pub(super) &'s PlatformSettings);

impl OrderRows<'_> {
    /// The orders of rows that are searched for one key, and for its recorded number where that is not 0. What cannot be read and is
    /// certainly about another key holds up nothing.
    pub(super) fn read(&self, rows: &[TableRow], of: &OrderKey, recorded: u64) -> Result<Vec<FinanceOrder>, Fault> {
        let read = |row: &TableRow| match self.order(row) {
            Ok(order) => Some(Ok(order)),
            Err(fault) => self.may_be_of(row, of, recorded).then_some(Err(fault)),
        };
        rows.iter().filter_map(read).collect()
    }

    /// Whether an order that cannot be read may be of a key: its `gw_uuid` or its comment has it, or neither says anything. Of the
    /// recorded number it is whatever they say.
    fn may_be_of(&self, row: &TableRow, of: &OrderKey, recorded: u64) -> bool {
        if let Some(stray) = row.stray() {
            return stray.is_cut || stray.keys.iter().any(|text| of.is_in(text));
        }
        if recorded != 0 && row.number("order").is_ok_and(|number| number == recorded) {
            return true;
        }
        let (uuid, comment) = (stated(row, "gw_uuid"), stated(row, "comment"));
        if uuid.is_empty() && comment.is_empty() {
            let is_hidden = row.is_no_text("gw_uuid") && row.is_no_text("comment");
            return is_hidden || self.has_source(row);
        }
        of.is_in(&uuid) || of.is_in(&comment)
    }

    /// Whether an order that cannot be read may be of any key of ours: by its source, and where it states none, by a key in it.
    fn may_be_ours(&self, row: &TableRow) -> bool {
        match row.stray() {
            Some(stray) => stray.keys.iter().any(|text| has_key(text)),
            None if stated(row, "gw_source").is_empty() => {
                has_key(&stated(row, "gw_uuid")) || has_key(&stated(row, "comment"))
            }
            None => self.has_source(row),
        }
    }

    fn has_source(&self, row: &TableRow) -> bool {
        stated(row, "gw_source").eq_ignore_ascii_case(&self.0.source)
    }

    pub(super) fn order(&self, row: &TableRow) -> Result<FinanceOrder, Fault> {
        Ok(FinanceOrder {
            order: row.number("order")?,
            login: Login(row.number("login")?),
            cmd: cmd_of(row.integer("cmd")?),
            state: self.state_of(row.integer("state")?),
            amount: amount_of(row),
            source: stated(row, "gw_source"),
            uuid: stated(row, "gw_uuid"),
            comment: stated(row, "comment"),
        })
    }

    /// A row as it is listed; `None` where it cannot be read and is not ours.
    pub(super) fn listed(&self, row: &TableRow) -> Option<ListedOrder> {
        let (gw_order, update_time) = (row.number("gw_order").unwrap_or_default(), stated(row, "update_time"));
        let read = self.order(row);
        let is_readable = read.is_ok() && !update_time.is_empty();
        if !is_readable && !self.may_be_ours(row) {
            return None;
        }
        let order = read.unwrap_or_else(|fault| {
            tracing::debug!(%fault, "row of a finance order cannot be read");
            // Of one whose values have no names, the key is all that is known.
            let key = row.stray().and_then(|stray| stray.keys.iter().find(|text| has_key(text)).cloned());
            FinanceOrder {
                order: row.number("order").unwrap_or_default(),
                login: Login(row.number("login").unwrap_or_default()),
                cmd: row.integer("cmd").ok().and_then(cmd_of),
                // Where nobody knows, it may have moved the balance.
                state: row.integer("state").map_or(OrderState::Executed, |state| self.state_of(state)),
                amount: amount_of(row),
                source: stated(row, "gw_source"),
                uuid: stated(row, "gw_uuid"),
                comment: key.unwrap_or_else(|| stated(row, "comment")),
            }
        });
        Some(ListedOrder { order, update_time, gw_order, is_readable })
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

/// A text of a row; empty where it has none.
fn stated(row: &TableRow, name: &str) -> Box<str> {
    row.optional_text(name).unwrap_or_default()
}

/// `profit` of an order, or `amount`: one that is pending has earned nothing yet. Empty where neither can be read.
fn amount_of(row: &TableRow) -> Box<str> {
    let stated = || ["profit", "amount"].into_iter().filter_map(|name| row.decimal(name).ok());
    let is_more_than_zero = |decimal: &str| decimal.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    stated().find(|decimal| is_more_than_zero(decimal)).or_else(|| stated().next()).unwrap_or_default()
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
