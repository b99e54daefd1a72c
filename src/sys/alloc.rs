//! The allocator: one region that grows in large steps, freed blocks kept by size.
//!
//! Runs in: any process. musl's own allocator hardens itself with a mapping for almost every group
//! of blocks; for a program that lives a few milliseconds those were 148 of 724 system calls and
//! an eighth of the time of a run (`docs/decisions/0004-allocator.md`).
//!
//! Sizes are rounded up, small ones to 16 bytes and large ones to powers of two, and a block of a
//! size is used for that size again: a process that lives long (`rt run` in the foreground,
//! `rt events`) does not grow. Nothing is given back to the kernel before the process ends.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// The smallest block has room for the link of the free list, and every block this alignment.
const GRAIN: usize = 16;
/// Up to this many bytes, sizes are multiples of the grain; above it, powers of two.
const SMALL_MAX: usize = 512;
/// mmap(2) aligns to it.
const PAGE: usize = 4096;
/// Bytes that are mapped at a time; the kernel provides pages when they are touched.
const STEP: usize = 256 << 10;

/// The first bytes of a free block.
struct Free {
    next: Option<NonNull<Free>>,
}

struct Blocks {
    free: [Option<NonNull<Free>>; CLASSES],
    /// The part of the newest region that was never used: start and bytes left.
    fresh: *mut u8,
    left: usize,
}

/// A global allocator. The lock is never contended: rt has one thread, also at each clone3(2).
pub(crate) struct Arena {
    busy: AtomicBool,
    blocks: UnsafeCell<Blocks>,
}

// SAFETY: `with` lets one thread at a time at the blocks.
unsafe impl Sync for Arena {}

const SMALL_CLASSES: usize = SMALL_MAX / GRAIN;
const CLASSES: usize = SMALL_CLASSES + usize::BITS as usize;

/// The free list for a size, and the bytes of its blocks.
fn class(size: usize) -> Option<(usize, usize)> {
    if size <= SMALL_MAX {
        let grains = size.div_ceil(GRAIN).max(1);
        return Some((grains - 1, grains * GRAIN));
    }
    let block = size.checked_next_power_of_two()?;
    // The kernel could not give more than that anyway.
    (block <= isize::MAX.cast_unsigned() / 2)
        .then(|| (SMALL_CLASSES + block.trailing_zeros() as usize, block))
}

impl Arena {
    pub(crate) const fn new() -> Self {
        let blocks = Blocks { free: [None; CLASSES], fresh: null_mut(), left: 0 };
        Self { busy: AtomicBool::new(false), blocks: UnsafeCell::new(blocks) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Blocks) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: busy was false and is true until we are done, and nothing in here allocates or
        // panics, so this is the only reference.
        let result = work(unsafe { &mut *self.blocks.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}

impl Blocks {
    fn take(&mut self, size: usize, align: usize) -> *mut u8 {
        let Some((class, size)) = class(size) else { return null_mut() };
        // Blocks in the lists have the alignment of a grain. More is asked for so rarely that
        // such a block is cut anew.
        let list = self.free.get_mut(class).filter(|_| align <= GRAIN);
        if let Some(list) = list
            && let Some(block) = *list
        {
            // SAFETY: what is in a list was put there by `give`, and belongs to nobody since.
            *list = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        self.cut(size, align.max(GRAIN))
    }

    /// Takes back a block that `take` gave out for `size`.
    fn give(&mut self, block: NonNull<Free>, size: usize) {
        let list = class(size).and_then(|(class, _)| self.free.get_mut(class));
        let Some(list) = list else { return };
        // SAFETY: the caller gives the block up; it has at least a grain of bytes, so aligned.
        unsafe { block.write(Free { next: *list }) };
        *list = Some(block);
    }

    /// A block that was never used. `size` is that of a class, `align` a power of two.
    fn cut(&mut self, size: usize, align: usize) -> *mut u8 {
        let mut gap = self.fresh.addr().wrapping_neg() & (align - 1);
        if self.left < gap + size {
            let length = size.next_multiple_of(STEP);
            let (read_write, private) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
            let region = unsafe { libc::mmap(null_mut(), length, read_write, private, -1, 0) };
            if region == libc::MAP_FAILED {
                return null_mut();
            }
            (self.fresh, self.left, gap) = (region.cast(), length, 0);
        }
        let block = self.fresh.wrapping_add(gap);
        self.fresh = block.wrapping_add(size);
        self.left -= gap + size;
        block
    }
}

// SAFETY: `take` gives out blocks that have the size and alignment of the layout and belong to
// nobody else; nothing in here unwinds.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Nobody in this program asks for more than a page's alignment.
        if layout.align() > PAGE {
            return null_mut();
        }
        self.with(|blocks| blocks.take(layout.size(), layout.align()))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block.cast::<Free>()) {
            self.with(|blocks| blocks.give(block, layout.size()));
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let wanted = class(new_size);
        if wanted.is_some() && wanted == class(layout.size()) {
            return block;
        }
        let moved = self.with(|blocks| blocks.take(new_size, layout.align()));
        if !moved.is_null() {
            // SAFETY: both have at least so many bytes, and the new one is nobody else's.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_size)) };
            // SAFETY: the caller's promise for realloc is that for dealloc.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_aligned_apart_and_reused() {
        let arena = Arena::new();
        let mut taken: Vec<(*mut u8, Layout)> = Vec::new();
        for (n, size) in
            [1, 15, 16, 17, 100, 4096, 5000, 70_000, 300_000, 3, 64].into_iter().enumerate()
        {
            for align in [1, 8, 64, 4096] {
                let layout = layout(size, align);
                // SAFETY: the size is not zero.
                let block = unsafe { arena.alloc(layout) };
                assert!(!block.is_null());
                assert_eq!(block.addr() % align, 0);
                // SAFETY: the block has that many bytes.
                unsafe { block.write_bytes(u8::try_from(n).unwrap(), size) };
                taken.push((block, layout));
            }
        }
        let mut ranges: Vec<_> =
            taken.iter().map(|(b, l)| (b.addr(), b.addr() + l.size())).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "overlap: {ranges:x?}");
        for (n, (block, layout)) in taken.iter().enumerate() {
            let last = block.wrapping_add(layout.size() - 1);
            // SAFETY: written above.
            let last = unsafe { last.read() };
            assert_eq!(usize::from(last), n / 4);
        }
        for (block, layout) in &taken {
            // SAFETY: from alloc, with this layout, and not used again.
            unsafe { arena.dealloc(*block, *layout) };
        }
        let last = taken.last().unwrap();
        // SAFETY: the size is not zero.
        assert_eq!(unsafe { arena.alloc(layout(64, 8)) }, last.0);
    }

    #[test]
    fn growing_keeps_the_content_and_a_loop_needs_no_new_memory() {
        let arena = Arena::new();
        let mut regions = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut size = 8;
            // SAFETY: the size is not zero.
            let mut block = unsafe { arena.alloc(layout(size, 8)) };
            // SAFETY: 8 bytes are there.
            unsafe { block.cast::<u64>().write(0x1122_3344_5566_7788) };
            while size < 100_000 {
                // SAFETY: the block is from alloc with this layout.
                block = unsafe { arena.realloc(block, layout(size, 8), size * 3) };
                size *= 3;
                // SAFETY: written above, kept by realloc.
                assert_eq!(unsafe { block.cast::<u64>().read() }, 0x1122_3344_5566_7788);
            }
            regions.insert(block.addr());
            // SAFETY: from realloc with this layout.
            unsafe { arena.dealloc(block, layout(size, 8)) };
        }
        assert_eq!(regions.len(), 1);
    }

    #[test]
    fn what_cannot_be_had_is_null() {
        let arena = Arena::new();
        // SAFETY: the sizes are not zero.
        assert!(unsafe { arena.alloc(layout(1 << 60, 8)) }.is_null());
        // SAFETY: as above.
        assert!(unsafe { arena.alloc(layout(8, 1 << 20)) }.is_null());
    }
}
