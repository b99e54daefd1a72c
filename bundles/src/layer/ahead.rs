//! Reading in one thread what another one uses.
//!
//! Runs in: a thread of its own, for as long as the reader is used.

use anyhow::{Context as _, Result};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes which are read at a time.
const CHUNK: usize = 128 * 1024;

/// Chunks that wait: a stall of one side does not stop the other at once.
const WAITING: usize = 8;

/// A buffer, and how much of it is filled.
type Chunk = (Vec<u8>, usize);

/// The end that is used.
pub(super) struct Ahead {
    chunks: Receiver<io::Result<Chunk>>,
    /// Buffers go back: to ask the kernel for each would take as long as inflating.
    empty: SyncSender<Vec<u8>>,
    current: Chunk,
    at: usize,
}

/// Reads `inner` in a thread of its own while `apply` reads what came. Returns when both are done;
/// `inner` is read as far as `apply` wanted it, or some chunks further.
pub(super) fn ahead<R: Read + Send, T>(
    mut inner: R,
    apply: impl FnOnce(&mut Ahead) -> Result<T>,
) -> Result<(T, R)> {
    let (sender, chunks) = sync_channel(WAITING);
    let (empty, used) = sync_channel(WAITING + 2);
    thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, move || {
            feed(&mut inner, &sender, &used);
            inner
        });
        let reader = reader.context("start a thread")?;
        let mut ahead = Ahead { chunks, empty, current: (Vec::new(), 0), at: 0 };
        let applied = apply(&mut ahead);
        drop(ahead); // a reader that waits for room goes home
        let inner = reader.join();
        let inner = inner.ok().context("internal error, please report: a thread died")?;
        Ok((applied?, inner))
    })
}

/// Until the end, an error, or nobody listens.
fn feed(inner: &mut impl Read, chunks: &SyncSender<io::Result<Chunk>>, used: &Receiver<Vec<u8>>) {
    loop {
        let mut chunk = used.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        let read = match inner.read(&mut chunk) {
            Ok(0) => return,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let is_end = read.is_err();
        if chunks.send(read.map(|count| (chunk, count))).is_err() || is_end {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.1 {
            let Ok(chunk) = self.chunks.recv() else { return Ok(0) };
            let (old, _) = std::mem::replace(&mut self.current, chunk?);
            self.at = 0;
            if !old.is_empty() {
                self.empty.try_send(old).ok(); // one too many is freed
            }
        }
        let (chunk, end) = &self.current;
        let count = chunk.get(self.at..*end).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails behind `0` bytes.
    struct Cut(usize);

    impl Read for Cut {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.min(buffer.len());
            self.0 -= count;
            if count == 0 { Err(io::Error::other("cut")) } else { Ok(count) }
        }
    }

    #[test]
    fn all_bytes_come_in_order() {
        let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut came = Vec::new();
        let read = |ahead: &mut Ahead| Ok(ahead.read_to_end(&mut came)?);
        let (count, rest) = ahead(content.as_slice(), read).unwrap();
        assert!(came == content && count == content.len() && rest.is_empty());
    }

    #[test]
    fn error_comes_behind_the_bytes_before_it() {
        let mut came = Vec::new();
        let read = |ahead: &mut Ahead| Ok(ahead.read_to_end(&mut came)?);
        let err = ahead(Cut(300_000), read).err().unwrap();
        assert_eq!((err.to_string().as_str(), came.len()), ("cut", 300_000));
    }

    #[test]
    fn endless_reader_ends_with_its_user() {
        let read = |ahead: &mut Ahead| Ok(ahead.read(&mut [0; 10])?);
        assert_eq!(ahead(io::repeat(7), read).unwrap().0, 10);
    }
}
