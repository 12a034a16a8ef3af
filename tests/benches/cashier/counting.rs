//! An allocator that counts live bytes once started. Before that it costs one load of a flag.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait; every call goes to the system's unchanged")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

pub(crate) struct CountingAllocator;

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// Counts from here on, for the rest of this process.
pub(crate) fn start() {
    ON.store(true, Ordering::SeqCst);
}

/// Bytes allocated and not freed since [`start`], as requested: without the allocator's own headers.
pub(crate) fn live() -> i64 {
    LIVE.load(Ordering::SeqCst)
}

fn count(bytes: usize, sign: i64) {
    if ON.load(Ordering::Relaxed) {
        LIVE.fetch_add(sign * i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

// SAFETY: every method hands its arguments to `System` as they came and returns what it returned.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are the system allocator's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(new_size, 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
