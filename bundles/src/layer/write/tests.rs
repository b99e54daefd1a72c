use super::*;
use crate::layer::apply::{Limits, Of, apply};
use crate::layer::archive::{Archive, Entry, Kind};
use crate::testing::Scratch;
use rustix::fs::XattrFlags;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};

fn written(dir: &Path, what: What, latest: Option<i64>) -> (Vec<u8>, Written) {
    let mut out = Vec::new();
    let done = write(File::open(dir).unwrap().as_fd(), &mut out, what, latest).unwrap();
    (out, done)
}

fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut archive = Archive::new(archive);
    std::iter::from_fn(|| archive.next().unwrap()).collect()
}

fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).iter().map(|entry| entry.path.display().to_string()).collect()
}

fn whiteout(path: &Path) {
    let kind = FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, Mode::empty(), 0).unwrap();
}

/// The name that this user may set.
fn make_opaque(path: &Path) {
    let set = |name: &str| rustix::fs::setxattr(path, name, b"y", XattrFlags::empty()).is_ok();
    assert!(OPAQUE.iter().any(|name| set(name)));
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// What can be seen of a tree: a line for each file.
fn seen(top: &Path) -> Vec<String> {
    fn walk(top: &Path, path: &Path, lines: &mut Vec<String>) {
        let mut below: Vec<_> = fs::read_dir(top.join(path)).unwrap().map(|e| e.unwrap()).collect();
        below.sort_by_key(fs::DirEntry::file_name);
        for entry in below {
            let path = path.join(entry.file_name());
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            let parent = File::open(entry.path().parent().unwrap()).unwrap();
            let stat = statat(&parent, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).unwrap();
            let of = Attributes::of(parent.as_fd(), &entry.file_name(), &stat).unwrap();
            let content = match meta.file_type() {
                kind if kind.is_file() => fs::read(entry.path()).unwrap(),
                kind if kind.is_symlink() => {
                    fs::read_link(entry.path()).unwrap().as_os_str().as_bytes().to_vec()
                }
                _ => Vec::new(),
            };
            // A whiteout has no attributes: nobody sees it.
            let time = if meta.rdev() == 0 { meta.mtime() } else { 0 };
            let links = if meta.is_dir() { 0 } else { meta.nlink() };
            let mode = meta.mode();
            lines.push(format!(
                "{} {mode:o} {} {} {time} {links} {:?} {content:?}",
                path.display(),
                meta.uid(),
                meta.gid(),
                of.xattrs
            ));
            if meta.is_dir() {
                walk(top, &path, lines);
            }
        }
    }
    let mut lines = Vec::new();
    walk(top, Path::new(""), &mut lines);
    lines
}

/// Files of every kind; names that need each way of writing them.
fn sample(dir: &Scratch) -> PathBuf {
    let top = dir.0.join("top");
    dir.file("top/b/file", b"content");
    dir.file("top/empty", b"");
    dir.file(&format!("top/{}", "n".repeat(150)), b"long name");
    dir.file(&format!("top/{}/{}", "d".repeat(120), "f".repeat(60)), b"prefix");
    dir.file(&format!("top/{}/{}", "x".repeat(200), "y".repeat(120)), b"pax");
    dir.file("top/\u{e9}t\u{e9}", b"not ASCII");
    dir.link("top/link", "../b/file");
    dir.link("top/long", &"t".repeat(300));
    fs::hard_link(top.join("b/file"), top.join("c")).unwrap();
    fs::hard_link(top.join("link"), top.join("second")).unwrap();
    let fifo = FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, top.join("fifo"), fifo, Mode::RWXU, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.0.join("socket")).unwrap());
    fs::rename(dir.0.join("socket"), top.join("socket")).unwrap();
    set(&top.join("b/file"), "user.binary", b"\n\0=");
    set(&top.join("b"), "user.of.directory", b"v");
    set(&top.join("empty"), "user.overlay.origin", b"not ours");
    fs::set_permissions(top.join("b"), fs::Permissions::from_mode(0o2710)).unwrap();
    fs::set_permissions(top.join("empty"), fs::Permissions::from_mode(0o4755)).unwrap();
    for (path, time) in [("b/file", -5), ("empty", 1 << 34), ("b", 1_000_000_000)] {
        let file = File::open(top.join(path)).unwrap();
        let time = rustix::fs::Timespec { tv_sec: time, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::futimens(file, &times).unwrap();
    }
    top
}

#[test]
fn what_is_written_reads_back_as_the_same_tree() {
    let dir = Scratch::new();
    let top = sample(&dir);
    whiteout(&top.join("b/gone"));
    fs::create_dir(top.join("opaque")).unwrap();
    dir.file("top/opaque/new", b"n");
    make_opaque(&top.join("opaque"));
    let (archive, done) = written(&top, What::Changes, None);
    let all = names(&archive);
    let mut wanted = vec!["b/", "b/file", "b/.wh.gone", "c", "empty", "fifo", "link", "long"];
    wanted.extend(["opaque/", "opaque/.wh..wh..opq", "opaque/new", "second"]);
    let short: Vec<&str> = all.iter().map(String::as_str).filter(|name| name.len() < 40).collect();
    assert_eq!(short[..wanted.len()], wanted);
    assert_eq!(all.len() as u64, done.entries);
    assert_eq!(done.size, 7 + 9 + 6 + 3 + 9 + 1);

    let back = dir.0.join("back");
    fs::create_dir(&back).unwrap();
    let root = File::open(&back).unwrap();
    let size = apply(&mut Archive::new(&archive[..]), root.as_fd(), &Limits::default(), Of::Layer)
        .unwrap();
    assert_eq!(size, done.size);
    fs::remove_file(top.join("socket")).unwrap();
    rustix::fs::removexattr(top.join("empty"), "user.overlay.origin").unwrap();
    let (here, there) = (seen(&top), seen(&back));
    for (one, other) in here.iter().zip(&there) {
        assert_eq!(one, other);
    }
    assert_eq!(here.len(), there.len());
}

#[test]
fn same_files_make_the_same_bytes() {
    let dir = Scratch::new();
    let top = sample(&dir);
    let one = written(&top, What::Tree, None).0;
    let copy = dir.0.join("copy");
    fs::create_dir(&copy).unwrap();
    let (from, to) = (File::open(&top).unwrap(), File::open(&copy).unwrap());
    crate::copy::tree(from.as_fd(), to.as_fd()).unwrap();
    assert!(written(&copy, What::Tree, None).0 == one);
    assert!(written(&copy, What::Changes, None).0 == one);
    assert_eq!(one.len() % BLOCK, 0);
}

#[test]
fn nothing_is_later_than_the_latest() {
    let dir = Scratch::new();
    let top = sample(&dir);
    set(&top.join("b"), "user.overlay.origin", b"x");
    make_opaque(&top.join("b"));
    let (archive, _) = written(&top, What::Layer, Some(1_000));
    assert!(entries(&archive).iter().all(|entry| entry.mtime.seconds <= 1_000));
    let times: BTreeSet<i64> = entries(&archive).iter().map(|entry| entry.mtime.seconds).collect();
    assert_eq!(times, BTreeSet::from([-5, 0, 1_000]));
    // A layer itself has them so, too, and nothing of the overlay but what a layer may have.
    assert_eq!(fs::metadata(top.join("b")).unwrap().mtime(), 1_000);
    assert_eq!(fs::metadata(top.join("b/file")).unwrap().mtime(), -5);
    let left =
        |path: &str, name: &str| rustix::fs::lgetxattr(top.join(path), name, &mut [0; 8]).is_ok();
    assert!(!left("b", "user.overlay.origin") && !left("empty", "user.overlay.origin"));
    assert!(OPAQUE.iter().any(|name| left("b", name)));
    assert!(left("b/file", "user.binary"));
    assert!(written(&top, What::Changes, None).0 == archive);
}

#[test]
fn only_an_unusual_top_has_an_entry() {
    let dir = Scratch::new();
    fs::create_dir(dir.0.join("top")).unwrap();
    let top = dir.0.join("top");
    fs::set_permissions(&top, fs::Permissions::from_mode(0o700)).unwrap();
    let (archive, done) = written(&top, What::Changes, None);
    assert_eq!((names(&archive), done), (vec!["./".to_owned()], Written::default()));
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
    if nix::unistd::geteuid().is_root() {
        assert_eq!(names(&written(&top, What::Changes, None).0), Vec::<String>::new());
    }
}

#[test]
fn names_of_whiteouts_are_refused_in_layers_alone() {
    let dir = Scratch::new();
    dir.file("top/d/.wh.x", b"");
    let top = dir.0.join("top");
    assert!(names(&written(&top, What::Tree, None).0).contains(&"d/.wh.x".to_owned()));
    let err = write(File::open(&top).unwrap().as_fd(), std::io::sink(), What::Changes, None);
    let text = "\"d/.wh.x\": in a layer, this name says that a file was removed";
    assert_eq!(crate::error::chain(&err.unwrap_err()), text);
}

#[test]
fn deep_trees_are_written_with_few_descriptors() {
    let dir = Scratch::new();
    let path = format!("top/{}file", "d/".repeat(1500));
    dir.file(&path, b"x");
    dir.file("top/z", b"x");
    let (archive, done) = written(&dir.0.join("top"), What::Tree, None);
    assert_eq!(done.entries, 1502);
    assert_eq!(names(&archive).last().unwrap(), "z");
}

/// A failing test has to end what goes on beside it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// While a program makes, cuts, lengthens, renames and removes, the archive stays one.
#[test]
fn changing_files_make_a_whole_archive() {
    let dir = Scratch::new();
    let top = dir.0.join("top");
    dir.file("top/keep", b"k");
    dir.file("outside/secret", b"secret");
    dir.link("link", "outside");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changing = || {
            for round in 0_u64.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let file = crate::home::write(&top.join("file"), &[7; 100_000]).unwrap();
                file.set_len(round * 7919 % 300_000).unwrap();
                fs::create_dir_all(top.join("dir/sub")).unwrap();
                crate::home::write(&top.join("dir/sub/x"), b"x").unwrap();
                fs::rename(top.join("dir"), top.join("other")).unwrap();
                fs::rename(dir.0.join("link"), top.join("dir")).unwrap();
                fs::rename(top.join("dir"), dir.0.join("link")).unwrap();
                fs::remove_dir_all(top.join("other")).unwrap();
                fs::remove_file(top.join("file")).unwrap();
            }
        };
        std::thread::Builder::new().spawn_scoped(scope, changing).unwrap();
        let _ends = Ends(&done);
        for _ in 0..300 {
            let (archive, written) = written(&top, What::Tree, None);
            let all = entries(&archive);
            assert_eq!(all.len() as u64, written.entries);
            assert!(all.iter().any(|entry| entry.path == Path::new("keep")));
            assert!(!archive.windows(6).any(|bytes| bytes == b"secret"));
            let known = |entry: &Entry| match &entry.kind {
                Kind::File => entry.size <= 300_000,
                Kind::Directory => true,
                Kind::Symlink(to) => to == Path::new("outside"),
                Kind::Sparse { .. }
                | Kind::HardLink(_)
                | Kind::Character { .. }
                | Kind::Block { .. }
                | Kind::Fifo => false,
            };
            assert!(all.iter().all(known), "{all:?}");
        }
    });
}

#[test]
fn large_numbers_have_pax_records() {
    let head = Head {
        kind: EntryType::Regular,
        path: b"f",
        link: b"",
        mode: 0o644,
        uid: 4_000_000_000,
        gid: 0o7_777_777,
        mtime: 1 << 40,
        size: 1 << 40,
        device: (0, 0),
        xattrs: &[],
    };
    let mut archive = Archive::new(std::io::Cursor::new(head.bytes().unwrap()));
    let entry = archive.next().unwrap().unwrap();
    assert_eq!((entry.uid, entry.gid), (4_000_000_000, 0o7_777_777));
    assert_eq!((entry.mtime.seconds, entry.size), (1 << 40, 1 << 40));
    // 100 bytes with their length are 102, with which they would be 103.
    let xattrs = (80..110).map(|length| (format!("user.{length}"), vec![b'v'; length]));
    let xattrs: Vec<_> = xattrs.collect();
    let small = Head { uid: 0, size: 0, mtime: 0, xattrs: &xattrs, ..head };
    let entry = Archive::new(std::io::Cursor::new(small.bytes().unwrap())).next();
    assert_eq!(entry.unwrap().unwrap().xattrs, xattrs);
}
