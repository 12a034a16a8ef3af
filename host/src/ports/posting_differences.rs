//! What differs between the books and a trading server elsewhere, as a comparison found it. It is no row: whoever finds it again
//! says it again.

use std::fmt;

use cashier_core::ids::{Login, TransactionId};
use cashier_core::money::Money;
use cashier_core::operation::OperationKey;
use cashier_core::time::UnixTime;

/// How a posting differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The books have it as posted, and the server does not have it.
    Lost,
    /// The server has made it, and the books do not have it as posted.
    Extra,
    /// Both have it, with another login, amount or direction.
    Other,
    /// The server has it under another number than the books, or a second time.
    OtherOrder,
}

/// A posting that a trading server and the books do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingDifference {
    pub kind: DifferenceKind,
    pub key: OperationKey,
    /// The books' transaction; 0 where they have none.
    pub transaction_id: TransactionId,
    pub login: Login,
    /// As the server has it; as the books have it, where it is lost.
    pub amount: Money,
    /// The server's number of it, or the one that the books recorded; 0 where it was refused.
    pub trade_order: u64,
    /// When it was found first.
    pub since: UnixTime,
}

/// Everything in which a server and the books differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerDifferences {
    /// One sentence about all of it.
    pub sentence: Box<str>,
    /// At most `DIFFERENCES_KEPT_MAX`.
    pub kept: Vec<PostingDifference>,
    /// How many of each kind there are in all.
    pub lost: u64,
    pub extra: u64,
    pub other: u64,
    /// How many of these the server lists so that they cannot be read; none of them is kept.
    pub unread: u64,
    /// Which rows differ was not found out yet.
    pub is_unlisted: bool,
    pub since: UnixTime,
}

impl ServerDifferences {
    /// How many are not kept one by one; where the rows were not listed, they are one.
    pub fn beyond(&self) -> u64 {
        let all = self.lost + self.extra + self.other;
        if self.is_unlisted { all.max(1) } else { all.saturating_sub(self.kept.len() as u64) }
    }
}

/// For a person who looks for it in both.
impl fmt::Display for PostingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, transaction_id, login, amount, trade_order, .. } = self;
        f.write_str(match kind {
            DifferenceKind::Lost => "the trading server does not have a posting of the books",
            DifferenceKind::Extra => "the books do not have a posting of the trading server",
            DifferenceKind::Other => "the trading server has a posting with other values than the books",
            DifferenceKind::OtherOrder => {
                "the trading server has a posting as another order than the books name, or has both"
            }
        })?;
        write!(f, ": key {key}, {amount} to login {login}")?;
        if *trade_order != 0 {
            write!(f, ", trade order {trade_order}")?;
        }
        if *transaction_id != TransactionId(0) {
            write!(f, ", transaction {transaction_id}")?;
        }
        Ok(())
    }
}
