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
    /// The books have it as posted, the server does not list it, and does not say that it has not made it.
    Unsaid,
    /// The server has made it, and the books do not have it as posted, or have it at another server.
    Extra,
    /// Both have it, with another login, amount or direction.
    Other,
    /// The server has it under another number than the books, or a second time.
    OtherOrder,
    /// The server has refused it, and the books do not have it.
    RefusedThere,
}

/// A posting that a trading server and the books do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingDifference {
    pub kind: DifferenceKind,
    pub key: OperationKey,
    /// The books' transaction; 0 where they have none.
    pub transaction_id: TransactionId,
    pub login: Login,
    /// As the server has it; as the books have it, where the server does not.
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
    /// How many there are in all, as they were listed last.
    pub count: u64,
    /// Postings that the server counts and the books do not.
    pub surplus: u64,
    /// Postings of the books that it does not have, or of which it does not say whether it has them.
    pub lost: u64,
    pub unsaid: u64,
    /// How many it lists so that they cannot be read; none of them is kept.
    pub unread: u64,
    /// The rows were not listed since something was found to differ: what is kept is from before.
    pub is_unlisted: bool,
    pub since: UnixTime,
}

impl ServerDifferences {
    /// How many are not kept one by one; what was not listed counts as one.
    pub fn beyond(&self) -> u64 {
        if self.is_unlisted { 1 } else { self.count.saturating_sub(self.kept.len() as u64) }
    }

    /// How many are known: each that is kept, and those beyond.
    pub fn known(&self) -> u64 {
        self.beyond().saturating_add(self.kept.len() as u64)
    }

    /// What is not kept one by one, for a person; `None` where everything is.
    pub fn remark(&self) -> Option<String> {
        let (beyond, sentence) = (self.beyond(), &self.sentence);
        match (self.is_unlisted, self.kept.is_empty()) {
            (true, _) => Some(format!("{sentence}; its postings are being listed, to find out which they are")),
            (false, _) if beyond == 0 => None,
            (false, true) => Some(sentence.to_string()),
            (false, false) => Some(format!("{beyond} more postings differ; of all: {sentence}")),
        }
    }
}

/// For a person who looks for it in both.
impl fmt::Display for PostingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, transaction_id, login, amount, trade_order, .. } = self;
        f.write_str(match kind {
            DifferenceKind::Lost => "the trading server does not have a posting of the books",
            DifferenceKind::Unsaid => {
                "the trading server does not list a posting of the books, and does not say that it has not made it"
            }
            DifferenceKind::Extra => "the books do not have a posting of the trading server",
            DifferenceKind::RefusedThere => "the trading server has refused a posting that the books do not have",
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
