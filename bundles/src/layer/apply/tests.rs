use super::*;
use crate::testing::Scratch;
use std::os::unix::fs::MetadataExt as _;
use tar::{Builder, EntryType, Header};

/// Writes a layer without the checks which the crate makes.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, target: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(if kind == EntryType::Directory { 0o1750 } else { 0o4750 });
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    fn file(self, name: &str) -> Self {
        self.add(EntryType::Regular, name, "", b"new")
    }

    fn directory(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, b"")
    }

    fn applied(self) -> (Scratch, Result<u64>) {
        self.applied_with(&Limits::default())
    }

    fn applied_with(self, limits: &Limits) -> (Scratch, Result<u64>) {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.0.join("layer")).unwrap();
        scratch.file("outside", b"old");
        let root = File::open(scratch.0.join("layer")).unwrap();
        let bytes = self.0.into_inner().unwrap();
        let done = apply(&mut Archive::new(&bytes[..]), root.as_fd(), limits, Of::Layer);
        (scratch, done)
    }
}

/// What was made, sorted.
fn names(scratch: &Scratch) -> Vec<String> {
    fn walk(above: &Path, shown: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(above).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{shown}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), names);
            }
            names.push(name);
        }
    }
    let mut names = Vec::new();
    walk(&scratch.0.join("layer"), "", &mut names);
    names.sort();
    names
}

fn refusal(tar: Tar) -> String {
    let (scratch, done) = tar.applied();
    // Nothing outside was made or changed.
    let mut there: Vec<_> =
        std::fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["layer", "outside"]);
    assert_eq!(std::fs::read(scratch.0.join("outside")).unwrap(), b"old");
    crate::error::chain(&done.unwrap_err())
}

fn is_whiteout(scratch: &Scratch, name: &str) -> bool {
    let meta = std::fs::symlink_metadata(scratch.0.join("layer").join(name)).unwrap();
    meta.mode() & 0o170_000 == 0o020_000 && meta.rdev() == 0
}

fn is_opaque(scratch: &Scratch, name: &str) -> bool {
    let path = scratch.0.join("layer").join(name);
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|xattr| {
        let mut value = [0; 8];
        rustix::fs::lgetxattr(&path, *xattr, &mut value[..]).is_ok_and(|length| length == 1)
    })
}

#[test]
fn attributes_are_those_of_the_entries() {
    let (scratch, done) = Tar::new()
        .directory("./d/")
        .file("./d/f")
        .symlink("d/s", "/etc")
        .link("h", "d/f")
        .applied();
    assert_eq!(done.unwrap(), 3);
    let at = |name: &str| std::fs::symlink_metadata(scratch.0.join("layer").join(name)).unwrap();
    assert_eq!(names(&scratch), ["d", "d/f", "d/s", "h"]);
    assert_eq!((at("d").mode() & 0o7777, at("d/f").mode() & 0o7777), (0o1750, 0o4750));
    for name in ["d", "d/f", "d/s"] {
        assert_eq!(at(name).mtime(), 1_000_000_000, "{name}");
    }
    assert_eq!(at("h").ino(), at("d/f").ino());
    let owner = if nix::unistd::geteuid().is_root() { 7 } else { nix::unistd::geteuid().as_raw() };
    assert_eq!((at("d").uid(), at("d/f").uid(), at("d/s").uid()), (owner, owner, owner));
}

#[test]
fn names_that_lead_outside_are_refused() {
    for (name, why) in [
        ("/outside", "an absolute name"),
        ("../outside", "a name with \"..\""),
        ("d/../../outside", "a name with \"..\""),
    ] {
        assert_eq!(refusal(Tar::new().file(name)), format!("entry {name:?}: {why}"));
        let target = format!("entry \"h\": hard link to {name:?}: {why}");
        assert_eq!(refusal(Tar::new().link("h", name)), target);
    }
    assert_eq!(refusal(Tar::new().file(".wh...")), "entry \".wh...\": a whiteout of nothing");
    assert_eq!(refusal(Tar::new().file(".wh.")), "entry \".wh.\": a whiteout of nothing");
    assert_eq!(refusal(Tar::new().file(".")), "entry \".\": the top of the layer is no directory");
}

#[test]
fn symlinks_lead_no_entry_anywhere() {
    for target in ["..", "/tmp", ".", "d"] {
        let tar = || Tar::new().directory("d").symlink("s", target);
        let why = "goes through s, where a part is a symlink";
        for name in ["s/outside", "s/.wh.outside", "s/.wh..wh..opq"] {
            assert_eq!(refusal(tar().file(name)), format!("entry {name:?}: {why}"));
        }
        assert_eq!(
            refusal(tar().directory("s/x/y")),
            format!("entry \"s/x/y\": goes through s/x, where a part is a symlink")
        );
        let linked = refusal(tar().link("h", "s/outside"));
        assert_eq!(linked, format!("entry \"h\": hard link to \"s/outside\": {why}"));
        assert_eq!(refusal(tar().directory("s")), "entry \"s\": twice in the layer");
    }
    let file = Tar::new().symlink("s", "../outside").file("s");
    assert_eq!(refusal(file), "entry \"s\": twice in the layer");
    // A hard link to a symlink is a second symlink.
    let linked = Tar::new().symlink("s", "../outside").link("h", "s").file("h");
    assert_eq!(refusal(linked), "entry \"h\": twice in the layer");
}

#[test]
fn hard_links_need_a_file_of_the_layer() {
    let missing = refusal(Tar::new().link("h", "x"));
    assert_eq!(missing, "entry \"h\": hard link to \"x\": no entry before it has that name");
    let directory = refusal(Tar::new().directory("d").link("h", "d"));
    assert_eq!(directory, "entry \"h\": hard link to \"d\": a directory");
    let removed = refusal(Tar::new().file(".wh.x").link("h", "x"));
    assert_eq!(removed, "entry \"h\": hard link to \"x\": which the layer removes");
}

#[test]
fn entries_come_once_but_directories() {
    assert_eq!(refusal(Tar::new().file("f").file("./f")), "entry \"./f\": twice in the layer");
    assert_eq!(refusal(Tar::new().directory("f").file("f")), "entry \"f\": twice in the layer");
    let (scratch, done) = Tar::new().file("d/f").directory("d").directory("d/").applied();
    done.unwrap();
    assert_eq!(names(&scratch), ["d", "d/f"]);
    let below = refusal(Tar::new().file("f").file("f/x"));
    assert_eq!(below, "entry \"f/x\": goes through f, where a part is no directory");
}

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let (scratch, done) = Tar::new().file("d/.wh.x").file(".wh..wh.plnk").applied();
    done.unwrap();
    assert_eq!(names(&scratch), ["d", "d/x"]);
    assert!(is_whiteout(&scratch, "d/x") && !is_opaque(&scratch, "d"));
}

#[test]
fn opaque_directory_keeps_no_whiteouts() {
    let tar = Tar::new().file("d/.wh.x").file("d/.wh..wh..opq").file("d/y");
    let (scratch, done) = tar.applied();
    done.unwrap();
    assert_eq!(names(&scratch), ["d", "d/y"]);
    assert!(is_opaque(&scratch, "d"));
}

#[test]
fn whiteout_hides_only_what_is_below() {
    // In either order, the layer's own entry stays.
    for tar in [Tar::new().file("x").file(".wh.x"), Tar::new().file(".wh.x").file("x")] {
        let (scratch, done) = tar.applied();
        done.unwrap();
        assert_eq!(std::fs::read(scratch.0.join("layer/x")).unwrap(), b"new");
    }
    for tar in [
        Tar::new().directory("x").file(".wh.x"),
        Tar::new().file(".wh.x").directory("x"),
        Tar::new().file(".wh.x").file("x/y"),
    ] {
        let (scratch, done) = tar.applied();
        done.unwrap();
        assert!(is_opaque(&scratch, "x"));
    }
}

#[test]
fn whiteout_as_a_device_is_refused() {
    let device = Tar::new().add(EntryType::Char, "c", "", b"");
    let refused = refusal(device);
    assert!(refused.starts_with("entry \"c\": "), "{refused}");
}

#[test]
fn layer_beyond_its_limits_is_refused() {
    let limits = Limits { bytes: 5, entries: 3, kept: 10 };
    let (_scratch, done) = Tar::new().file("a").file("b").applied_with(&limits);
    let err = crate::error::chain(&done.unwrap_err());
    assert_eq!(err, "entry \"b\": the layer unpacks to more than 5 bytes");
    let (_scratch, done) = Tar::new().file("a/b/c/d").applied_with(&limits);
    let err = crate::error::chain(&done.unwrap_err());
    assert_eq!(err, "entry \"a/b/c/d\": the layer has more than 3 entries");
    let (_scratch, done) = Tar::new().directory("12345").directory("123456").applied_with(&limits);
    let err = crate::error::chain(&done.unwrap_err());
    let wanted = "names and attributes of the layer's directories have more than 10 bytes";
    assert_eq!(err, format!("entry \"123456\": {wanted}"));
}

#[test]
fn directories_without_rights_can_be_filled() {
    let mut tar = Tar::new().directory("d/e").file("d/e/f");
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    header.set_mode(0);
    header.set_mtime(1);
    header.set_uid(0);
    header.set_gid(0);
    tar.0.append_data(&mut header, "d", &b""[..]).unwrap();
    let (scratch, done) = tar.file("d/g").applied();
    done.unwrap();
    let path = scratch.0.join("layer/d");
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().mode() & 0o7777, 0);
    crate::tree::remove(&path).unwrap();
    assert!(!path.exists());
}

#[test]
fn holes_stay_holes() {
    let mut builder = Builder::new(Vec::new());
    let records: [(&str, &[u8]); 2] =
        [("GNU.sparse.size", b"67108864"), ("GNU.sparse.map", b"33554432,5")];
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    builder.append_data(&mut header, "s", &b"hello"[..]).unwrap();
    let (scratch, done) = Tar(builder).applied();
    assert_eq!(done.unwrap(), 5);
    let path = scratch.0.join("layer/s");
    let meta = std::fs::metadata(&path).unwrap();
    assert!(meta.len() == 64 << 20 && meta.blocks() < 2048, "{meta:?}");
    let mut data = [0; 5];
    File::open(path).unwrap().read_exact_at(&mut data, 32 << 20).unwrap();
    assert_eq!(&data, b"hello");
}

#[test]
fn xattrs_are_set_but_those_of_another_overlay() {
    let mut builder = Builder::new(Vec::new());
    let records: [(&str, &[u8]); 3] = [
        ("SCHILY.xattr.user.mine", b"a\nb"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/.."),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    builder.append_data(&mut header, "d", &b""[..]).unwrap();
    let (scratch, done) = Tar(builder).applied();
    done.unwrap();
    let path = scratch.0.join("layer/d");
    let mut value = [0; 16];
    let length = rustix::fs::lgetxattr(&path, "user.mine", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"a\nb");
    assert!(!is_opaque(&scratch, "d"));
    assert!(rustix::fs::lgetxattr(&path, "trusted.overlay.redirect", &mut value[..]).is_err());
}

/// Random, but the same in every run.
#[test]
fn damaged_layers_write_nothing_outside() {
    let good = Tar::new()
        .directory("d")
        .file("d/f")
        .symlink("d/s", "../..")
        .link("h", "d/f")
        .file("d/.wh.x")
        .file("d/e/.wh..wh..opq")
        .0
        .into_inner()
        .unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    };
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=below(3) {
            // Names, kinds, links and sizes; then the checksum is made to fit again.
            let block = below(bytes.len() / 512) * 512;
            let spots = [0, 1, 2, 100, 124, 135, 156, 157, 158, 159, 345];
            let letters = [0, b'/', b'.', b'0', b'1', b'2', b'5', b'x', b'L', b'S', 0x80, 0xff];
            bytes[block + spots[below(spots.len())]] = letters[below(letters.len())];
            let mut header = Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.0.join("layer")).unwrap();
        scratch.file("outside", b"old");
        let root = File::open(scratch.0.join("layer")).unwrap();
        let limits = Limits { bytes: 1 << 20, entries: 100, kept: 1 << 20 };
        if apply(&mut Archive::new(&bytes[..]), root.as_fd(), &limits, Of::Layer).is_err() {
            refused += 1;
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 2);
        assert_eq!(std::fs::read(scratch.0.join("outside")).unwrap(), b"old");
        crate::tree::remove(&scratch.0.join("layer")).unwrap();
    }
    assert!((50..300).contains(&refused), "{refused}");
}

/// Entries of all kinds under names and with targets that would lead outside, if any could. Random,
/// but the same in every run; `FUZZ=100000` makes more of it, `FUZZ_SEED=N` others.
#[test]
fn made_up_layers_write_nothing_outside() {
    use std::os::unix::fs::MetadataExt as _;
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut state = number("FUZZ_SEED").unwrap_or(0x2545_f491_4f6c_dd1d);
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    };
    let parts = [
        "a",
        "b",
        "c",
        "d",
        "a",
        "b",
        "c",
        "d",
        "a",
        "b",
        "c",
        "d",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
        ".",
        "..",
        "outside",
    ];
    let kinds = [
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
    ];
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..number("FUZZ").unwrap_or(300) {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.0.join("layer")).unwrap();
        scratch.file("outside", b"old");
        let before = std::fs::metadata(scratch.0.join("outside")).unwrap();
        let count = below(8) + 1;
        let mut name = || -> String {
            let some: Vec<&str> = (0..=below(3)).map(|_| parts[below(parts.len())]).collect();
            match below(24) {
                0 => format!("/{}", some.join("/")),
                1 => format!("../{}", some.join("/")),
                2 => scratch.0.join("outside").display().to_string(),
                _ => some.join("/"),
            }
        };
        let entries: Vec<_> = (0..count).map(|_| (name(), name())).collect();
        let mut tar = Tar::new();
        for (name, target) in &entries {
            tar = tar.add(kinds[below(kinds.len())], name, target, b"");
        }
        let bytes = tar.0.into_inner().unwrap();
        let root = File::open(scratch.0.join("layer")).unwrap();
        let limits = Limits { bytes: 1 << 20, entries: 100, kept: 1 << 20 };
        match apply(&mut Archive::new(&bytes[..]), root.as_fd(), &limits, Of::Layer) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 2, "{entries:?}");
        assert_eq!(std::fs::read(scratch.0.join("outside")).unwrap(), b"old", "{entries:?}");
        let after = std::fs::metadata(scratch.0.join("outside")).unwrap();
        let seen = |one: &std::fs::Metadata| (one.ino(), one.nlink(), one.mode(), one.ctime_nsec());
        assert_eq!(seen(&after), seen(&before), "{entries:?}");
        crate::tree::remove(&scratch.0.join("layer")).unwrap();
    }
    assert!(taken > 10 && refused > 10, "{taken} taken, {refused} refused");
}
