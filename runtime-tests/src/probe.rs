//! Finding the static program that the containers run.

use std::fs;
use std::path::{Path, PathBuf};

/// The static probe: `PROBE`, or the newest build for a musl target beside this program's own target
/// directory, or one next to this program.
///
/// # Errors
/// The text says how to build it.
pub fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("PROBE") {
        return Ok(PathBuf::from(path));
    }
    let exe = std::env::current_exe().map_err(|e| format!("/proc/self/exe: {e}"))?;
    let here = exe.parent().unwrap_or(Path::new("/"));
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut found: Vec<PathBuf> = [here.join("..").join(&triple), here.join("../..").join(&triple)]
        .iter()
        .flat_map(|target| ["release", "debug"].map(|profile| target.join(profile).join("probe")))
        .chain([here.join("probe")])
        .filter(|path| is_static(path))
        .collect();
    found.sort_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok());
    found.pop().ok_or_else(|| {
        format!("no static probe near {}; run: cargo build -p runtime-tests --bin probe --target {triple}", here.display())
    })
}

/// A dynamic program names its loader near the start of the file.
fn is_static(path: &Path) -> bool {
    let head = |bytes: Vec<u8>| bytes.into_iter().take(4096).collect::<Vec<u8>>();
    fs::read(path).map(head).is_ok_and(|head| !head.windows(8).any(|w| w == b"ld-linux"))
}
