//! Writing in another thread what this one makes.
//!
//! Runs in: the thread that writes is one of its own, for as long as the writer is used.

use anyhow::{Context as _, Result};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes which are handed over at a time.
const CHUNK: usize = 128 * 1024;

/// Chunks that wait: a stall of one side does not stop the other at once.
const WAITING: usize = 8;

/// The end that is written to.
pub(super) struct Behind {
    chunks: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    current: Vec<u8>,
}

/// Writes to `inner` in a thread of its own what `make` writes.
pub(super) fn behind<W: Write + Send, T>(
    mut inner: W,
    make: impl FnOnce(&mut Behind) -> Result<T>,
) -> Result<(T, W)> {
    let (chunks, full) = sync_channel::<Vec<u8>>(WAITING);
    let (used, empty) = sync_channel(WAITING + 2);
    thread::scope(|scope| {
        let writer = thread::Builder::new().spawn_scoped(scope, move || -> io::Result<W> {
            for mut chunk in &full {
                inner.write_all(&chunk)?;
                chunk.clear();
                used.try_send(chunk).ok(); // one too many is freed
            }
            Ok(inner)
        });
        let writer = writer.context("start a thread")?;
        let mut behind = Behind { chunks, empty, current: Vec::with_capacity(CHUNK) };
        let made = make(&mut behind).and_then(|made| Ok(behind.flush().map(|()| made)?));
        drop(behind); // the end of what comes
        let written = writer.join();
        let written = written.ok().context("internal error, please report: a thread died")?;
        // A failed writer listens no more, which is all that the other side can say.
        let inner = written?;
        Ok((made?, inner))
    })
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.current.len());
        self.current.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.current.len() == CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let chunk = std::mem::replace(&mut self.current, next);
        self.chunks.send(chunk).map_err(|_full| io::Error::other("the writer has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_in_order() {
        let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let (count, came) = behind(Vec::new(), |to| {
            to.write_all(&content)?;
            Ok(7)
        })
        .unwrap();
        assert!(came == content && count == 7);
    }

    #[test]
    fn error_of_the_writer_is_the_one_that_is_told() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::Error::other("full"))?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let make = |to: &mut Behind| {
            io::copy(&mut io::repeat(1), to)?;
            Ok(())
        };
        assert_eq!(behind(Full(500_000), make).err().unwrap().to_string(), "full");
        let made: Result<((), _)> = behind(Vec::new(), |_| anyhow::bail!("made"));
        assert_eq!(made.err().unwrap().to_string(), "made");
    }
}
