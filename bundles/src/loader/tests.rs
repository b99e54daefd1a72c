use super::*;
use crate::testing::{Scratch, elf_file};

const LD: Option<&str> = Some("/lib64/ld-linux-x86-64.so.2");

/// Files of a made-up host; the first one is the program.
fn host(files: &[(&str, Vec<u8>)]) -> (Scratch, Host) {
    let scratch = Scratch::new();
    for (path, content) in files {
        scratch.file(path, content);
    }
    let host = Host { root: scratch.0.clone() };
    (scratch, host)
}

fn found(host: &Host, program: &str) -> Result<Vec<String>> {
    let bytes = fs::read(host.real(Path::new(program))).unwrap();
    let elf = elf::parse(&bytes).unwrap().unwrap();
    let paths = files(host, Path::new(program), elf)?;
    Ok(paths.into_iter().map(|path| path.display().to_string()).collect())
}

fn lib(needed: &[&str]) -> Vec<u8> {
    elf_file(None, needed, None)
}

#[test]
fn static_program_needs_nothing() {
    let (_s, host) = host(&[("bin/a", elf_file(None, &[], None))]);
    assert_eq!(found(&host, "/bin/a").unwrap(), [""; 0]);
}

#[test]
fn libraries_of_libraries_are_found_once() {
    let (_s, host) = host(&[
        ("bin/a", elf_file(LD, &["libx.so.1", "libc.so.6"], None)),
        ("lib/x86_64-linux-gnu/libx.so.1", lib(&["liby.so", "libc.so.6"])),
        ("usr/lib/x86_64-linux-gnu/liby.so", lib(&["libx.so.1"])),
        ("lib64/libc.so.6", lib(&["ld-linux-x86-64.so.2"])),
    ]);
    assert_eq!(
        found(&host, "/bin/a").unwrap(),
        [
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/x86_64-linux-gnu/libx.so.1",
            "/lib64/libc.so.6",
            "/usr/lib/x86_64-linux-gnu/liby.so",
        ]
    );
}

#[test]
fn ld_so_conf_comes_before_the_default_directories() {
    let (_s, host) = host(&[
        ("bin/a", elf_file(LD, &["libx.so"], None)),
        ("etc/ld.so.conf", b"include ld.so.conf.d/*.conf # note\n".to_vec()),
        ("etc/ld.so.conf.d/b.conf", b"/opt/b/lib\n".to_vec()),
        ("etc/ld.so.conf.d/a.conf", b"# none\n/opt/a/lib\n".to_vec()),
        ("etc/ld.so.conf.d/c.txt", b"/opt/c/lib\n".to_vec()),
        ("etc/ld.so.cache", b"".to_vec()),
        ("opt/b/lib/libx.so", lib(&[])),
        ("opt/c/lib/libx.so", lib(&[])),
        ("lib/libx.so", lib(&[])),
    ]);
    let files = found(&host, "/bin/a").unwrap();
    assert_eq!(files[1..], ["/etc/ld.so.cache", "/opt/b/lib/libx.so"]);
}

#[test]
fn runpath_counts_for_its_own_object_only() {
    let (_s, host) = host(&[
        ("opt/bin/a", elf_file(LD, &["libx.so"], Some("$ORIGIN/../lib:rel"))),
        ("opt/lib/libx.so", lib(&["liby.so"])),
        ("opt/lib/liby.so", lib(&[])),
    ]);
    let err = found(&host, "/opt/bin/a").unwrap_err();
    assert_eq!(crate::error::chain(&err), "/opt/bin/../lib/libx.so: library not found: liby.so");
}

#[test]
fn rpath_counts_for_all_objects_below() {
    // The same bytes with DT_RPATH (15) in the place of DT_RUNPATH (29).
    let mut program = elf_file(LD, &["libx.so"], Some("${ORIGIN}/../lib"));
    let tag = program.windows(8).rposition(|w| w == 29_u64.to_le_bytes()).unwrap();
    program[tag] = 15;
    let (_s, host) = host(&[
        ("opt/bin/a", program),
        ("opt/lib/libx.so", lib(&["liby.so"])),
        ("opt/lib/liby.so", lib(&[])),
    ]);
    let files = found(&host, "/opt/bin/a").unwrap();
    assert_eq!(files[1..], ["/opt/bin/../lib/libx.so", "/opt/bin/../lib/liby.so"]);
}

#[test]
fn library_of_another_machine_is_passed_over() {
    let mut other = lib(&[]);
    other[18] = 183; // EM_AARCH64
    let (_s, host) = host(&[
        ("bin/a", elf_file(LD, &["libx.so"], None)),
        ("lib/x86_64-linux-gnu/libx.so", other),
        ("usr/lib/libx.so", lib(&[])),
    ]);
    assert_eq!(found(&host, "/bin/a").unwrap()[1], "/usr/lib/libx.so");
}

#[test]
fn musl_is_its_own_libc_and_has_its_own_path() {
    let (_s, host) = host(&[
        (
            "bin/a",
            elf_file(Some("/lib/ld-musl-x86_64.so.1"), &["libx.so", "libc.musl-x86_64.so.1"], None),
        ),
        ("etc/ld-musl-x86_64.path", b"/opt/one:/opt/two\n/opt/three\n".to_vec()),
        ("opt/three/libx.so", lib(&["libc.so", "libpthread.so.0"])),
        ("lib/libx.so", lib(&[])),
    ]);
    assert_eq!(
        found(&host, "/bin/a").unwrap(),
        ["/lib/ld-musl-x86_64.so.1", "/etc/ld-musl-x86_64.path", "/opt/three/libx.so"]
    );
}

#[test]
fn tokens_are_replaced_with_and_without_braces() {
    assert_eq!(replace(b"a$ORIGIN/${ORIGIN}$", "ORIGIN", b"/x"), b"a/x//x$");
}

#[test]
fn star_matches_like_the_shell() {
    let fits = |name, pattern: &str| super::fits(name, &pattern.split('*').collect::<Vec<_>>());
    for (name, pattern, expected) in [
        ("libc.conf", "*.conf", true),
        (".hidden.conf", "*.conf", false),
        ("libc.conf.old", "*.conf", false),
        ("a-b-c", "a*b*c", true),
        ("a", "a", true),
        ("ab", "a", false),
        ("ab", "ab*b", false),
    ] {
        assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
    }
}
