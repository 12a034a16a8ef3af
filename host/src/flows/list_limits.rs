//! How many lists one customer or manager may have at once, and what they hold: a permit lives until the answer is sent, so that
//! readers who read nothing hold a named number of bytes. It knows no list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cashier_core::ids::{CustomerId, ManagerId};
use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::{self, Either};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::Clock;

/// Lists of one customer that are answered at one time: an app shows one, and asks for the next while it scrolls.
pub const CUSTOMER_LISTS_MAX: usize = 2;

/// Lists of one manager that are answered at one time.
pub const MANAGER_LISTS_MAX: usize = 4;

/// Exports of one manager at one time, beside the lists.
pub const EXPORTS_MAX: usize = 2;

/// Rows from which on a manager's list is an export: more than a person looks at.
pub const EXPORT_ROWS_MIN: usize = 5_000;

/// Kilobytes of packed rows that the lists and exports of one customer or manager hold: one largest page and some usual ones.
const READER_KIB_MAX: usize = 48 * 1024;

/// Kilobytes that all lists of the server hold.
const LISTS_KIB_MAX: usize = 512 * 1024;

/// How long a list waits for an earlier one of the same reader to end.
const LIST_WAIT_MAX: Duration = Duration::from_secs(2);

/// Who reads a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListReader {
    Customer(CustomerId),
    Manager(ManagerId),
    /// A manager whose list has so many rows that it is an export.
    Export(ManagerId),
}

impl ListReader {
    fn at_once(self) -> usize {
        match self {
            Self::Customer(_) => CUSTOMER_LISTS_MAX,
            Self::Manager(_) => MANAGER_LISTS_MAX,
            Self::Export(_) => EXPORTS_MAX,
        }
    }
}

/// The lists that are answered now.
pub(super) struct ListLimits {
    readers: Arc<Mutex<BTreeMap<ListReader, ReaderLists>>>,
    all: Arc<Semaphore>,
}

/// One reader's capacity; it is forgotten with its last list.
struct ReaderLists {
    at_once: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    uses: usize,
}

/// The right to answer a list, and the capacity that its rows take.
pub struct ListPermit {
    lists: Arc<Semaphore>,
    held: Vec<OwnedSemaphorePermit>,
    usage: Usage,
}

struct Usage {
    readers: Arc<Mutex<BTreeMap<ListReader, ReaderLists>>>,
    reader: ListReader,
    kib: Arc<Semaphore>,
}

impl Drop for Usage {
    fn drop(&mut self) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = readers.get_mut(&self.reader) {
            known.uses -= 1;
            if known.uses == 0 {
                readers.remove(&self.reader);
            }
        }
    }
}

impl Default for ListLimits {
    fn default() -> Self {
        Self { readers: Arc::default(), all: Arc::new(Semaphore::new(LISTS_KIB_MAX)) }
    }
}

impl ListLimits {
    /// Waits shortly until this reader may have another list.
    ///
    /// # Errors
    /// 429 naming the limit.
    pub(super) async fn begin(&self, reader: ListReader, clock: &dyn Clock) -> Result<ListPermit, Refusal> {
        let (at_once, usage) = self.use_of(reader);
        let wait = future::select(Box::pin(at_once.acquire_owned()), clock.sleep(LIST_WAIT_MAX));
        match wait.await {
            Either::Left((Ok(place), _)) => Ok(ListPermit { lists: Arc::clone(&self.all), held: vec![place], usage }),
            Either::Left((Err(_), _)) | Either::Right(_) => {
                let (what, most) = match reader {
                    ListReader::Customer(_) | ListReader::Manager(_) => ("lists", reader.at_once()),
                    ListReader::Export(_) => ("exports (limit of 5000 rows and more)", reader.at_once()),
                };
                Err(too_many(&format!("{most} {what} are being sent to this session at once, which is the limit")))
            }
        }
    }

    fn use_of(&self, reader: ListReader) -> (Arc<Semaphore>, Usage) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = readers.entry(reader).or_insert_with(|| ReaderLists {
            at_once: Arc::new(Semaphore::new(reader.at_once())),
            kib: Arc::new(Semaphore::new(READER_KIB_MAX)),
            uses: 0,
        });
        known.uses += 1;
        let kib = Arc::clone(&known.kib);
        (Arc::clone(&known.at_once), Usage { readers: Arc::clone(&self.readers), reader, kib })
    }

    /// Readers that have a list at present, and the kilobytes that all lists hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).len();
        (readers, LISTS_KIB_MAX - self.all.available_permits())
    }
}

impl ListPermit {
    /// Takes capacity for this many bytes, until the permit is dropped.
    ///
    /// # Errors
    /// 429 naming the limit.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let beyond =
            |what: &str| too_many(&format!("{what} hold as many bytes as they may: ask for fewer rows, or later"));
        let kib = u32::try_from(bytes.div_ceil(1024)).map_err(|_| beyond("the lists"))?;
        let own = Arc::clone(&self.usage.kib).try_acquire_many_owned(kib);
        self.held.push(own.map_err(|_| beyond("the lists of this session"))?);
        let all = Arc::clone(&self.lists).try_acquire_many_owned(kib);
        self.held.push(all.map_err(|_| beyond("the lists of all sessions"))?);
        Ok(())
    }
}

fn too_many(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Frequent, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_cashier::TestClock;

    #[tokio::test(start_paused = true)]
    async fn b2_a_reader_has_so_many_lists_at_once_and_gets_another_when_one_ends() {
        let (limits, clock) = (ListLimits::default(), TestClock::running());
        let (one, other) = (CustomerId(5), CustomerId(6));
        let readers = [
            (ListReader::Customer(one), CUSTOMER_LISTS_MAX),
            (ListReader::Manager(ManagerId(5)), MANAGER_LISTS_MAX),
            (ListReader::Export(ManagerId(5)), EXPORTS_MAX),
        ];
        for (reader, most) in readers {
            let mut held = Vec::new();
            for _ in 0..most {
                held.push(limits.begin(reader, &clock).await.unwrap());
            }
            let refused = limits.begin(reader, &clock).await.err().unwrap();
            assert!(refused.code == RefusalCode::Frequent && refused.message.contains(&most.to_string()), "{refused}");
            assert!(limits.begin(ListReader::Customer(other), &clock).await.is_ok(), "others have their own");
            let waiting = limits.begin(reader, &clock);
            let ending = async { drop(held.pop()) };
            assert!(tokio::join!(waiting, ending).0.is_ok(), "it waits for one that ends");
        }
        assert_eq!(limits.held(), (0, 0), "nothing is remembered of readers without a list");
    }

    #[tokio::test(start_paused = true)]
    async fn b2_the_bytes_of_one_reader_and_of_all_are_bounded() {
        let (limits, clock) = (ListLimits::default(), TestClock::running());
        let mut held = Vec::new();
        let mut refused = 0;
        for customer in 1..=20 {
            let reader = ListReader::Customer(CustomerId(customer));
            for _ in 0..2 {
                let mut permit = limits.begin(reader, &clock).await.unwrap();
                refused += usize::from(permit.hold(30 * 1024 * 1024).is_err());
                held.push(permit);
            }
        }
        // One list of 30 MiB for each reader, and seventeen in all.
        assert_eq!((refused, limits.held()), (20 + 3, (20, 17 * 30 * 1024)));
        held.clear();
        assert_eq!(limits.held(), (0, 0));
    }
}
