//! The service's parts put together, and the flows that need more than one of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use crate::books::{Books, Keyed, Parcel, Recorded};
use crate::button::Button;
use crate::courier::Courier;
use crate::crew::Crew;
use crate::intake;
use crate::keys::Answer;
use crate::refusal::Refusal;
use crate::settings::SandboxSettings;
use crate::wire::{EventKind, EventRequest, Payment};

pub(crate) struct House {
    pub(crate) settings: SandboxSettings,
    /// Start of payment URLs, without a slash at its end.
    pub(crate) base_url: String,
    books: Mutex<Books>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) crew: Arc<Crew>,
}

/// How a create call ends for the one who called.
pub(crate) enum Ending {
    Answer(Answer),
    Replay(Answer),
    /// Recorded, answered with something that is no JSON.
    Garbage,
    /// The connection is closed without an answer.
    Drop,
    /// The same, after a long silence.
    Hang,
}

impl House {
    pub(crate) fn new(settings: SandboxSettings, base_url: String) -> Arc<Self> {
        let crew = Arc::new(Crew::new());
        let clock = Arc::clone(&settings.clock);
        let books = Books::new(
            settings.limits,
            settings.default_switches.clone(),
            Arc::clone(&clock),
            Arc::clone(&settings.entropy),
        );
        let courier = Arc::new(Courier::new(
            settings.webhook_secret.clone(),
            &settings.retry_delays,
            clock,
            Arc::clone(&crew),
            settings.limits,
        ));
        Arc::new(Self { settings, base_url, books: Mutex::new(books), courier, crew })
    }

    /// Whether this `Authorization` header carries the key.
    pub(crate) fn knows(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, key)) = authorization.and_then(|text| text.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && bool::from(key.trim().as_bytes().ct_eq(self.settings.api_key.bytes()))
    }

    /// A create call. What follows the recording belongs to the house: a caller who hangs up changes nothing.
    pub(crate) async fn create(self: &Arc<Self>, key: Option<String>, body: &[u8]) -> Result<Ending, Refusal> {
        let key = intake::key(key)?;
        let (read, switches) = intake::payment(body, self.settings.allow_remote_notify)?;
        let keyed = self.books().create(&key, read.fingerprint, read.request, &switches, &self.base_url)?;
        let recorded = match keyed {
            Keyed::Replay(answer) => return Ok(Ending::Replay(answer)),
            Keyed::Lost => return Ok(Ending::Drop),
            Keyed::Recorded(recorded) => recorded,
        };
        let (ended, ending) = oneshot::channel();
        let house = Arc::clone(self);
        self.crew.spawn(async move { house.follow_up(recorded, ended).await });
        // A reset or stop in between ends the follow-up: nobody is left to answer.
        Ok(ending.await.unwrap_or(Ending::Drop))
    }

    async fn follow_up(self: Arc<Self>, recorded: Recorded, ended: oneshot::Sender<Ending>) {
        let Recorded { id, answer, conduct } = recorded;
        if let Some(kind) = conduct.before_answer.filter(|_| !conduct.create_decline)
            && let Some(first_try) = self.by_itself(&id, kind)
        {
            // An error says that nothing is sent, which is waited for no longer.
            let _ = first_try.await;
        }
        if let Some(ms) = conduct.create_slow_ms {
            self.settings.clock.sleep(Duration::from_millis(ms)).await;
        }
        let ending = match (conduct.create_drop, conduct.create_hang, conduct.create_garbage) {
            (true, _, _) => Ending::Drop,
            (false, true, _) => Ending::Hang,
            (false, false, true) => Ending::Garbage,
            (false, false, false) => Ending::Answer(answer),
        };
        // The caller may have hung up.
        let _ = ended.send(ending);
        if let Some(kind) = conduct.auto.filter(|_| !conduct.create_decline) {
            self.by_itself(&id, kind);
        }
    }

    /// An event that a switch causes; nobody is there to hear a refusal.
    fn by_itself(&self, id: &str, kind: EventKind) -> Option<oneshot::Receiver<()>> {
        let happened = self.books().happen(id, kind, None, String::new());
        match happened.and_then(|(_, parcel)| self.post(vec![parcel])) {
            Ok(first_try) => Some(first_try),
            Err(refusal) => {
                tracing::warn!(payment = id, event = kind.word(), why = refusal.message, "switched event left out");
                None
            }
        }
    }

    /// A refund call; true where it is an earlier answer.
    pub(crate) fn refund(&self, key: Option<String>, id: &str, body: &[u8]) -> Result<(Answer, bool), Refusal> {
        let key = intake::key(key)?;
        let read = intake::refund(id, body)?;
        let keyed = self.books().refund(&key, read.fingerprint, id, read.request)?;
        match keyed {
            Keyed::Replay(answer) => Ok((answer, true)),
            Keyed::Recorded((answer, parcel)) => {
                self.post(vec![parcel])?;
                Ok((answer, false))
            }
            Keyed::Lost => Err(Refusal::not_found()),
        }
    }

    pub(crate) fn cancel(&self, id: &str) -> Result<Payment, Refusal> {
        let (payment, parcels) = self.books().cancel(id)?;
        self.post(parcels)?;
        Ok(payment)
    }

    pub(crate) fn press(&self, id: &str, button: Button) -> Result<Payment, Refusal> {
        let (payment, parcels) = self.books().press(id, button)?;
        self.post(parcels)?;
        Ok(payment)
    }

    /// A control call that makes something happen.
    pub(crate) fn happen(&self, id: &str, request: EventRequest) -> Result<Payment, Refusal> {
        intake::reason(&request.reason)?;
        let (payment, parcel) = self.books().happen(id, request.kind, request.amount, request.reason)?;
        self.post(vec![parcel])?;
        Ok(payment)
    }

    pub(crate) fn redeliver(&self, delivery_id: &str) -> Result<crate::wire::Delivery, Refusal> {
        self.courier.redeliver(delivery_id, || self.books().draw())
    }

    /// Forgets everything and ends what is under way.
    pub(crate) fn reset(&self) {
        self.crew.end();
        self.books().reset(self.settings.default_switches.clone());
        self.courier.reset();
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, parcels: Vec<Parcel>) -> Result<oneshot::Receiver<()>, Refusal> {
        self.courier.dispatch(parcels, || self.books().draw())
    }
}
