//! The mapped file of slots: one for each call into a module under way, filled and cleared by plain stores, and one for each
//! build, for threads that it starts itself; both readable after the process is gone. The thread of a call knows its slot, so
//! that a signal handler finds it without a lock. It does not decide what a slot means.
#![expect(unsafe_code, reason = "a memory map is reached through pointers")]

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::build_threads;
use super::ended_call::{CallRecord, RECORDED_BODY_MAX};
use crate::ports::Fault;

/// Calls recorded at one time. Calls take microseconds; those that never return are at most three for each gateway.
pub(super) const CALL_SLOTS_MAX: usize = 256;

/// Builds whose own threads are recorded: more than plugins.toml lists.
pub(super) const BUILD_SLOTS_MAX: usize = 256;

/// With its head, one page: the longest record, each text of it escaped.
const RECORD_LENGTH_MAX: usize = 4096 - size_of::<SlotHead>();

/// The head of the file, a page before the slots.
pub(super) const FILE_HEAD: usize = 4096;

/// The layout of this file; another one is not read.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"cashcal2");

pub(super) const SLOT_LENGTH: usize = size_of::<CallSlot>();
pub(super) const FILE_LENGTH: usize = FILE_HEAD + (CALL_SLOTS_MAX + BUILD_SLOTS_MAX) * SLOT_LENGTH;

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// The record is complete and its call under way.
pub(super) const FILLED: u32 = 2;

/// The call ended the process by `exit`; other marks are the numbers of signals.
pub(super) const EXITED: u32 = 1000;

#[repr(C)]
struct SlotHead {
    state: AtomicU32,
    /// Written by the thread that ended the process, in its own slot: how.
    mark: AtomicU32,
    run: AtomicU64,
    record_length: AtomicU32,
    body_length: AtomicU32,
}

#[repr(C)]
struct CallSlot {
    head: SlotHead,
    record: [u8; RECORD_LENGTH_MAX],
    body: [u8; RECORDED_BODY_MAX],
}

thread_local! {
    /// The slot of the call that this thread makes. Without a lazy value and without a destructor: a signal handler reads it.
    static CURRENT: Cell<*mut CallSlot> = const { Cell::new(null_mut()) };
    /// Dropped after the module's own thread-local values, because it is used before them.
    static AT_THREAD_END: RefCell<Option<CallGuard>> = const { RefCell::new(None) };
}

/// The map of this run, for threads that no call was recorded on.
static MAP_OF_RUN: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// The map of this run's file. Unmapped when the last call that it records has ended.
pub(super) struct Slots {
    base: NonNull<u8>,
    run: u64,
    /// The hashes of the builds that have a slot, in the order of these slots.
    builds: Mutex<Vec<Box<str>>>,
    /// Locked for as long as the map exists.
    _file: File,
}

// SAFETY: the map lives as long as this value, and each slot is written by the one thread that took it.
unsafe impl Send for Slots {}
// SAFETY: as above; what several threads use are atomics.
unsafe impl Sync for Slots {}

impl Slots {
    /// Empties the file, reserves its space on disk, so that no store into the map fails for want of it, and maps it.
    pub(super) fn begin(file: File, run: u64) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| Fault::new(format!("the file of calls cannot be used: {error}"));
        file.set_len(0).and_then(|()| file.set_len(FILE_LENGTH as u64)).map_err(failed)?;
        let descriptor = file.as_raw_fd();
        // SAFETY: the descriptor is open; the call only reserves space.
        match unsafe { libc::posix_fallocate(descriptor, 0, FILE_LENGTH as libc::off_t) } {
            0 => {}
            code => return Err(failed(std::io::Error::from_raw_os_error(code))),
        }
        file.sync_all().map_err(failed)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new map of an open file, at an address that the system chooses.
        let base = unsafe { libc::mmap(null_mut(), FILE_LENGTH, access, libc::MAP_SHARED, descriptor, 0) };
        let base = NonNull::new(base.cast::<u8>()).filter(|_| base != libc::MAP_FAILED);
        let base = base.ok_or_else(|| failed(std::io::Error::last_os_error()))?;
        let head = base.cast::<u64>().as_ptr();
        // SAFETY: the map has two words at its beginning, aligned to a page, and nobody else knows it yet.
        unsafe {
            head.write(MAGIC);
            head.add(1).write(run);
        }
        MAP_OF_RUN.store(base.as_ptr(), Ordering::Release);
        Ok(Self { base, run, builds: Mutex::default(), _file: file })
    }

    /// The number of a build in this run, with a slot for the threads that it starts itself; none beyond their slots.
    pub(super) fn number_of(&self, build: &str, record: &CallRecord<'_>) -> Option<usize> {
        let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = builds.iter().position(|known| **known == *build) {
            return Some(known);
        }
        let number = builds.len();
        if number >= BUILD_SLOTS_MAX {
            return None;
        }
        let slot = slot_at(self.base.as_ptr(), CALL_SLOTS_MAX + number);
        // SAFETY: the slot lies in the map, and under the lock nobody else fills it.
        let (head, text) = unsafe { (&(*slot).head, &mut (*slot).record) };
        let mut rest = &mut text[..];
        serde_json::to_writer(&mut rest, record).ok()?;
        head.fill(self.run, (RECORD_LENGTH_MAX - rest.len()) as u32, 0);
        builds.push(build.into());
        Some(number)
    }

    /// Takes a slot for a call of this thread and fills it; none where all are taken or the record does not fit.
    pub(super) fn fill(slots: &Arc<Self>, record: &CallRecord<'_>, body: &[u8]) -> Option<CallGuard> {
        // From the first on, so that few pages are written: each is to be made writable again after the system stored it.
        let mut all = (0..CALL_SLOTS_MAX).map(|index| slot_at(slots.base.as_ptr(), index));
        // SAFETY: every slot lies in the map, and its head has atomics alone.
        let slot = all.find(|slot| unsafe { &(**slot).head }.take())?;
        let guard = CallGuard { _slots: Arc::clone(slots), slot, before: CURRENT.get(), not_send: PhantomData };
        // SAFETY: this thread took the slot: nobody else reaches its record and body until it is free again.
        let (head, text, copy) = unsafe { (&(*slot).head, &mut (*slot).record, &mut (*slot).body) };
        let mut rest = &mut text[..];
        serde_json::to_writer(&mut rest, record).ok()?;
        let length = RECORD_LENGTH_MAX - rest.len();
        let copied = body.get(..RECORDED_BODY_MAX).unwrap_or(body);
        copy.get_mut(..copied.len())?.copy_from_slice(copied);
        head.fill(slots.run, length as u32, copied.len() as u32);
        CURRENT.set(slot);
        Some(guard)
    }
}

/// The slot of this index, which is one of a map at `base`; slots begin at multiples of a page.
fn slot_at(base: *mut u8, index: usize) -> *mut CallSlot {
    // Callers count to the number of slots; the address is not used before it is known to be theirs.
    base.wrapping_add(FILE_HEAD + index * SLOT_LENGTH).cast()
}

impl Drop for Slots {
    fn drop(&mut self) {
        let (own, none) = (self.base.as_ptr(), null_mut());
        let _ = MAP_OF_RUN.compare_exchange(own, none, Ordering::AcqRel, Ordering::Relaxed);
        // SAFETY: the map of this value; every guard of a slot holds the value, so none is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), FILE_LENGTH) };
    }
}

impl SlotHead {
    fn take(&self) -> bool {
        self.state.load(Ordering::Relaxed) == FREE
            && self.state.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn fill(&self, run: u64, record_length: u32, body_length: u32) {
        self.mark.store(0, Ordering::Relaxed);
        self.run.store(run, Ordering::Relaxed);
        self.record_length.store(record_length, Ordering::Relaxed);
        self.body_length.store(body_length, Ordering::Relaxed);
        self.state.store(FILLED, Ordering::Release);
    }
}

/// A call under way on this thread; clears its slot when dropped.
pub(in crate::plugins) struct CallGuard {
    _slots: Arc<Slots>,
    slot: *mut CallSlot,
    /// The slot of the call that this one is made within.
    before: *mut CallSlot,
    not_send: PhantomData<*mut ()>,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        // When a thread ends its values may be gone; then no call follows either.
        let _ = CURRENT.try_with(|current| current.set(self.before));
        // SAFETY: the guard holds the map.
        unsafe { &(*self.slot).head }.state.store(FREE, Ordering::Release);
    }
}

/// Keeps a call until the thread's destructors have run. Called first at the beginning of the thread, with none.
pub(super) fn keep_until_the_thread_ends(call: Option<CallGuard>) {
    let _ = AT_THREAD_END.try_with(|kept| kept.replace(call));
}

/// Marks the call that this thread makes, or the build that started it, if none was marked before. Safe in a signal handler.
pub(super) fn mark(how: u32) -> bool {
    let called = CURRENT.get();
    let slot = if called.is_null() { slot_of_build() } else { called };
    if slot.is_null() {
        return false;
    }
    // SAFETY: a slot is current on its own thread only while its guard, and so the map, exists; one of a build is in the map
    // of this run.
    let head = unsafe { &(*slot).head };
    // The first: a stack overflow ends in an abort.
    let _ = head.mark.compare_exchange(0, how, Ordering::Release, Ordering::Relaxed);
    true
}

/// The slot of the build whose thread this is, or that started this thread.
fn slot_of_build() -> *mut CallSlot {
    let base = MAP_OF_RUN.load(Ordering::Acquire);
    match build_threads::number_of_this_thread().filter(|number| *number < BUILD_SLOTS_MAX) {
        Some(number) if !base.is_null() => slot_at(base, CALL_SLOTS_MAX + number),
        Some(_) | None => null_mut(),
    }
}

/// A slot as the file of an earlier run has it.
pub(super) struct SlotRead<'a> {
    pub(super) mark: u32,
    pub(super) run: u64,
    pub(super) record: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The slot in these bytes, if its call was under way.
pub(super) fn read(bytes: &[u8]) -> Option<SlotRead<'_>> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let run = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
    let (record_length, body_length) = (word(16)? as usize, word(20)? as usize);
    let (record_at, body_at) = (size_of::<SlotHead>(), size_of::<SlotHead>() + RECORD_LENGTH_MAX);
    let record = bytes.get(record_at..record_at.checked_add(record_length)?)?;
    let body = bytes.get(body_at..body_at.checked_add(body_length)?)?;
    (word(0)? == FILLED).then_some(SlotRead { mark: word(4)?, run, record, body })
}
