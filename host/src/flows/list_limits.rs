//! How many lists one customer or manager may have at once, and what they hold: a permit lives until the answer is sent, so that
//! readers who read nothing hold a named number of bytes. Bytes are counted before rows are copied. It knows no list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::{self, Either};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::list_reader::ListReader;
use crate::ports::Clock;

/// Rows from which on a manager's list is an export: more than a person looks at.
pub const EXPORT_ROWS_MIN: usize = 5_000;

/// Kilobytes of packed rows that the lists and exports of one customer or manager hold: one largest page and some usual ones.
const READER_KIB_MAX: usize = 48 * 1024;

/// Kilobytes that all lists of the server hold.
const LISTS_KIB_MAX: usize = 512 * 1024;

/// Of these, what the lists of customers leave to managers.
const MANAGERS_KIB_MIN: usize = 128 * 1024;

/// How long a list waits for others to end: earlier ones of the same reader, or those that hold the bytes it needs.
const LIST_WAIT_MAX: Duration = Duration::from_secs(2);

/// The lists that are answered now.
pub(super) struct ListLimits {
    readers: Arc<Mutex<BTreeMap<ListReader, ReaderLists>>>,
    all: Arc<Kilobytes>,
    of_customers: Arc<Kilobytes>,
}

/// One reader's capacity; it is forgotten with its last list.
struct ReaderLists {
    at_once: Arc<Semaphore>,
    kib: Arc<Kilobytes>,
    uses: usize,
}

/// The right to answer a list, and the capacity that it holds.
pub struct ListPermit {
    clock: Arc<dyn Clock>,
    _place: OwnedSemaphorePermit,
    held: Vec<Capacity>,
    _usage: Usage,
}

/// The kilobytes of one limit. Whoever fits into what is free gets it at once: a large page that waits delays no small list.
struct Kilobytes {
    free: Arc<Semaphore>,
    released: Notify,
}

impl Kilobytes {
    fn new(kib: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(kib)), released: Notify::new() })
    }

    async fn take(&self, kib: u32) -> OwnedSemaphorePermit {
        loop {
            // From here on no release is missed.
            let released = self.released.notified();
            if let Ok(taken) = Arc::clone(&self.free).try_acquire_many_owned(kib) {
                return taken;
            }
            released.await;
        }
    }

    fn release(&self, held: Option<OwnedSemaphorePermit>) {
        drop(held);
        self.released.notify_waiters();
    }
}

/// What is held of one limit.
struct Capacity {
    of: Arc<Kilobytes>,
    held: Option<OwnedSemaphorePermit>,
    beyond: &'static str,
}

impl Capacity {
    const READERS: &str = "what is being sent to this session at once in lists takes 48 MiB, which is the limit: read \
                           those to their end, or ask for fewer rows";
    const ALL: &str = "what is being sent to all sessions at once in lists takes as much as it may: try again shortly";

    fn new(of: &Arc<Kilobytes>, beyond: &'static str) -> Self {
        Self { of: Arc::clone(of), held: None, beyond }
    }

    async fn resize(&mut self, kib: usize) -> Result<(), ()> {
        let has = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(less) = has.checked_sub(kib) {
            self.of.release(self.held.as_mut().and_then(|held| held.split(less)));
            return Ok(());
        }
        let more = u32::try_from(kib - has).map_err(drop)?;
        let more = self.of.take(more).await;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

impl Drop for Capacity {
    fn drop(&mut self) {
        self.of.release(self.held.take());
    }
}

/// Counts the lists of its reader.
struct Usage {
    readers: Arc<Mutex<BTreeMap<ListReader, ReaderLists>>>,
    reader: ListReader,
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
        let of_customers = Kilobytes::new(LISTS_KIB_MAX - MANAGERS_KIB_MIN);
        Self { readers: Arc::default(), all: Kilobytes::new(LISTS_KIB_MAX), of_customers }
    }
}

impl ListLimits {
    /// Waits shortly until this reader may have another list.
    ///
    /// # Errors
    /// 429 naming the limit.
    pub(super) async fn begin(&self, reader: ListReader, clock: &Arc<dyn Clock>) -> Result<ListPermit, Refusal> {
        let (at_once, kib, usage) = self.use_of(&reader);
        let wait = future::select(Box::pin(at_once.acquire_owned()), clock.sleep(LIST_WAIT_MAX));
        match wait.await {
            Either::Left((Ok(place), _)) => {
                // In this order: what others share is taken last.
                let mut held = vec![Capacity::new(&kib, Capacity::READERS)];
                if let ListReader::Customer(_) = reader {
                    held.push(Capacity::new(&self.of_customers, Capacity::ALL));
                }
                held.push(Capacity::new(&self.all, Capacity::ALL));
                Ok(ListPermit { clock: Arc::clone(clock), _place: place, held, _usage: usage })
            }
            Either::Left((Err(_), _)) | Either::Right(_) => {
                let (what, most) = match reader {
                    ListReader::Customer(_) | ListReader::Manager(_) => ("lists", reader.at_once()),
                    ListReader::Export(_) => ("exports (limit of 5000 rows and more)", reader.at_once()),
                };
                Err(too_many(&format!("{most} {what} are being sent to this session at once, which is the limit")))
            }
        }
    }

    fn use_of(&self, reader: &ListReader) -> (Arc<Semaphore>, Arc<Kilobytes>, Usage) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = readers.entry(reader.clone()).or_insert_with(|| ReaderLists {
            at_once: Arc::new(Semaphore::new(reader.at_once())),
            kib: Kilobytes::new(READER_KIB_MAX),
            uses: 0,
        });
        known.uses += 1;
        let usage = Usage { readers: Arc::clone(&self.readers), reader: reader.clone() };
        (Arc::clone(&known.at_once), Arc::clone(&known.kib), usage)
    }

    /// Bytes that all lists hold.
    pub(super) fn held_bytes(&self) -> usize {
        (LISTS_KIB_MAX - self.all.free.available_permits()) * 1024
    }

    /// Readers that have a list at present, and the kilobytes that all lists hold.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).len();
        (readers, self.held_bytes() / 1024)
    }
}

impl ListPermit {
    /// Holds capacity for so many bytes from now on, until the permit is dropped. More than before may have to be waited for.
    ///
    /// # Errors
    /// 429 naming the limit.
    pub async fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let kib = bytes.div_ceil(1024);
        let clock = Arc::clone(&self.clock);
        let mut over = clock.sleep(LIST_WAIT_MAX);
        for capacity in &mut self.held {
            let resized = match future::select(Box::pin(capacity.resize(kib)), &mut over).await {
                Either::Left((resized, _)) => resized,
                Either::Right(_) => Err(()),
            };
            resized.map_err(|()| too_many(capacity.beyond))?;
        }
        Ok(())
    }
}

fn too_many(why: &str) -> Refusal {
    Refusal::new(RefusalCode::Frequent, why.to_owned())
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::{CustomerId, ManagerId};
    use cashier_core::session::{ManagerSession, Role};

    use super::super::list_reader::{CUSTOMER_LISTS_MAX, EXPORTS_MAX, MANAGER_LISTS_MAX, ManagerReader};
    use super::*;
    use crate::test_cashier::TestClock;

    fn manager(id: u64) -> ListReader {
        of_brand(id, None)
    }

    fn of_brand(id: u64, brand: Option<&str>) -> ListReader {
        let session = ManagerSession::assertion(ManagerId(id), Role::Manager, brand.map(Into::into));
        ListReader::Manager(ManagerReader::of(&session))
    }

    fn limits() -> (ListLimits, Arc<dyn Clock>) {
        (ListLimits::default(), Arc::new(TestClock::running()))
    }

    #[tokio::test(start_paused = true)]
    async fn b2_a_reader_has_so_many_lists_at_once_and_gets_another_when_one_ends() {
        let (limits, clock) = limits();
        let (one, other) = (CustomerId(5), CustomerId(6));
        let ListReader::Manager(exporting) = manager(5) else { panic!("a manager") };
        let export = ListReader::Export(exporting);
        let readers = [
            (ListReader::Customer(one), CUSTOMER_LISTS_MAX),
            (manager(5), MANAGER_LISTS_MAX),
            (of_brand(5, Some("ion4")), MANAGER_LISTS_MAX),
            (export, EXPORTS_MAX),
        ];
        for (reader, most) in readers {
            let mut held = Vec::new();
            for _ in 0..most {
                held.push(limits.begin(reader.clone(), &clock).await.unwrap());
            }
            let refused = limits.begin(reader.clone(), &clock).await.err().unwrap();
            assert!(refused.code == RefusalCode::Frequent && refused.message.contains(&most.to_string()), "{refused}");
            assert!(limits.begin(ListReader::Customer(other), &clock).await.is_ok(), "others have their own");
            let waiting = limits.begin(reader.clone(), &clock);
            let ending = async { drop(held.pop()) };
            assert!(tokio::join!(waiting, ending).0.is_ok(), "it waits for one that ends");
        }
        assert_eq!(limits.held(), (0, 0), "nothing is remembered of readers without a list");
    }

    #[tokio::test(start_paused = true)]
    async fn b2_the_bytes_of_one_reader_and_of_all_are_bounded_and_customers_leave_some_to_managers() {
        const MIB: usize = 1024 * 1024;
        let (limits, clock) = limits();
        let mut held = Vec::new();
        let mut refusals = Vec::new();
        for customer in 1..=20 {
            let reader = ListReader::Customer(CustomerId(customer));
            for _ in 0..2 {
                let mut permit = limits.begin(reader.clone(), &clock).await.unwrap();
                match permit.hold(30 * MIB).await {
                    Ok(()) => held.push(permit),
                    Err(refusal) => refusals.push(refusal.message.to_string()),
                }
            }
        }
        // One list of 30 MiB for each reader, and twelve of customers in all.
        let of_session = refusals.iter().filter(|why| why.contains("to this session at once in lists takes 48 MiB"));
        assert_eq!((of_session.count(), refusals.len(), limits.held()), (12, 28, (12, 12 * 30 * 1024)));
        assert!(refusals.iter().any(|why| why.contains("all sessions") && why.contains("try again shortly")));
        let mut managers = limits.begin(manager(1), &clock).await.unwrap();
        managers.hold(40 * MIB).await.unwrap();
        // What a permit holds is what was made.
        let [first, ..] = &mut held[..] else { panic!("twelve") };
        for (mib, all) in [(1, 12 * 30 + 40 - 29), (30, 12 * 30 + 40), (0, 12 * 30 + 40 - 30)] {
            first.hold(mib * MIB).await.unwrap();
            assert_eq!(limits.held_bytes(), all * MIB);
        }
        // Another waits for the bytes of those that end.
        let mut waiting = limits.begin(ListReader::Customer(CustomerId(99)), &clock).await.unwrap();
        let ending = async {
            tokio::time::sleep(LIST_WAIT_MAX / 2).await;
            held.clear();
        };
        assert!(tokio::join!(waiting.hold(60 * MIB / 2 + 18 * MIB), ending).0.is_ok());
        drop((waiting, managers));
        assert_eq!(limits.held(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn b2_a_small_list_does_not_wait_behind_a_large_one_and_the_large_one_gets_what_is_released() {
        const MIB: usize = 1024 * 1024;
        let (limits, clock) = limits();
        let mut held = Vec::new();
        for (manager, mib) in (1..).zip([48; 10].into_iter().chain([10])) {
            let mut permit = limits.begin(self::manager(manager), &clock).await.unwrap();
            permit.hold(mib * MIB).await.unwrap();
            held.push(permit);
        }
        let mut large = limits.begin(manager(50), &clock).await.unwrap();
        let mut small = limits.begin(manager(51), &clock).await.unwrap();
        let mut waiting = Box::pin(large.hold(34 * MIB));
        assert!(futures_util::poll!(&mut waiting).is_pending(), "22 MiB are free");
        for mib in [1, 22] {
            let mut taking = Box::pin(small.hold(mib * MIB));
            assert!(futures_util::poll!(&mut taking).is_ready(), "{mib}");
        }
        held.pop();
        assert!(futures_util::poll!(&mut waiting).is_pending());
        held.pop();
        waiting.await.unwrap();
        drop((held, large, small));
        assert_eq!(limits.held(), (0, 0));
    }
}
