//! Searches on the disk take turns: the sessions of one brand, or one manager of every brand, search one list at a time, so that none of
//! them takes each thread that reads lists, however long a list of theirs takes. It knows no list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::list_reader::ManagerReader;

/// Searches of one brand, or of one manager of every brand, that are made at one time.
const SEARCHES_AT_ONCE: usize = 1;

/// Whose searches take turns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Searcher {
    Brand(Box<str>),
    Manager(ManagerReader),
}

impl Searcher {
    fn of(reader: &ManagerReader) -> Self {
        match reader.brand() {
            Some(brand) => Self::Brand(brand.into()),
            None => Self::Manager(reader.clone()),
        }
    }
}

type Turns = Arc<Mutex<BTreeMap<Searcher, Turn>>>;

/// The searches that are made or wait now.
#[derive(Default)]
pub(super) struct ListTurns(Turns);

/// Forgotten with its last search.
struct Turn {
    one: Arc<Semaphore>,
    uses: usize,
}

/// The right to search, until it is dropped.
pub(super) struct ListTurn {
    _permit: Option<OwnedSemaphorePermit>,
    _queued: Queued,
}

struct Queued {
    turns: Turns,
    of: Searcher,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(&self.of) {
            turn.uses -= 1;
            if turn.uses == 0 {
                turns.remove(&self.of);
            }
        }
    }
}

impl ListTurns {
    /// Waits for the searches that were begun before.
    pub(super) async fn begin(&self, reader: &ManagerReader) -> ListTurn {
        let of = Searcher::of(reader);
        let one = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns
                .entry(of.clone())
                .or_insert_with(|| Turn { one: Arc::new(Semaphore::new(SEARCHES_AT_ONCE)), uses: 0 });
            turn.uses += 1;
            Arc::clone(&turn.one)
        };
        let queued = Queued { turns: Arc::clone(&self.0), of };
        ListTurn { _permit: one.acquire_owned().await.ok(), _queued: queued }
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::ManagerId;
    use cashier_core::session::{ManagerSession, Role};
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn the_sessions_of_a_brand_search_one_list_at_a_time_and_nobody_waits_for_another_brand() {
        let turns = ListTurns::default();
        let reader = |id, brand: Option<&str>| {
            ManagerReader::of(&ManagerSession::assertion(ManagerId(id), Role::Manager, brand.map(Into::into)))
        };
        let (one, same_brand) = (reader(1, Some("ion4")), reader(2, Some("ion4")));
        let first = turns.begin(&one).await;
        let mut second = Box::pin(turns.begin(&same_brand));
        assert!(poll!(&mut second).is_pending(), "of one brand");
        for elsewhere in [reader(1, Some("other")), reader(1, None), reader(2, None)] {
            let mut begun = Box::pin(turns.begin(&elsewhere));
            assert!(poll!(&mut begun).is_ready(), "{elsewhere:?}");
        }
        drop(first);
        assert!(poll!(&mut second).is_ready());
        drop(second);
        let given_up = Box::pin(turns.begin(&one));
        drop(given_up);
        assert!(turns.0.lock().unwrap().is_empty(), "nothing is remembered of those that ended");
    }
}
