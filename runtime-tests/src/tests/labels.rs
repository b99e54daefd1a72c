//! `process.selinuxLabel`, `process.apparmorProfile`, and the session keyring of a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use runtime_tests::prelude::*;

tests![
    label_without_selinux_is_refused,
    profile_without_apparmor_is_refused,
    unconfined_without_apparmor_is_what_it_is,
    exec_checks_its_labels_too,
    hostile_proc_does_not_take_the_labels,
    hostile_proc_does_not_take_the_labels_of_exec,
    labels_are_written_through_procfs_itself,
    mount_label_without_selinux_has_no_effect,
    apparmor_profile_confines_the_payload,
    unknown_apparmor_profile_is_an_error,
    features_tell_the_modules,
    session_keyring_is_the_containers_own,
    keys_of_one_container_are_not_found_in_another,
    keys_are_shared_with_exec,
];

const LABEL: &str = "system_u:system_r:container_t:s0:c1,c2";

fn selinux() -> bool {
    Path::new("/sys/fs/selinux/status").exists()
}

fn apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with('Y'))
}

fn labelled(field: &str, value: &str) -> Bundle {
    Bundle::new().with(|c| c["process"][field] = json!(value))
}

fn label_without_selinux_is_refused() {
    differs!(Crun, "1.8 says only what the kernel said");
    if selinux() {
        skip!(Machine, "SELinux is active here");
    }
    let output = labelled("selinuxLabel", LABEL).assert_create_refused();
    output.assert_stderr_has("elinux");
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has("process.selinuxLabel: SELinux is not active on this host")
            .assert_stderr_has("hint: remove the label");
    }
}

fn profile_without_apparmor_is_refused() {
    if apparmor() {
        skip!(Machine, "AppArmor is active here");
    }
    let output = labelled("apparmorProfile", "web").assert_create_refused();
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has("process.apparmorProfile: AppArmor is not active on this host")
            .assert_stderr_has("hint: remove the profile");
    }
}

/// Some engines say so even where there is nothing to be unconfined by.
fn unconfined_without_apparmor_is_what_it_is() {
    differs!(Runc, "fails");
    differs!(Crun, "fails");
    if apparmor() {
        skip!(Machine, "AppArmor is active here");
    }
    labelled("apparmorProfile", "unconfined")
        .run(&["/probe", "echo", "here"])
        .assert_stdout("here");
}

fn exec_checks_its_labels_too() {
    differs!(Crun, "runs the process without");
    if selinux() || apparmor() {
        skip!(Machine, "a security module is active here");
    }
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for (flag, value) in [("--process-label", LABEL), ("--apparmor", "web")] {
        let output = c.exec_with(&[flag, value], &["/probe", "echo", "ran"]);
        output.assert_fails();
        assert_eq!(output.stdout(), "");
        if runtime() == Runtime::Rt {
            output.assert_stderr_has("is not active on this host");
        }
    }
    c.end();
}

/// This test's machine looks as if both modules were active, as long as the value lives. The kernel
/// still has neither, so that a write to its real files fails.
struct Pretended;

impl Pretended {
    fn new() -> Self {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        let bind = |from: &Path, to: &Path| {
            mount(Some(from), to, None::<&str>, flags, None::<&str>).unwrap();
        };
        let module = scratch().join("module");
        fs::create_dir_all(module.join("apparmor/parameters")).unwrap();
        fs::write(module.join("apparmor/parameters/enabled"), "Y\n").unwrap();
        bind(&module, Path::new("/sys/module"));
        let filesystems = scratch().join("fs");
        fs::create_dir_all(filesystems.join("selinux")).unwrap();
        fs::write(filesystems.join("selinux/status"), "").unwrap();
        let cgroup = filesystems.join("cgroup");
        fs::create_dir(&cgroup).unwrap();
        bind(Path::new("/sys/fs/cgroup"), &cgroup);
        bind(&filesystems, Path::new("/sys/fs"));
        umount2(&cgroup, MntFlags::MNT_DETACH).unwrap();
        Self
    }
}

impl Drop for Pretended {
    fn drop(&mut self) {
        for covered in ["/sys/fs", "/sys/module"] {
            // What stays mounted shows in the leak check.
            umount2(covered, MntFlags::MNT_DETACH).ok();
        }
    }
}

/// A directory which looks like procfs to whoever goes by names.
fn false_proc(at: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for own in ["self", "thread-self", "1"] {
        for file in ["attr/exec", "attr/apparmor/exec", "attr/keycreate", "attr/sockcreate"] {
            let path = at.join(own).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            files.push(path);
        }
    }
    files
}

fn assert_untouched(files: &[PathBuf]) {
    for file in files {
        assert_eq!(fs::read_to_string(file).unwrap(), "", "{}", file.display());
    }
}

/// The session keyring has the same label, which would be refused first.
fn run(b: Bundle) -> Output {
    let b = b.args(&["/probe", "echo", "ran"]);
    b.run_call().args(["--no-new-keyring", b.id()]).output()
}

/// CVE-2019-16884: the image or the config puts files of its own where labels are written.
fn hostile_proc_does_not_take_the_labels() {
    differs!(Crun, "runs the container without the label");
    requires!(root);
    let _modules = Pretended::new();
    for field in ["selinuxLabel", "apparmorProfile"] {
        let b = labelled(field, LABEL);
        // As a directory of the image, without any mount.
        let files = false_proc(&b.inside("/proc"));
        let b = b.with(|c| {
            c["mounts"].as_array_mut().unwrap().retain(|m| m["destination"] != "/proc");
        });
        assert_label_refused(&run(b), field);
        assert_untouched(&files);

        // As a bind mount over /proc, and over the place in it.
        for destination in ["/proc", "/proc/self/attr", "/proc/1/attr"] {
            let b = labelled(field, LABEL);
            let source = b.beside("false");
            let files = false_proc(&source);
            let from = if destination == "/proc" { source } else { source.join("self/attr") };
            let b = b.mount(destination, "bind", from.to_str().unwrap(), &["bind"]);
            let output = run(b);
            output.assert_fails();
            assert_eq!(output.stdout(), "", "{field} with a mount at {destination}");
            assert_untouched(&files);
        }
    }
}

#[track_caller]
fn assert_label_refused(output: &Output, field: &str) {
    output.assert_fails();
    assert_eq!(output.stdout(), "");
    // The kernel's own file has refused it: there is no module behind it.
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has(&format!("process.{field}: write(/proc/thread-self/attr/exec, "))
            .assert_stderr_has("invalid argument (EINVAL)");
    }
}

/// 4096 is `MS_BIND`.
const BIND_OVER_PROC: [&str; 12] =
    ["/probe", "mount", "/false", "/proc", "none", "4096", "--", "echo", "up", "--", "sleep", "60"];

fn hostile_proc_does_not_take_the_labels_of_exec() {
    requires!(root);
    let b = Bundle::new();
    let source = b.beside("false");
    let files = false_proc(&source);
    // The payload may do it as well as the config.
    let b = b.mount("/false", "bind", source.to_str().unwrap(), &["bind"]).with(|c| {
        let caps = ["CAP_SYS_ADMIN"];
        c["process"]["capabilities"] = runtime_tests::config::capabilities(&caps);
    });
    let b = b.args(&BIND_OVER_PROC);
    let c = b.create_with(&["--no-new-keyring"]);
    c.start();
    c.wait_for("up");
    let _modules = Pretended::new();
    for (flag, field) in [("--process-label", "selinuxLabel"), ("--apparmor", "apparmorProfile")] {
        assert_label_refused(&c.exec_with(&[flag, LABEL], &["/probe", "echo", "ran"]), field);
        assert_untouched(&files);
    }
    c.end();
}

/// What the kernel is asked: an openat2(2) that neither follows a link nor crosses a mount, and a
/// write(2) to the file of the calling thread.
fn labels_are_written_through_procfs_itself() {
    differs!(Runc, "looks at the file system of what it has opened instead");
    requires!(root, program("/usr/bin/strace"));
    let _modules = Pretended::new();
    let trace = scratch().join("trace");
    let b = labelled("selinuxLabel", LABEL).args(&["/probe", "true"]);
    let strace = ["/usr/bin/strace", "-f", "-s", "200", "-e", "trace=openat2,write", "-o"];
    let through = strace.into_iter().chain([trace.to_str().unwrap()]);
    b.run_call().arg(b.id()).through(through).output().assert_fails();
    let trace = fs::read_to_string(trace).unwrap();
    // The keyring's label comes first, and the kernel refuses that one.
    let lines: Vec<&str> = trace.lines().filter(|l| l.contains("/attr/")).collect();
    assert!(!lines.is_empty(), "{trace}");
    for line in lines.iter().filter(|l| l.contains("openat2(")) {
        for flag in ["RESOLVE_NO_XDEV", "RESOLVE_NO_MAGICLINKS", "RESOLVE_BENEATH"] {
            assert!(line.contains(flag), "{flag}: {line}");
        }
    }
    assert!(trace.contains(&format!("\"{LABEL}\"")), "{trace}");
}

fn mount_label_without_selinux_has_no_effect() {
    differs!(Runc, "passes context= to a kernel which does not know it");
    if selinux() {
        skip!(Machine, "SELinux is active here");
    }
    let b = Bundle::new().with(|c| c["linux"]["mountLabel"] = json!(LABEL));
    b.run(&["/probe", "echo", "here"]).assert_stdout("here");
}

const PROFILE: &str = "rt-test-profile";

fn load_profile(name: &str) {
    use std::io::Write as _;
    let text = format!(
        "profile {name} flags=(attach_disconnected) {{ file, capability, signal, ptrace, network, \
         mount, unix, deny /denied rw, }}"
    );
    let mut parser = Command::new("/sbin/apparmor_parser")
        .args(["-r", "-K"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("apparmor_parser");
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(parser.wait().unwrap().success(), "apparmor_parser");
}

fn apparmor_profile_confines_the_payload() {
    requires!(root, apparmor, program("/sbin/apparmor_parser"));
    let other = format!("{PROFILE}-other");
    load_profile(PROFILE);
    load_profile(&other);
    let look = ["/probe", "cat", "/proc/self/attr/current", "--", "cat", "/denied"];
    let wanted = |name: &str| format!("{name} (enforce)\nEACCES");
    let b = labelled("apparmorProfile", PROFILE).file("/denied", "secret");
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&look).assert_says(&wanted(PROFILE));
    c.exec_with(&["--apparmor", &other], &look).assert_says(&wanted(&other));
    c.end();
    let b = labelled("apparmorProfile", PROFILE).file("/denied", "secret");
    b.run(&look).assert_says(&wanted(PROFILE));
    for name in [PROFILE, &other] {
        fs::write("/sys/kernel/security/apparmor/.remove", name).ok();
    }
}

fn unknown_apparmor_profile_is_an_error() {
    requires!(root, apparmor);
    let output = labelled("apparmorProfile", "no-such-profile").assert_create_refused();
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has("process.apparmorProfile: write(/proc/thread-self/attr/")
            .assert_stderr_has("hint: load the profile with apparmor_parser(8)");
    }
}

fn features_tell_the_modules() {
    requires!(command("features"));
    let linux = &rt(["features"]).output().json()["linux"];
    if runtime() == Runtime::Rt {
        assert_eq!(linux["selinux"]["enabled"], selinux());
        assert_eq!(linux["apparmor"]["enabled"], apparmor());
    }
}

/// keyrings(7): all for the possessor; view, read, link and search for the owner.
fn session_keyring_is_the_containers_own() {
    differs!(Crun, "the keyring has the name of the container, and its owner may not search it");
    requires!(root);
    let b = Bundle::new();
    let name = format!("_ses.{}", b.id());
    let output = b.run(&["/probe", "keyring"]);
    let text = output.stdout();
    let line = text.lines().find(|l| l.contains(&name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert!(line.contains(" 3f1b0000 ") && line.contains(" keyring "), "{line}");
}

fn keys_of_one_container_are_not_found_in_another() {
    requires!(root);
    let one =
        Bundle::new().start(&["/probe", "attack", "add-key", "rt-test-key", "--", "sleep", "60"]);
    let two = Bundle::new().start(&["/probe", "sleep", "60"]);
    one.wait_for("added");
    two.exec(&["/probe", "attack", "keys", "rt-test-key"]).assert_says("ENOKEY");
    // And not by its number, either: a key knows its possessors.
    let id: String = one.stdout().trim().trim_start_matches("added ").to_owned();
    let read = two.exec(&["/probe", "syscall", "250", "11", &id, "0", "0"]);
    assert_ne!(read.code, 0, "{}", read.stdout());
    one.end();
    two.end();
}

fn keys_are_shared_with_exec() {
    requires!(root);
    differs!(Crun, "1.8.1 leaves exec the keyring of the caller");
    let c =
        Bundle::new().start(&["/probe", "attack", "add-key", "rt-test-key", "--", "sleep", "60"]);
    c.wait_for("added");
    c.exec(&["/probe", "attack", "keys", "rt-test-key"]).assert_says("FOUND");
    c.end();
}
