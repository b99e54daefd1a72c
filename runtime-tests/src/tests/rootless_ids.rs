//! Id mappings of an ordinary user: one id, ranges by newuidmap and newgidmap, and what goes wrong.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use runtime_tests::prelude::*;
use runtime_tests::second_user::{NAME, RANGE, SecondUser, UID};

tests![
    identity_mapping_of_one_id,
    single_mapping_without_root,
    ranges_without_root,
    several_ranges,
    ranges_by_number_instead_of_name,
    additional_groups_need_a_range,
    groups_of_the_user_are_not_kept,
    range_of_somebody_else_is_refused,
    mapping_without_a_range_is_refused,
    only_one_of_two_ranges_is_told,
    helpers_that_are_missing,
    helper_without_its_setuid_bit,
    helper_under_no_new_privs,
    helper_that_hangs_is_ended,
    helper_gets_no_descriptor_and_no_environment,
    helper_is_not_taken_from_the_working_directory,
    empty_path_means_the_usual_one,
    root_calls_no_helper,
    init_killed_while_the_helper_runs,
    ignored_sigchld_changes_nothing,
    user_of_the_config_must_be_mapped,
];

fn identity_mapping_of_one_id() {
    let user = SecondUser::new();
    differs!(Runc, "needs a mapping for root");
    let b = user.bundle().maps(&[(UID, UID, 1)], &[(UID, UID, 1)]);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": UID, "gid": UID }));
    let c = b.start(&["/probe", "id", "--", "write", "/tmp/made", "x", "--", "sleep", "60"]);
    let ids = "uid=4242,4242,4242 gid=4242,4242,4242";
    until("its ids", || c.stdout().starts_with(ids).then_some(()));
    differs!(Crun, "1.8 wants to become root for exec");
    let output = c.exec(&["/probe", "id", "--", "stat", "/tmp/made"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with(ids), "{}", output.stdout());
}

fn single_mapping_without_root() {
    let user = SecondUser::new();
    differs!(Runc, "needs a mapping for root");
    let b = user.bundle().maps(&[(1000, UID, 1)], &[(1000, UID, 1)]);
    let b = b.with(|c| {
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        // Root is nobody there, so nothing may be root's.
        c["process"]["capabilities"] = json!({});
    });
    let made = b.bundle().inside("/tmp/made");
    let output = b.run(&["/probe", "id", "--", "write", "/tmp/made", "x", "--", "caps"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=1000,1000,1000"), "{}", output.stdout());
    assert_eq!(fs::metadata(made).unwrap().uid(), UID);
}

fn ranges_without_root() {
    let user = SecondUser::with_ranges();
    differs!(Runc, "needs a mapping for root");
    let maps = [(1000, UID, 1), (2000, RANGE.0, 100)];
    let b = user.bundle().maps(&maps, &maps);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }));
    let c = b.start(&["/probe", "id", "--", "sleep", "60"]);
    until("its ids", || c.stdout().starts_with("uid=1000,1000,1000").then_some(()));
    let output = c.call(&["exec", "--user", "2005:2006"]).args(["/probe", "id"]).output();
    assert!(output.stdout().starts_with("uid=2005,2005,2005 gid=2006"), "{}", output.stdout());
}

fn several_ranges() {
    let lines = format!("{NAME}:300000:1000\nsomebody:1:9\n{NAME}:500000:1000\n");
    let user = SecondUser::with(&lines, &lines);
    requires!(program("/usr/bin/newuidmap"));
    let maps = [(0, UID, 1), (1, 300_000, 1000), (1001, 500_000, 500), (2001, 500_500, 500)];
    let b = user.bundle().maps(&maps, &maps);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 2500, "gid": 1500 }));
    let output = b.run(&["/probe", "id", "--", "cat", "/proc/self/uid_map"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=2500,2500,2500 gid=1500,1500"), "{}", output.stdout());
    let words = output.stdout().lines().skip(1).flat_map(str::split_whitespace).count();
    assert_eq!(words, 12);
}

fn ranges_by_number_instead_of_name() {
    let line = format!("{UID}:300000:65536\n");
    let user = SecondUser::with(&line, &line);
    requires!(program("/usr/bin/newuidmap"));
    differs!(Runc, "refuses a rootless config without user namespace");
    differs!(Crun, "1.8 finds ranges by name only");
    let b = user.plain_bundle();
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 7, "gid": 7 }));
    let output = b.run(&["/probe", "id"]);
    assert!(output.stdout().starts_with("uid=7,7,7 gid=7,7,7"), "{}", output.stdout());
}

fn additional_groups_need_a_range() {
    let groups = json!({ "uid": 0, "gid": 0, "additionalGids": [0] });
    let user = SecondUser::new();
    let b = user.bundle().with(|c| c["process"]["user"] = groups);
    let output = b.run(&["/probe", "id"]);
    if runtime() == Runtime::Crun {
        return; // drops them without a word
    }
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("process.user.additionalGids: setgroups(");
        output.assert_stderr_has(
            "hint: a rootless container without a range in /etc/subgid cannot set groups",
        );
    }
}

/// setgroups(2) is denied where only the user's own group is mapped, so they cannot be dropped; what
/// matters is that none is added. With a range they are.
fn groups_of_the_user_are_not_kept() {
    let user = SecondUser::with_ranges().groups(&[5, 6]);
    differs!(Runc, "keeps them when it is rootless");
    let range = [(0, UID, 1), (1, RANGE.0, RANGE.1)];
    user.bundle()
        .maps(&range, &range)
        .run(&["/probe", "id"])
        .assert_says("uid=0,0,0 gid=0,0,0 groups=");
}

/// The error of a run with these mappings.
#[track_caller]
fn refused(user: &SecondUser, maps: &[(u32, u32, u32)], words: &[&str]) {
    let output = user.bundle().maps(maps, maps).run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        assert_eq!(output.stderr().lines().count(), 2, "{}", output.stderr());
        for word in words {
            output.assert_stderr_has(word);
        }
    }
}

fn range_of_somebody_else_is_refused() {
    let user = SecondUser::with_ranges();
    let others = [(0, UID, 1), (1, RANGE.0 + 65_530, 7)];
    refused(
        &user,
        &others,
        &[
            "linux.uidMappings: newuidmap (/usr/bin/newuidmap): exit status 1: newuidmap: uid range",
            "not allowed",
            "hint: /etc/subuid gives tester 300000-365535; map only those and your own id",
        ],
    );
    refused(&user, &[(0, 0, 1)], &["linux.uidMappings", "not allowed"]);
}

fn mapping_without_a_range_is_refused() {
    let user = SecondUser::new();
    requires!(program("/usr/bin/newuidmap"));
    refused(
        &user,
        &[(0, UID, 1), (1, 300_000, 10)],
        &[
            "not allowed",
            "hint: /etc/subuid has no range for tester; as root: usermod --add-subuids 100000-165535 tester",
        ],
    );
}

fn only_one_of_two_ranges_is_told() {
    let line = format!("{NAME}:300000:65536\n");
    let user = SecondUser::with(&line, "");
    requires!(program("/usr/bin/newuidmap"));
    refused(
        &user,
        &[(0, UID, 1), (1, 300_000, 10)],
        &[
            "linux.gidMappings: newgidmap",
            "hint: /etc/subgid has no range for tester; as root: usermod --add-subgids",
        ],
    );
    // The default is one id then, and works.
    differs!(Runc, "refuses a rootless config without user namespace");
    user.plain_bundle().run(&["/probe", "true"]).assert_exit(0);
}

fn helpers_that_are_missing() {
    let user = SecondUser::with_ranges();
    let empty = user.directory("bin");
    let user = user.env("PATH", empty.to_str().unwrap());
    refused(
        &user,
        &[(0, UID, 1), (1, RANGE.0, 10)],
        &[
            "linux.uidMappings: newuidmap: not found in PATH",
            "hint: install newuidmap and newgidmap (package uidmap), or map one id",
        ],
    );
    differs!(Runc, "refuses a rootless config without user namespace");
    user.plain_bundle().run(&["/probe", "true"]).assert_exit(0);
}

fn helper_without_its_setuid_bit() {
    let user = SecondUser::with_ranges();
    let bin = user.directory("bin");
    for name in ["newuidmap", "newgidmap"] {
        fs::copy(format!("/usr/bin/{name}"), bin.join(name)).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let user = user.env("PATH", bin.to_str().unwrap());
    refused(
        &user,
        &[(0, UID, 1), (1, RANGE.0, 10)],
        &[
            "linux.uidMappings: newuidmap (/run/t/user/bin/newuidmap): exit status 1: newuidmap: ",
            "hint: /run/t/user/bin/newuidmap has no privilege: make it setuid root",
        ],
    );
}

fn helper_under_no_new_privs() {
    let user = SecondUser::with_ranges();
    let range = [(0, UID, 1), (1, RANGE.0, 10)];
    let b = user.bundle().maps(&range, &range).change(|b| b.args(&["/probe", "true"]));
    b.bundle().write();
    let under = ["/usr/bin/setpriv", "--no-new-privs"];
    let output = user.call_under(&under, ["run", "--bundle", b.path(), b.id()]).output();
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("newuidmap has no privilege");
    }
}

/// A program of the user's own in the place of both helpers.
fn with_helper(user: SecondUser, script: &str) -> SecondUser {
    let bin = user.directory("bin");
    for name in ["newuidmap", "newgidmap"] {
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        chown(bin.join(name), Some(UID), Some(UID)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    user.env("PATH", &path)
}

const ALL: [(u32, u32, u32); 2] = [(0, UID, 1), (1, RANGE.0, 10)];

fn helper_that_hangs_is_ended() {
    if runtime() != Runtime::Rt {
        skip!("another runtime waits for ever");
    }
    let user = with_helper(SecondUser::with_ranges(), "exec /bin/sleep 1000");
    let since = std::time::Instant::now();
    let output = user.bundle().maps(&ALL, &ALL).run(&["/probe", "true"]);
    output.assert_fails().assert_stderr_has("killed after its timeout of 10 s");
    assert!(since.elapsed().as_secs() < 13, "{:?}", since.elapsed());
}

fn helper_gets_no_descriptor_and_no_environment() {
    if runtime() != Runtime::Rt {
        skip!("what another runtime leaves open");
    }
    let user = SecondUser::with_ranges();
    let seen = user.directory("seen").join("fds");
    let script = format!(
        "for fd in /proc/$$/fd/*; do echo fd $(readlink $fd); done > {0}; env >> {0}; \
         echo \"$0\" \"$@\" >> {0}; exec /usr/bin/${{0##*/}} \"$@\"",
        seen.display()
    );
    let user = with_helper(user, &script).env("SECRET", "one");
    user.bundle().maps(&ALL, &ALL).run(&["/probe", "true"]).assert_exit(0);
    let text = fs::read_to_string(&seen).unwrap();
    assert!(!text.contains("SECRET"), "{text}");
    // Beside the pipes the shell has its script and what it saves while it redirects.
    let fds = text.lines().filter_map(|line| line.strip_prefix("fd "));
    let strange =
        |fd: &&str| !fd.starts_with("pipe:") && !fd.starts_with("/run/t/user/") && !fd.is_empty();
    assert_eq!(fds.filter(strange).collect::<Vec<_>>(), Vec::<&str>::new(), "{text}");
    assert!(text.contains(" 0 4242 1 1 300000 10"), "{text}");
}

fn helper_is_not_taken_from_the_working_directory() {
    let user = with_helper(SecondUser::with_ranges(), "echo evil >&2; exit 1");
    let path = user.dir().join("bin");
    for path_variable in [":/usr/bin:/bin", ".:/usr/bin:/bin"] {
        let b = user.bundle().maps(&ALL, &ALL).change(|b| b.args(&["/probe", "true"]));
        b.bundle().write();
        let call = user.call(["run", "--bundle", b.path(), b.id()]);
        if runtime() == Runtime::Rt {
            call.env("PATH", path_variable).cwd(&path).output().assert_exit(0);
        }
    }
}

fn empty_path_means_the_usual_one() {
    let user = SecondUser::with_ranges().env("PATH", "");
    differs!(Runc, "takes PATH literally");
    differs!(Crun, "takes PATH literally");
    user.bundle().maps(&ALL, &ALL).run(&["/probe", "true"]).assert_exit(0);
}

fn root_calls_no_helper() {
    requires!(userns);
    let bin = scratch().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["newuidmap", "newgidmap"] {
        fs::write(bin.join(name), format!("#!/bin/sh\necho x > {}/called\n", bin.display()))
            .unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let b = Bundle::new().user_namespace(100_000).args(&["/probe", "true"]);
    b.run_call().arg(b.id()).env("PATH", bin.to_str().unwrap()).output().assert_exit(0);
    assert!(!bin.join("called").exists());
}

/// The helper is told a pid. When init is killed before it looks, the pid is still init's: nobody
/// but the runtime can reap it.
fn init_killed_while_the_helper_runs() {
    if runtime() != Runtime::Rt {
        skip!("the words of the error are rt's");
    }
    let user = SecondUser::with_ranges();
    // The pid must stay that of the dead child while other processes come and go.
    let script = "kill -KILL \"$1\"; i=0; while [ $i -lt 40 ]; do /bin/true; i=$((i+1)); done; \
                  read -r line < /proc/$1/stat; echo \"$line\" >> /run/t/user/seen; \
                  exec /usr/bin/${0##*/} \"$@\"";
    let user = with_helper(user, script);
    let output = user.bundle().maps(&ALL, &ALL).run(&["/probe", "true"]);
    output.assert_fails().assert_stderr_has("container init was killed by SIGKILL");
    let seen = fs::read_to_string(user.dir().join("seen")).unwrap();
    assert_eq!(seen.lines().count(), 2, "both helpers: {seen}");
    assert!(seen.lines().all(|line| line.contains(") Z ")), "{seen}");
}

/// A caller that ignores SIGCHLD would have the kernel reap init, and its pid be free.
fn ignored_sigchld_changes_nothing() {
    let user = SecondUser::with_ranges();
    let b = user
        .bundle()
        .maps(&ALL, &ALL)
        .change(|b| b.args(&["/probe", "signals", "--", "exit", "7"]));
    let b = b.change(|b| b.args(&["/probe", "exit", "7"]));
    b.bundle().write();
    let under = ["/bin/sh", "-c", "trap '' CHLD; exec \"$0\" \"$@\""];
    let output = user.call_under(&under, ["run", "--bundle", b.path(), b.id()]).output();
    output.assert_exit(7);
}

fn user_of_the_config_must_be_mapped() {
    let user = SecondUser::new();
    for (id, field) in [("uid", "uid"), ("gid", "gid")] {
        let b = user.bundle().with(|c| c["process"]["user"][id] = json!(33));
        let output = b.run(&["/probe", "true"]);
        output.assert_fails();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has(&format!("process.user.{field}: setres{id}(33, 33, 33)"));
            output.assert_stderr_has(&format!("hint: map {id} 33 in linux.{id}Mappings"));
        }
    }
}
