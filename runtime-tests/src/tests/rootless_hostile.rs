//! What a hostile or clueless user may do: directories of others, missing or wrong environment.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use runtime_tests::prelude::*;
use runtime_tests::second_user::{SecondUser, UID};

tests![
    runtime_directory_that_is_unset,
    runtime_directory_of_somebody_else,
    runtime_directory_that_others_may_write_to,
    runtime_directory_with_a_long_path,
    state_of_root_is_out_of_reach,
    state_of_another_user_is_not_used,
    state_that_is_exchanged_is_not_used,
    pid_file_and_console_socket_of_root_are_out_of_reach,
    payload_cannot_signal_or_trace_the_users_processes,
    limits_without_a_delegated_cgroup_are_refused,
    explicit_cgroup_without_delegation_is_refused,
    no_cgroup_is_told_at_warning_only,
    process_of_a_dead_user_namespace_is_gone,
];

#[track_caller]
fn only_rt() {
    if runtime() != Runtime::Rt {
        skip!("the words of the error are rt's");
    }
}

fn runtime_directory_that_is_unset() {
    only_rt();
    let user = SecondUser::new().without_env("XDG_RUNTIME_DIR");
    let output = user.call(["list"]).output();
    output.assert_fails();
    output.assert_stderr_has("no directory for the state of containers: /run/user/4242: ");
    output.assert_stderr_has(
        "hint: set XDG_RUNTIME_DIR to a directory of your own, or choose one with --root",
    );
    // Where a login has it.
    let usual = std::path::Path::new("/run/user/4242");
    fs::create_dir_all(usual).unwrap();
    chown(usual, Some(UID), Some(UID)).unwrap();
    fs::set_permissions(usual, fs::Permissions::from_mode(0o700)).unwrap();
    user.bundle().run(&["/probe", "true"]).assert_exit(0);
    assert!(usual.join("rt").is_dir());
}

fn runtime_directory_of_somebody_else() {
    only_rt();
    let user = SecondUser::new();
    let other = scratch().join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let user = user.env("XDG_RUNTIME_DIR", other.to_str().unwrap());
    let output = user.call(["list"]).output();
    output.assert_fails().assert_stderr_has("XDG_RUNTIME_DIR: /run/t/other belongs to uid 0");
}

fn runtime_directory_that_others_may_write_to() {
    only_rt();
    let user = SecondUser::new();
    fs::set_permissions(user.dir(), fs::Permissions::from_mode(0o1777)).unwrap();
    let output = user.call(["list"]).output();
    output.assert_fails().assert_stderr_has("XDG_RUNTIME_DIR: others may write to /run/t/user");
    output.assert_stderr_has("hint: chmod 700 /run/t/user");
}

/// The start socket's path would be longer than `sun_path`.
fn runtime_directory_with_a_long_path() {
    let user = SecondUser::new();
    let deep = user.directory(&["x".repeat(60), "y".repeat(60)].join("/"));
    chown(deep.parent().unwrap(), Some(UID), Some(UID)).unwrap();
    let user = user.env("XDG_RUNTIME_DIR", deep.to_str().unwrap());
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "exit", "9"]).assert_exit(9);
}

fn state_of_root_is_out_of_reach() {
    let user = SecondUser::new();
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let root = runtime_tests::isolate::state_root();
    let root = root.to_str().unwrap();
    for verb in
        [&["state"][..], &["kill"], &["delete", "--force"], &["exec"], &["pause"], &["start"]]
    {
        let mut call = user.call(verb).global(["--root", root]).arg(c.id());
        if verb == ["exec"] {
            call = call.arg("/probe").arg("true");
        }
        let output = call.output();
        assert!(output.code != 0, "{verb:?}");
    }
    let listed = user.call(["list", "--quiet"]).global(["--root", root]).output();
    assert!(!listed.stdout().contains(c.id()), "{}", listed.stdout());
    assert_eq!(c.status(), "running");
    c.end();
}

/// Root, or anybody, pointed at a directory of another user's: the hooks in there are not run.
fn state_of_another_user_is_not_used() {
    only_rt();
    let user = SecondUser::new();
    let trap = user.directory("trap").join("sprung");
    let hook = json!([{ "path": "/bin/sh", "args": ["sh", "-c", format!("id -u >> {}", trap.display())] }]);
    let c = user.bundle().with(|c| c["hooks"]["poststop"] = hook).start(&["/probe", "sleep", "60"]);
    let root = user.dir().join("rt");
    for verb in [&["delete", "--force"][..], &["state"], &["exec"]] {
        let mut call = Call::plain(verb).global(["--root", root.to_str().unwrap()]).arg(c.id());
        if verb == ["exec"] {
            call = call.arg("/probe").arg("true");
        }
        let output = call.output();
        output.assert_fails();
        output.assert_stderr_has("belongs to uid 4242, who could make rt do anything as uid 0");
        output.assert_stderr_has("hint: become that user, for example by: setpriv --reuid 4242");
    }
    assert!(!trap.exists());
    c.delete();
    assert_eq!(fs::read_to_string(trap).unwrap(), "4242\n");
}

/// A directory of root's in the user's place, or a link to one, is no container of his.
fn state_that_is_exchanged_is_not_used() {
    only_rt();
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    let root = user.dir().join("rt");
    let (own, away) = (root.join(c.id()), root.join("away"));
    fs::rename(&own, &away).unwrap();
    symlink(&away, &own).unwrap();
    let output = c.call(&["state"]).output();
    output.assert_fails().assert_stderr_has("does not exist");
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    let output = c.call(&["delete", "--force"]).output();
    output.assert_fails().assert_stderr_has("belongs to uid 0");
    fs::remove_dir(&own).unwrap();
    fs::rename(&away, &own).unwrap();
}

fn pid_file_and_console_socket_of_root_are_out_of_reach() {
    let user = SecondUser::new();
    let b = user.bundle().change(|b| b.args(&["/probe", "true"]));
    b.bundle().write();
    let output =
        user.call(["run", "--pid-file", "/run/t/pid", "--bundle", b.path(), b.id()]).output();
    output.assert_fails_somewhere();
    assert!(!std::path::Path::new("/run/t/pid").exists());
    // Nothing of it is left.
    assert_eq!(user.call(["list", "--quiet"]).ok(), "");
}

/// Its root is the user: his other processes are out of reach by the pid namespace, and where that
/// is shared by the user namespace.
fn payload_cannot_signal_or_trace_the_users_processes() {
    let user = SecondUser::new();
    let b = user.bundle().change(|b| b.without_namespace("pid"));
    let b = b.with(|c| {
        c["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
        c["mounts"].as_array_mut().unwrap().insert(
            0,
            json!({ "destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind", "ro"] }),
        );
        c["linux"]["maskedPaths"] = json!([]);
        c["linux"]["readonlyPaths"] = json!([]);
    });
    let output =
        b.run(&["/probe", "readlink", "/proc/1/root", "--", "readlink", "/proc/1/ns/user"]);
    assert_eq!(output.lines(), ["EACCES", "EACCES"]);
}

fn limits_without_a_delegated_cgroup_are_refused() {
    let user = SecondUser::new();
    differs!(Crun, "1.8 runs without the limits");
    let b = user.bundle().with(|c| c["linux"]["resources"] = json!({ "pids": { "limit": 7 } }));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
}

fn explicit_cgroup_without_delegation_is_refused() {
    let user = SecondUser::new();
    let b = user.bundle().with(|c| c["linux"]["cgroupsPath"] = json!("/somewhere/else"));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("permission denied (EACCES)");
        output.assert_stderr_has(
            "hint: remove linux.cgroupsPath and the limits, or have a cgroup delegated",
        );
    }
}

fn no_cgroup_is_told_at_warning_only() {
    only_rt();
    let user = SecondUser::new();
    let b = user.bundle().change(|b| b.args(&["/probe", "true"]));
    assert_eq!(b.run_call(&[]).output().assert_exit(0).stderr(), "");
    let told = b.run_call(&["--log-level", "warning"]).output();
    told.assert_exit(0).assert_stderr_has("rt: warning: no cgroup for the container: ");
    assert_eq!(told.stderr().lines().count(), 1, "{}", told.stderr());
}

fn process_of_a_dead_user_namespace_is_gone() {
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    // Root ends it behind the runtime's back.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(c.pid()).unwrap()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    until("stopped", || (c.state()["status"] == "stopped").then_some(()));
    c.exec(&["/probe", "true"]).assert_fails();
    c.call(&["delete"]).ok();
}
