//! What each customer takes of what is limited: deposits that are open, and bytes that the customer's requests stored lately.
//! Derived from the rows, so that it is right after a start, an image and a row that was put back, and found in one step.

use super::growing_table::GrowingTable;
use super::hash_index::key_hash;
use super::rows::Row;
use crate::ids::CustomerId;
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::time::UnixTime;

/// Stored bytes are counted by periods of so many days, which begin at multiples of it: those of the period that it is and of
/// the one before. So what was stored counts for 30 to 60 days, in two numbers.
pub const STORED_PERIOD_DAYS: i64 = 30;

/// The same in seconds.
const PERIOD_SECONDS: i64 = STORED_PERIOD_DAYS * 24 * 60 * 60;

/// In 32 bits, because every customer has one in memory.
fn period(time: UnixTime) -> i32 {
    i32::try_from(time.0.div_euclid(PERIOD_SECONDS)).unwrap_or(i32::MAX)
}

/// Whose requests store: each has its own sum, so that deposits leave no withdrawal without place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredBy {
    Deposits,
    Withdrawals,
}

/// Bytes that count at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredBytes {
    /// Of the period before: they count until this one ends.
    pub before: u64,
    pub current: u64,
    /// Seconds until this period ends.
    pub seconds_left: i64,
}

impl StoredBytes {
    pub fn sum(&self) -> u64 {
        self.before.saturating_add(self.current)
    }

    /// Seconds until `wanted` more bytes fit beside what counts then; `None` where they never do.
    pub fn seconds_until(&self, wanted: u64, limit: u64) -> Option<i64> {
        let fits = |taken: u64| taken.saturating_add(wanted) <= limit;
        match () {
            () if fits(self.sum()) => Some(0),
            () if fits(self.current) => Some(self.seconds_left),
            () if fits(0) => Some(self.seconds_left + PERIOD_SECONDS),
            () => None,
        }
    }
}

/// What one customer takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerUse {
    /// Deposits through a provider of which no payment or end is known.
    pub open_deposits: u32,
    deposits: KindUse,
    withdrawals: KindUse,
}

impl CustomerUse {
    pub fn stored(&self, by: StoredBy, now: UnixTime) -> StoredBytes {
        match by {
            StoredBy::Deposits => self.deposits.stored(now),
            StoredBy::Withdrawals => self.withdrawals.stored(now),
        }
    }
}

/// What requests of one kind take of a customer: 16 bytes, because every customer has them in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct KindUse {
    open: u32,
    /// The period of the newest rows, and comments, metadata and return URLs of the one before and of it. Each sum stays at
    /// 4 GiB, which is more than the limit may be.
    period: i32,
    bytes: [u32; 2],
}

impl KindUse {
    fn stored(&self, now: UnixTime) -> StoredBytes {
        let [before, newest] = self.bytes;
        let (before, current) = match period(now).saturating_sub(self.period) {
            ..=0 => (before, newest),
            1 => (newest, 0),
            2.. => (0, 0),
        };
        let seconds_left = PERIOD_SECONDS - now.0.rem_euclid(PERIOD_SECONDS);
        StoredBytes { before: before.into(), current: current.into(), seconds_left }
    }

    fn add(&mut self, row: &RowUse) {
        self.open += u32::from(row.is_open);
        let [_, newest] = self.bytes;
        match row.period.saturating_sub(self.period) {
            ..=0 => {}
            1 => self.bytes = [newest, 0],
            2.. => self.bytes = [0, 0],
        }
        self.period = self.period.max(row.period);
        if let Some(bytes) = self.bytes_of(row) {
            *bytes = bytes.saturating_add(row.bytes);
        }
    }

    fn take_out(&mut self, row: &RowUse) {
        self.open = self.open.saturating_sub(row.is_open.into());
        if let Some(bytes) = self.bytes_of(row) {
            *bytes = bytes.saturating_sub(row.bytes);
        }
    }

    fn bytes_of(&mut self, row: &RowUse) -> Option<&mut u32> {
        let [before, newest] = &mut self.bytes;
        match self.period.saturating_sub(row.period) {
            0 => Some(newest),
            1 => Some(before),
            _ => None,
        }
    }
}

/// What one row takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowUse {
    is_open: bool,
    by: StoredBy,
    period: i32,
    bytes: u32,
}

impl RowUse {
    fn is_nothing(&self) -> bool {
        !self.is_open && self.bytes == 0
    }
}

type UseTable = GrowingTable<(u64, KindUse)>;

/// Each kind for itself: few customers have stored anything with a withdrawal.
#[derive(Default)]
pub(super) struct CustomerUses {
    deposits: UseTable,
    withdrawals: UseTable,
}

impl CustomerUses {
    pub(super) fn of(&self, customer: CustomerId) -> CustomerUse {
        let find = |table: &UseTable| {
            let found = table.find(key_hash(customer.0), |(known, _)| *known == customer.0);
            found.map(|(_, taken)| *taken).unwrap_or_default()
        };
        let (deposits, withdrawals) = (find(&self.deposits), find(&self.withdrawals));
        CustomerUse { open_deposits: deposits.open, deposits, withdrawals }
    }

    /// One row of a customer takes `after` in place of `before`; its kind is the same.
    pub(super) fn replace(&mut self, customer: u64, before: Option<RowUse>, after: Option<RowUse>) {
        let Some(by) = before.or(after).map(|row| row.by) else { return };
        if before == after || before.iter().chain(&after).all(RowUse::is_nothing) {
            return;
        }
        let table = match by {
            StoredBy::Deposits => &mut self.deposits,
            StoredBy::Withdrawals => &mut self.withdrawals,
        };
        let hash = key_hash(customer);
        let known = table.find_mut(hash, |(known, _)| *known == customer);
        let mut new = KindUse::default();
        let is_new = known.is_none();
        let taken = known.map_or(&mut new, |(_, taken)| taken);
        if let Some(before) = &before {
            taken.take_out(before);
        }
        if let Some(after) = &after {
            taken.add(after);
        }
        if is_new {
            table.insert_new(hash, (customer, new), |(known, _)| key_hash(known));
        }
    }

    /// Customers whose requests of one kind stored so many bytes or more: how many, and the lowest ids of them.
    pub(super) fn storing(&self, bytes: u64, now: UnixTime, shown: usize) -> (usize, Vec<CustomerId>) {
        let all = [&self.deposits, &self.withdrawals]
            .into_iter()
            .flat_map(|table| (0..table.segments()).flat_map(|index| table.segment_at(index)));
        let mut found: Vec<_> =
            all.filter(|(_, taken)| taken.stored(now).sum() >= bytes).map(|(id, _)| CustomerId(*id)).collect();
        found.sort_unstable();
        found.dedup();
        let count = found.len();
        found.truncate(shown);
        (count, found)
    }

    pub(super) fn moved(&self) -> u64 {
        self.deposits.moved() + self.withdrawals.moved()
    }
}

impl Row {
    pub(super) fn taken(&self) -> RowUse {
        let is_open = self.kind == TransactionType::Deposit.number()
            && self.source == Source::Provider.number()
            && TransactionStatus::from_number(self.status.into()).is_some_and(TransactionStatus::is_unpaid);
        let is_deposit = self.kind == TransactionType::Deposit.number();
        let by = if is_deposit { StoredBy::Deposits } else { StoredBy::Withdrawals };
        RowUse { is_open, by, period: period(UnixTime(self.created_time)), bytes: self.stored_bytes() }
    }
}
