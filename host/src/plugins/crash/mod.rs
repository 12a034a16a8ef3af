//! Calls that end the process. Before each call into a module its [`CallSite`] fills a slot of a mapped file (`slots`); the
//! thread that faults marks its own slot (`signals`). The next start reads which call that was (`previous`) and keeps it in
//! the `quarantine`, which refuses builds and bars notices. It does not know payments.

mod build_threads;
mod ended_call;
mod previous;
mod quarantine;
mod signals;
mod slots;

use std::path::Path;
use std::sync::Arc;

use cashier_provider_sdk::{HttpReply, WebhookNotice};

pub(in crate::plugins) use self::ended_call::{CallEntry, EndedCall, is_cut, notice_digest};
use self::ended_call::{CallRecord, NoticeRecord};
use self::previous::PreviousRun;
pub use self::quarantine::release;
pub(in crate::plugins) use self::quarantine::{DRAFT_NAME as QUARANTINE_DRAFT, ModuleQuarantine};
pub(in crate::plugins) use self::slots::CallGuard;
use self::slots::Slots;
use crate::ports::Fault;
use crate::security_log;

/// Records calls in the mapped file of this process; without one, nothing is recorded.
#[derive(Clone, Default)]
pub(in crate::plugins) struct CallRecorder(Option<Arc<Slots>>);

/// A build of a module under one config, as the slots name it.
#[derive(Clone, Default)]
pub(in crate::plugins) struct CallSite {
    pub(in crate::plugins) recorder: CallRecorder,
    pub(in crate::plugins) code: Arc<str>,
    /// SHA-256 of the module's file, hex.
    pub(in crate::plugins) build: Arc<str>,
    /// 0 where there is no config yet.
    pub(in crate::plugins) config: u64,
}

/// What a call is about, beside the site.
#[derive(Clone, Copy, Default)]
pub(in crate::plugins) struct About<'a> {
    /// 0 where it is not known.
    pub(in crate::plugins) transaction: u64,
    /// Our reference of the transaction; may be empty.
    pub(in crate::plugins) reference: &'a str,
    /// Replies that the call has got so far: with 0, the exchange has sent nothing.
    pub(in crate::plugins) phase: usize,
    pub(in crate::plugins) notice: Option<AboutNotice<'a>>,
}

/// The notice that a call reads.
#[derive(Clone, Copy)]
pub(in crate::plugins) struct AboutNotice<'a> {
    pub(in crate::plugins) notice: &'a WebhookNotice,
    /// In the place of the notice's own.
    pub(in crate::plugins) body: &'a [u8],
    /// Its digest, where what the slot holds of it is cut.
    pub(in crate::plugins) sha256: Option<&'a str>,
}

impl About<'_> {
    /// A call that has got these replies so far.
    pub(in crate::plugins) fn after(replies: &[HttpReply]) -> Self {
        Self { phase: replies.len(), ..Self::default() }
    }
}

impl CallSite {
    /// Fills a slot for a call that the caller makes on this thread until it drops the guard. Where every slot is taken, the
    /// call is not recorded: only calls that never returned keep slots, and after a start there are none.
    pub(in crate::plugins) fn enter(&self, entry: CallEntry, about: &About<'_>) -> Option<CallGuard> {
        let slots = self.recorder.0.as_ref()?;
        let record = self.record(entry, about);
        Slots::fill(slots, &record, about.notice.map_or(&[], |about| about.body))
    }

    /// The number of the build in this run, by which its own threads are known.
    fn number(&self) -> Option<usize> {
        let record = Self { config: 0, ..self.clone() };
        let record = record.record(CallEntry::OwnThread, &About::default());
        self.recorder.0.as_ref()?.number_of(&self.build, &record)
    }

    fn record<'a>(&'a self, entry: CallEntry, about: &About<'a>) -> CallRecord<'a> {
        CallRecord {
            build: &self.build,
            code: &self.code,
            config: self.config,
            entry,
            transaction: about.transaction,
            reference: about.reference,
            phase: about.phase,
            notice: about.notice.map(|about| NoticeRecord::of(about.notice, about.sha256)),
        }
    }
}

/// Runs the work of a thread on which a module's code runs. Threads that this code starts belong to the build as well. Until
/// the thread is gone, its site is named as the one whose code runs then: destructors of the module's thread-local values.
pub(in crate::plugins) fn on_module_thread(site: &CallSite, work: impl FnOnce()) {
    if let Some(number) = site.number() {
        build_threads::belong_to(number);
    }
    // Used before the module's values, so that it is dropped after them.
    slots::keep_until_the_thread_ends(None);
    work();
    slots::keep_until_the_thread_ends(site.enter(CallEntry::ThreadEnd, &About::default()));
}

/// What a start takes over from the run before.
#[derive(Default)]
pub(in crate::plugins) struct Takeover {
    pub(in crate::plugins) recorder: CallRecorder,
    pub(in crate::plugins) quarantine: ModuleQuarantine,
    /// The calls that ended the run before.
    pub(in crate::plugins) found: Vec<EndedCall>,
}

/// Takes over what the run before left in `var`, before any module is opened, and begins to record this run. What fails is
/// logged: the cashier serves without records.
pub(in crate::plugins) fn take_over(var: &Path, run: u64, now: i64) -> Takeover {
    let mut quarantine = ModuleQuarantine::read_or_empty(var);
    let unrecorded = |fault: Fault| {
        tracing::warn!(%fault, "calls into modules are not recorded: one that ends the process will not be found");
    };
    let previous = match PreviousRun::read(var, now) {
        Ok(previous) => previous,
        Err(fault) => {
            unrecorded(fault);
            return Takeover { quarantine, ..Takeover::default() };
        }
    };
    let found = previous.ended.clone();
    for call in &found {
        security_log::module_ended_process(call);
    }
    quarantine.add(found.iter().cloned());
    let kept = if found.is_empty() { Ok(()) } else { quarantine.write(var) };
    // What is not kept on disk stays in the slots, for the next start.
    let recorder = match kept.and_then(|()| previous.begin(run)) {
        Ok(slots) => {
            signals::install();
            CallRecorder(Some(Arc::new(slots)))
        }
        Err(fault) => {
            unrecorded(fault);
            CallRecorder::default()
        }
    };
    Takeover { recorder, quarantine, found }
}

#[cfg(test)]
mod tests;
