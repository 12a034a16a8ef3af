//! Who receives the rows of a load, and the books with what is compared with the trading server as a receiver. It reads no row.

use std::path::Path;

use cashier_core::approval::Approval;
use cashier_core::books::LoadedImage;
use cashier_core::change::{Change, Counters};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::status::OperationStatus;
use cashier_core::transaction::Transaction;
use rusqlite::Connection;

use crate::ports::{Fault, LoadProgress, Loaded, UnrecordedOperation};
use crate::strand::image::loading;

/// Receives the rows. A transaction comes once, by rising id, with nearly all its operations.
pub(in crate::strand) trait RowSink {
    fn identity(&mut self, identity: &str);
    /// Comes before the rows that have ids.
    fn counters(&mut self, counters: Counters, event_keys: u64);
    /// Takes transactions, operations and keys of events from an image instead of from the rows; false where it cannot.
    fn take_image(&mut self, _: (&Connection, &Path), _: Counters, _: &LoadProgress) -> Result<bool, Fault> {
        Ok(false)
    }
    fn config(&mut self, row: ProviderConfig);
    fn customer_override(&mut self, row: CustomerOverride);
    fn approval(&mut self, row: Approval);
    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]);
    /// An operation that was not handed over with its transaction: it was made long after it, or the transaction has no row.
    fn operation(&mut self, row: BalanceOperation);
    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId);
    /// `bytes` is the length of its notice's body, where that counts.
    fn waiting_event(&mut self, row: ProviderEvent, bytes: u64);
}

impl RowSink for Loaded {
    fn identity(&mut self, identity: &str) {
        self.identity = identity.into();
        self.books.seed_keys(identity);
    }

    fn counters(&mut self, counters: Counters, event_keys: u64) {
        self.books.reserve(counters.transaction, event_keys);
        self.books.set_counters(counters);
    }

    fn take_image(
        &mut self,
        database: (&Connection, &Path),
        counters: Counters,
        progress: &LoadProgress,
    ) -> Result<bool, Fault> {
        let Some(image) = loading::load(database, &self.identity, counters, progress)? else { return Ok(false) };
        let LoadedImage { books, posted, unrecorded } = image;
        for known in unrecorded.iter().filter_map(|id| books.aggregate(*id)) {
            known.operations.iter().for_each(|operation| note(self, &known.transaction, operation));
        }
        (self.books, self.posted, self.is_from_image) = (books, posted, true);
        Ok(true)
    }

    fn config(&mut self, row: ProviderConfig) {
        self.configs.push(row);
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.overrides.push(row);
    }

    fn approval(&mut self, row: Approval) {
        self.approvals.push(row);
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        for operation in operations {
            note(self, &row, operation);
        }
        self.books.load_transaction(&row, operations);
    }

    fn operation(&mut self, row: BalanceOperation) {
        if let Some(transaction) = self.books.transaction(row.transaction_id) {
            note(self, &transaction, &row);
        }
        self.books.load(Change::Operation(Box::new(row)));
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.books.remember_event_key(config, event_id, id);
    }

    fn waiting_event(&mut self, row: ProviderEvent, bytes: u64) {
        self.books.load_event(&row, bytes);
    }
}

/// Takes down what an operation means for the comparison with the embedded trading server.
fn note(loaded: &mut Loaded, transaction: &Transaction, operation: &BalanceOperation) {
    loaded.posted.count_in(transaction, operation);
    let (login, minor) = (operation.login, operation.amount.minor);
    let key = || OperationKey::of(&transaction.reference, operation);
    match operation.status {
        OperationStatus::Planned | OperationStatus::Unknown => {
            loaded.unrecorded.push(UnrecordedOperation {
                server: transaction.server.clone(),
                key: key(),
                login,
                minor,
            });
        }
        OperationStatus::Posted | OperationStatus::Refused => {}
    }
}
