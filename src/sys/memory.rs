//! Memory for a program that has one thread and ends soon.
//!
//! Runs in: every process of ours.
//!
//! musl's allocator asks the kernel for small pieces and gives them back at once: 220 system calls of
//! a run. `dlmalloc` takes few large ones. Its own global instance has a lock, which was an eighth of
//! the instructions of a short command.

use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;

pub(crate) struct Allocator(UnsafeCell<Dlmalloc>);

impl Allocator {
    pub(crate) const fn new() -> Self {
        let mut memory = Dlmalloc::new();
        // What a command needs, in one piece.
        memory.set_granularity(256 << 10);
        Self(UnsafeCell::new(memory))
    }

    /// # Safety
    /// Only for one call of dlmalloc, which calls nothing of ours.
    #[expect(clippy::mut_from_ref, reason = "there is one thread, see below")]
    unsafe fn memory(&self) -> &mut Dlmalloc {
        // SAFETY: the caller holds no other reference.
        unsafe { &mut *self.0.get() }
    }
}

// SAFETY: there is one thread: nothing here starts one, no signal has a handler, and the processes of
// clone3 have memory of their own. `launch::spawn` looks whether it is so.
unsafe impl Sync for Allocator {}

// SAFETY: dlmalloc keeps the contract of the trait.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one call.
        let memory = unsafe { self.memory() };
        // SAFETY: any size and alignment is allowed.
        unsafe { memory.malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: one call.
        let memory = unsafe { self.memory() };
        // SAFETY: it came from here, with this layout.
        unsafe { memory.free(piece, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one call.
        let memory = unsafe { self.memory() };
        // SAFETY: any size and alignment is allowed.
        unsafe { memory.calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: one call.
        let memory = unsafe { self.memory() };
        // SAFETY: it came from here, with this layout.
        unsafe { memory.realloc(piece, layout.size(), layout.align(), size) }
    }
}
