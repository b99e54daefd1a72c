//! Black-box tests of `bundles rootfs`: what a caller sees, on this host's own programs.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]
#![expect(clippy::print_stderr, reason = "a test says what it left out")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of the test's own, removed with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rootfs-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok(); // the next run has another name
    }
}

fn rootfs(programs: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bundles"))
        .args(["rootfs", "--from-host"])
        .args(programs)
        .arg(dir)
        .output()
        .unwrap()
}

fn made(programs: &[&str], dir: &Path) {
    let output = rootfs(programs, dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

fn refused(programs: &[&str], dir: &Path) -> String {
    let output = rootfs(programs, dir);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Runs a command with `dir` as its root, in a user namespace unless the caller is root.
/// `None` when this caller may not have one, which `RT_TEST_NO_SKIP` forbids.
fn run_inside(dir: &Path, args: &[&str]) -> Option<Output> {
    let id = Command::new("id").arg("-u").output().unwrap();
    let namespace: &[&str] = if id.stdout == b"0\n" { &[] } else { &["--map-root-user"] };
    let can = Command::new("unshare").args(namespace).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("RT_TEST_NO_SKIP").is_none(), "no user namespace here");
        eprintln!("nothing was run inside: no user namespace here");
        return None;
    }
    let output = Command::new("unshare").args(namespace).arg("--root").arg(dir).args(args).output();
    Some(output.unwrap())
}

#[test]
fn programs_start_in_the_new_root() {
    let scratch = Scratch::new("start");
    let dir = scratch.0.join("root");
    made(&["sh", "ls", "id", "cat"], &dir);
    let script = "id -un && cat /etc/hosts && ls /";
    let Some(output) = run_inside(&dir, &["/bin/sh", "-c", script]) else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("root\n127.0.0.1\tlocalhost\n"), "{text}");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        assert!(text.lines().any(|line| line == name), "{name} is missing in {text}");
    }
}

#[test]
fn files_of_every_container_are_made_whatever_the_umask() {
    let scratch = Scratch::new("files");
    let dir = scratch.0.join("root");
    let output = Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_bundles")])
        .args(["rootfs", "--from-host", "sh"])
        .arg(&dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mode(&dir), 0o755);
    assert_eq!(mode(&dir.join("tmp")), 0o1777);
    for name in ["dev", "proc", "sys", "etc"] {
        assert_eq!(mode(&dir.join(name)), 0o755, "{name}");
    }
    let passwd = fs::read_to_string(dir.join("etc/passwd")).unwrap();
    assert!(passwd.starts_with("root:x:0:0:"));
    for name in ["group", "hosts", "resolv.conf"] {
        assert!(dir.join("etc").join(name).is_file(), "{name}");
    }
    let shell = fs::canonicalize("/bin/sh").unwrap();
    let copy = dir.join(shell.strip_prefix("/").unwrap());
    assert_eq!(mode(&copy) & 0o111, 0o111, "{}", copy.display());
    assert_eq!(fs::read(copy).unwrap(), fs::read(shell).unwrap());
}

#[test]
fn links_are_the_same_as_on_the_host() {
    let scratch = Scratch::new("links");
    let dir = scratch.0.join("root");
    made(&["/bin/sh"], &dir);
    for path in ["bin", "bin/sh", "lib", "lib64"] {
        let on_host = fs::read_link(Path::new("/").join(path)).ok();
        if on_host.is_some() {
            assert_eq!(fs::read_link(dir.join(path)).ok(), on_host, "{path}");
        }
    }
    assert!(dir.join("bin/sh").symlink_metadata().is_ok());
}

#[test]
fn empty_directory_is_replaced_and_a_full_one_refused() {
    let scratch = Scratch::new("full");
    let dir = scratch.0.join("root");
    fs::create_dir(&dir).unwrap();
    made(&["sh"], &dir);
    let before = fs::metadata(&dir).unwrap().modified().unwrap();
    assert_eq!(
        refused(&["sh"], &dir),
        format!(
            "bundles: {}: the directory is not empty\n  hint: name a new directory, or empty this one first\n",
            dir.display()
        )
    );
    assert_eq!(fs::metadata(&dir).unwrap().modified().unwrap(), before);
    assert_eq!(scratch.names(), ["root"]);
}

#[test]
fn missing_program_leaves_nothing_behind() {
    let scratch = Scratch::new("missing");
    assert_eq!(
        refused(&["sh", "no-such-program"], &scratch.0.join("root")),
        "bundles: executable file not found in $PATH: no-such-program\n  \
         hint: install the program, or name it by its path\n"
    );
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn error_in_the_middle_leaves_nothing_behind() {
    let scratch = Scratch::new("middle");
    let script = scratch.0.join("script");
    let made = Command::new("sh")
        .arg("-c")
        .arg("printf '#!/no/such/interpreter\\n' >\"$0\" && chmod 755 \"$0\"")
        .arg(&script)
        .status()
        .unwrap();
    assert!(made.success());
    let text = refused(&["sh", script.to_str().unwrap()], &scratch.0.join("root"));
    let start = format!("bundles: {}: the interpreter in its first line: ", script.display());
    assert!(text.starts_with(&start) && text.contains("/no/such/interpreter"), "{text}");
    assert_eq!(scratch.names(), ["script"]);
}

#[test]
fn script_brings_its_interpreter_and_the_program_of_env() {
    let scratch = Scratch::new("script");
    let script = scratch.0.join("hello");
    let made_script = Command::new("sh")
        .arg("-c")
        .arg("printf '#!/usr/bin/env -S cat -u\\nhello\\n' >\"$0\" && chmod 755 \"$0\"")
        .arg(&script)
        .status()
        .unwrap();
    assert!(made_script.success());
    let dir = scratch.0.join("root");
    made(&[script.to_str().unwrap()], &dir);
    assert!(dir.join("usr/bin/env").is_file());
    assert!(dir.join("bin/cat").exists() || dir.join("usr/bin/cat").exists());
    let Some(output) = run_inside(&dir, &[script.to_str().unwrap()]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("hello\n"));
}

#[test]
fn parent_that_does_not_exist_is_explained() {
    let scratch = Scratch::new("parent");
    let text = refused(&["sh"], &scratch.0.join("no/root"));
    assert!(text.contains("hint: DIR has to be in a directory that exists"), "{text}");
}

/// ldd(1) asks the loader itself, so it is the oracle of our own search.
#[test]
fn libraries_are_those_that_ldd_names() {
    let scratch = Scratch::new("ldd");
    let dir = scratch.0.join("root");
    let programs: Vec<&str> = ["mount", "ps", "ls", "curl", "git", "gcc", "python3", "perl"]
        .into_iter()
        .filter(|name| rootfs(&[name], &scratch.0.join("probe")).status.success())
        .inspect(|_| fs::remove_dir_all(scratch.0.join("probe")).unwrap())
        .collect();
    made(&programs, &dir);
    let mut compared = 0;
    for name in programs {
        let script = "ldd \"$(command -v \"$0\")\"";
        let output = Command::new("sh").args(["-c", script, name]).output().unwrap();
        for word in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            if let Some(path) = word.strip_prefix('/') {
                assert!(dir.join(path).exists(), "{name} needs {word}");
                compared += 1;
            }
        }
    }
    assert!(compared > 0, "ldd named no library at all");
}
