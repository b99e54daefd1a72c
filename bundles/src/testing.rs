//! Files for unit tests: ELF files of a few hundred bytes, and a scratch directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A little-endian x86-64 ELF file with `PT_LOAD`, `PT_INTERP` and `PT_DYNAMIC`, no sections.
pub(crate) fn elf_file(
    interpreter: Option<&str>,
    needed: &[&str],
    runpath: Option<&str>,
) -> Vec<u8> {
    const HEADERS: u64 = 64 + 3 * 56;
    let mut strings = vec![0_u8];
    let mut add = |text: &str| {
        let offset = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        offset
    };
    let interpreter = interpreter.map(|path| (add(path), path.len() as u64 + 1));
    let mut dynamic: Vec<(u64, u64)> = needed.iter().map(|name| (1, add(name))).collect();
    dynamic.extend(runpath.map(|path| (29, add(path))));
    let strings_at = HEADERS + (dynamic.len() as u64 + 3) * 16;
    dynamic.extend([(5, strings_at), (10, strings.len() as u64), (0, 0)]);

    let end = strings_at + strings.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    half(&mut file, 3); // ET_DYN
    half(&mut file, 62); // EM_X86_64
    word(&mut file, 1);
    [0, 64, 0].iter().for_each(|value| long(&mut file, *value)); // entry, phoff, shoff
    word(&mut file, 0);
    [64, 56, 3, 64, 0, 0].iter().for_each(|value| half(&mut file, *value));
    let (interp_at, interp_size) = interpreter.unwrap_or((0, 0));
    let interp_kind = if interpreter.is_some() { 3 } else { 0 };
    for (kind, offset, size) in [
        (1, 0, end),
        (interp_kind, strings_at + interp_at, interp_size),
        (2, HEADERS, dynamic.len() as u64 * 16),
    ] {
        word(&mut file, kind);
        word(&mut file, 4);
        [offset, offset, offset, size, size, 8].iter().for_each(|value| long(&mut file, *value));
    }
    for (tag, value) in dynamic {
        long(&mut file, tag);
        long(&mut file, value);
    }
    file.extend(strings);
    file
}

/// A directory below the system's temporary one, removed with the value.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("bundles-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes an executable file below the directory, with the directories above it.
    pub(crate) fn file(&self, path: &str, content: &[u8]) {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(path)
            .unwrap()
            .write_all(content)
            .unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(Path::new(target), path).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok(); // a test may have moved it
    }
}
