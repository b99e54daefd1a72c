//! config-linux.md, "Masked Paths" and "Readonly Paths".

use std::os::unix::fs::symlink;

use runtime_tests::prelude::*;

tests![
    masked_file_reads_as_empty,
    masked_directory_is_empty,
    masked_paths_cannot_be_written,
    masked_path_that_is_absent_is_ignored,
    readonly_path_is_read_only,
    readonly_path_keeps_submounts_and_flags,
    readonly_path_that_is_absent_is_ignored,
    masks_in_proc_and_sys,
    mask_does_not_follow_symlinks_out,
    masks_in_a_user_namespace,
    relative_paths_are_refused,
];

fn masked(b: Bundle, paths: &[&str]) -> Bundle {
    b.with(|c| c["linux"]["maskedPaths"] = json!(paths))
}

fn readonly(b: Bundle, paths: &[&str]) -> Bundle {
    b.with(|c| c["linux"]["readonlyPaths"] = json!(paths))
}

fn masked_file_reads_as_empty() {
    let b = masked(Bundle::new().file("/secret", "do not show"), &["/secret"]);
    b.run(&["/probe", "cat", "/secret"]).assert_stdout("");
}

fn masked_directory_is_empty() {
    let b = masked(
        Bundle::new().file("/secrets/one", "x").file("/more/two", "x"),
        &["/secrets", "/more"],
    );
    b.run(&["/probe", "ls", "/secrets", "--", "ls", "/more"]).assert_stdout("");
}

fn masked_paths_cannot_be_written() {
    let b = masked(
        Bundle::new().file("/secrets/one", "x").file("/secret", "x"),
        &["/secrets", "/secret"],
    );
    let rootfs = b.rootfs();
    b.run(&["/probe", "write", "/secrets/new", "x", "--", "write", "/secret", "lost"])
        .assert_says("EROFS");
    assert_eq!(std::fs::read_to_string(rootfs.join("secret")).unwrap(), "x");
}

fn masked_path_that_is_absent_is_ignored() {
    masked(Bundle::new(), &["/nosuch", "/nosuch/dir"])
        .run(&["/probe", "echo", "ran"])
        .assert_stdout("ran");
}

fn readonly_path_is_read_only() {
    let b = readonly(Bundle::new().file("/data/x", "x").file("/file", "y"), &["/data", "/file"]);
    let output = b.run(&[
        "/probe",
        "write",
        "/data/new",
        "x",
        "--",
        "append",
        "/file",
        "z",
        "--",
        "cat",
        "/file",
        "--",
        "write",
        "/tmp/ok",
        "x",
    ]);
    output.assert_says("EROFS\nEROFS\ny");
}

fn readonly_path_keeps_submounts_and_flags() {
    differs!(Crun, "drops nosuid and noexec");
    let b = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["noexec", "nosuid"]).mount(
        "/data/sub",
        "tmpfs",
        "tmpfs",
        &[],
    );
    let output = readonly(b, &["/data"]).run(&["/probe", "mounts", "/data", "--", "ls", "/data"]);
    output.assert_exit(0);
    let last = output.lines().into_iter().rfind(|l| l.contains(" /data ")).unwrap();
    let flags = last.split(' ').nth(5).unwrap();
    for flag in ["ro", "noexec", "nosuid"] {
        assert!(flags.split(',').any(|f| f == flag), "{flag}: {last}");
    }
    assert!(output.stdout().ends_with("\nsub\n"));
}

fn readonly_path_that_is_absent_is_ignored() {
    readonly(Bundle::new(), &["/nosuch"]).run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

fn masks_in_proc_and_sys() {
    requires!(root);
    let b = Bundle::new().mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]);
    let b = masked(b, &["/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]);
    let b = readonly(b, &["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"]);
    let verbs = [
        "/probe",
        "cat",
        "/proc/keys",
        "--",
        "ls",
        "/sys/firmware",
        "--",
        "append",
        "/proc/sys/net/ipv4/ip_forward",
        "1",
    ];
    b.run(&verbs).assert_says("EROFS");
}

fn mask_does_not_follow_symlinks_out() {
    let outside = scratch().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("text"), "of the host").unwrap();
    let b = Bundle::new();
    symlink(&outside, b.inside("/link")).unwrap();
    let output = masked(b, &["/link"]).run(&["/probe", "true"]);
    // Whether the dangling link is an error or ignored: nothing may change on the host.
    assert!(output.code == 0 || output.code < 128);
    assert_eq!(std::fs::read_to_string(outside.join("text")).unwrap(), "of the host");
}

fn masks_in_a_user_namespace() {
    requires!(userns);
    let b = Bundle::new().user_namespace(100_000).file("/secret", "x").file("/dir/x", "x");
    let b = readonly(masked(b, &["/secret", "/dir", "/proc/keys"]), &["/tmp"]);
    let b = b.with(|c| c["mounts"][2]["options"] = json!(["nosuid", "noexec", "newinstance"]));
    b.run(&["/probe", "cat", "/secret", "--", "ls", "/dir", "--", "write", "/tmp/x", "x"])
        .assert_says("EROFS");
}

fn relative_paths_are_refused() {
    differs!(Runc, "1.1 takes them from the root");
    differs!(Crun, "takes them from the root");
    masked(Bundle::new(), &["secret"]).run(&["/probe", "true"]).assert_fails();
    readonly(Bundle::new(), &["secret"]).run(&["/probe", "true"]).assert_fails();
}
