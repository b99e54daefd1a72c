//! What else of the host a payload, or another user of the host, could get at: keys, sockets, state,
//! the files that the caller passes.

use std::fs;

use runtime_tests::prelude::*;

tests![
    keys_of_the_host_are_not_found,
    state_is_for_its_owner_only,
    no_abstract_socket_leads_to_the_runtime,
    no_new_privileges_stops_setuid_programs,
    file_on_stdin_is_not_given_away,
    pid_file_is_not_written_through_a_link,
];

/// keyrings(7): the session keyring is inherited over everything but an explicit change, so keys of
/// the host's session would be found by a search in the container.
///
/// Seen to fail on rt whose exec joined no keyring, and on crun 1.8.1.
fn keys_of_the_host_are_not_found() {
    requires!(root);
    differs!(Crun, "1.8.1 leaves exec the keyring of the caller");
    let with_key = |call: Call| {
        let probe = runtime_tests::probe::find().unwrap().into_os_string();
        call.through([probe, "attack".into(), "with-key".into(), "of-the-host".into()])
    };
    let search = ["/probe", "attack", "keys", "of-the-host"];
    let b = Bundle::new().args(&search);
    with_key(b.run_call()).arg(b.id()).output().assert_says("ENOKEY");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    with_key(c.exec_call(&[], &search)).output().assert_says("ENOKEY");
    c.end();
}

/// Whoever may write to the start socket may start the container. Engines run with any umask.
///
/// Seen to fail on rt whose socket had the mode of the umask.
fn state_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    differs!(Runc, "exec.fifo is open to all");
    let b = Bundle::new();
    b.write();
    let create = rt(["create", "--bundle"]).arg(b.dir()).arg(b.id());
    create.through(["/bin/sh", "-c", "umask 0; exec \"$@\"", "sh"]).output().assert_exit(0);
    let open: Vec<String> = fs::read_dir(scratch().join("root").join(b.id()))
        .unwrap()
        .flatten()
        .filter(|e| e.metadata().unwrap().permissions().mode() & 0o022 != 0)
        .map(|e| e.file_name().display().to_string())
        .collect();
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
    assert!(open.is_empty(), "writable for others: {open:?}");
}

/// unix(7): abstract names belong to the network namespace, which a container may share.
fn no_abstract_socket_leads_to_the_runtime() {
    requires!(root);
    let parked = Bundle::new().create();
    let b = Bundle::new().without_namespace("network");
    b.run(&["/probe", "attack", "abstract"]).assert_stdout("");
    parked.delete_force();
}

/// A setuid program of the image stays harmless under `noNewPrivileges`.
fn no_new_privileges_stops_setuid_programs() {
    requires!(root);
    for (no_new_privileges, id) in [(true, "uid=1000,1000,1000"), (false, "uid=1000,0,0")] {
        let b = Bundle::new().with(|c| {
            c["process"]["noNewPrivileges"] = json!(no_new_privileges);
            c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        });
        fs::copy(b.inside("/probe"), b.inside("/setuid")).unwrap();
        let output = b.mode("/setuid", 0o4755).run(&["/setuid", "id"]);
        output.assert_exit(0);
        assert!(output.stdout().starts_with(id), "{}", output.stdout());
    }
}

/// chown(2) of the standard streams is for pipes and terminals: a file of the host that the payload
/// was given for reading would become its own, and /proc/self/fd/0 opens it for writing.
///
/// Seen to fail on rt, runc 1.1.5 and crun 1.8.1.
fn file_on_stdin_is_not_given_away() {
    requires!(root);
    differs!(Runc, "gives away whatever is there");
    differs!(Crun, "gives away whatever is there");
    let file = scratch().join("of-the-host");
    fs::write(&file, "text").unwrap();
    let b = Bundle::new().args(&["/probe", "open", "/proc/self/fd/0", "rw"]);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }));
    b.write();
    let shell =
        ["/bin/sh", "-c", "file=$1; shift; exec \"$@\" < $file", "sh", file.to_str().unwrap()];
    let output = b.run_call().arg(b.id()).through(shell).output();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(&file).unwrap()), 0);
    output.assert_says("EACCES");
}

/// The pid file is written under a name of its own first. In a directory for all, such as /tmp, that
/// name may be there already and lead elsewhere.
///
/// Seen to fail on rt that opened it without `O_EXCL`, and on crun 1.8.1.
fn pid_file_is_not_written_through_a_link() {
    differs!(Crun, "1.8.1 writes through the link");
    let dir = scratch().join("for-all");
    fs::create_dir(&dir).unwrap();
    let victim = scratch().join("victim");
    fs::write(&victim, "text").unwrap();
    for name in [".pid", ".pid.tmp", "pid"] {
        std::os::unix::fs::symlink(&victim, dir.join(name)).unwrap();
    }
    let b = Bundle::new();
    b.write();
    let path = dir.join("pid");
    let output =
        rt(["create", "--bundle"]).arg(b.dir()).arg("--pid-file").arg(&path).arg(b.id()).output();
    if output.code == 0 {
        rt(["delete", "--force", b.id()]).output().assert_exit(0);
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "text");
}
