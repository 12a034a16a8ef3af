//! Who may do what, as the settings narrow it: session types of manager commands, and refunds that need a second person.

use std::collections::BTreeMap;

use cashier_core::approval::RefundLimits;
use cashier_core::money::{Currency, Money, parse_minor};
use cashier_core::rights::{Permits, Rights};

use super::values::texts;
use super::wrong::Wrong;
use crate::manager::COMMANDS;
use crate::text_file::trimmed;

/// Session types by command.
pub(super) fn rights(key: &'static str, written: Option<BTreeMap<String, Vec<String>>>) -> Result<Rights, Wrong> {
    let commands: Vec<(&'static str, Permits)> = COMMANDS.iter().map(|command| (command.name, command.may)).collect();
    let of_command = |(command, sessions): (String, Vec<String>)| {
        let sessions = texts(key, Some(sessions)).map_err(|wrong| wrong.of(&command))?;
        let sessions: Vec<Box<str>> = sessions.into_iter().map(Box::from).collect();
        Ok((command, sessions))
    };
    let written = written.into_iter().flatten().map(of_command).collect::<Result<Vec<_>, Wrong>>()?;
    let written = written.iter().map(|(command, sessions)| (trimmed(command), &**sessions));
    Rights::checked(written, &commands).map_err(|mistake| {
        let what = format!("has {:?}, which {}", mistake.command, mistake.what);
        Wrong::new(key, what).of(&mistake.command)
    })
}

/// Amounts by currency.
pub(super) fn refund_limits(
    key: &'static str,
    written: Option<BTreeMap<String, String>>,
) -> Result<RefundLimits, Wrong> {
    let of_currency = |(currency, amount): (String, String)| {
        let wrong = |what: String| Wrong::new(key, what).of(&currency);
        let code = trimmed(&currency);
        let known = Currency::from_code(code).ok_or_else(|| wrong(format!("has {code:?}, which is no currency")))?;
        let minor = parse_minor(trimmed(&amount), known.exponent())
            .map_err(|_| wrong(format!("has {amount:?} for {code}, which is no amount of it such as \"1000\"")))?;
        Ok(Money::new(minor, known))
    };
    let limits = written.into_iter().flatten().map(of_currency).collect::<Result<Vec<_>, Wrong>>()?;
    Ok(RefundLimits::new(limits))
}
