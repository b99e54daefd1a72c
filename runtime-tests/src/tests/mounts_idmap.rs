//! Idmapped mounts: `idmap`, `ridmap`, and mappings of one mount as options (crun's).

use std::fs;
use std::os::unix::fs::chown;

use runtime_tests::prelude::*;

tests![
    idmap_is_for_the_top_mount_and_ridmap_for_all,
    mappings_in_an_option,
    mappings_in_an_option_without_user_namespace,
    mappings_of_the_container_as_relative_ones,
    wrong_mappings_in_an_option_are_refused,
    plan_shows_the_mappings,
    idmap_without_root_is_refused,
    recursive_words_of_the_superblock,
];

fn file(mount: &HostMount) {
    let text = mount.path().join("text");
    fs::write(&text, "x").unwrap();
    chown(&text, Some(3), Some(4)).unwrap();
}

/// A mount and one below it; in each a file of ids 3 and 4.
fn two_levels() -> (HostMount, HostMount) {
    let top = HostMount::tmpfs(&scratch().join("top"), "size=1m,mode=755");
    let sub = HostMount::tmpfs(&scratch().join("top/sub"), "size=1m,mode=755");
    file(&top);
    file(&sub);
    (top, sub)
}

/// Owner and group of /m/text inside.
fn owner(b: Bundle, top: &HostMount, options: &[&str]) -> String {
    let b = b.mount("/m", "bind", top.path().to_str().unwrap(), options);
    let output = b.run(&["/probe", "stat", "/m/text"]);
    output.assert_exit(0);
    ids(&output.stdout())
}

/// Owner and group in a line of `stat`.
fn ids(line: &str) -> String {
    line.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" ")
}

/// config.md, "Mounts": "ridmap" also for the mounts below.
fn idmap_is_for_the_top_mount_and_ridmap_for_all() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "idmapped mounts came with 1.2");
    differs!(Crun, "1.8 leaves out the mounts below, and does not know ridmap");
    let (top, _sub) = two_levels();
    let source = top.path().to_str().unwrap().to_owned();
    let b = Bundle::new().user_namespace(100_000);
    let b = b.mount("/one", "bind", &source, &["rbind", "idmap"]);
    let b = b.mount("/all", "bind", &source, &["rbind", "ridmap"]);
    let mut args = vec!["/probe", "stat", "/one/text"];
    for path in ["/one/sub/text", "/all/text", "/all/sub/text"] {
        args.extend(["--", "stat", path]);
    }
    let output = b.run(&args);
    output.assert_exit(0);
    let owners: Vec<String> = output.lines().iter().map(|line| ids(line)).collect();
    assert_eq!(owners, ["3 4", "65534 65534", "3 4", "3 4"]);
}

fn mappings_in_an_option() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "has no mappings in options");
    let (top, _sub) = two_levels();
    for (option, seen) in [
        ("idmap=uids=3-100007-1;gids=4-100008-1", "7 8"),
        ("idmap=uids=0-100000-2#3-100005-1;gids=0-100000-10", "5 4"),
        ("idmap=gids=4-100005-1;uids=0-100000-2", "65534 5"),
        ("idmap=", "3 4"),
    ] {
        let b = Bundle::new().user_namespace(100_000);
        assert_eq!(owner(b, &top, &["bind", option]), seen, "{option}");
    }
    if runtime() == Runtime::Rt {
        let b = Bundle::new().user_namespace(100_000);
        let option = "ridmap=uids=3-100007-1;gids=4-100008-1";
        assert_eq!(owner(b, &top, &["rbind", option]), "7 8");
    }
}

fn mappings_in_an_option_without_user_namespace() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "has no mappings in options");
    let (top, _sub) = two_levels();
    assert_eq!(owner(Bundle::new(), &top, &["bind", "idmap=uids=3-33-1;gids=4-44-1"]), "33 44");
}

/// "@": the second number is an id of the container, wherever the host has it.
fn mappings_of_the_container_as_relative_ones() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "has no mappings in options");
    let (top, _sub) = two_levels();
    let two_ranges = || {
        Bundle::new().user_namespace(100_000).with(|c| {
            let maps = json!([
                { "containerID": 0, "hostID": 100_000, "size": 10 },
                { "containerID": 10, "hostID": 300_000, "size": 100 },
            ]);
            c["linux"]["uidMappings"] = maps.clone();
            c["linux"]["gidMappings"] = maps;
        })
    };
    for (option, seen) in [
        ("idmap=uids=@3-7-1;gids=@4-8-1", "7 8"),
        ("idmap=uids=@0-0-10;gids=@0-0-1#4-100009-1", "3 9"),
    ] {
        assert_eq!(owner(two_ranges(), &top, &["bind", option]), seen, "{option}");
    }
    differs!(Crun, "takes the range of the first number");
    let option = "idmap=uids=@3-12-1;gids=@0-0-5";
    assert_eq!(owner(two_ranges(), &top, &["bind", option]), "12 4");
}

fn wrong_mappings_in_an_option_are_refused() {
    requires!(userns);
    differs!(Crun, "refuses them when the cgroup is made, and leaves it");
    let (top, _sub) = two_levels();
    let source = top.path().to_str().unwrap();
    for (option, error) in [
        ("idmap=foo=3-100007-1", "\"foo\" is neither \"uids\" nor \"gids\""),
        ("idmap=uids=3-100007;gids=3-1-1", "\"3-100007\" is not three numbers such as 0-1000-10"),
        ("idmap=uids=3-100007-1", "\"gids\" are missing"),
        ("idmap=uids=1-1-0;gids=0-1-1", "\"1-1-0\" maps no ids"),
        (
            "idmap=uids=@0-65530-10;gids=@0-0-1",
            "@65530: 10 ids from there are not in one range of linux.uidMappings",
        ),
    ] {
        let b = Bundle::new().user_namespace(100_000);
        let b = b.mount("/m", "bind", source, &["bind", option]).args(&["/probe", "true"]);
        let output = b.assert_create_refused();
        if runtime() == Runtime::Rt {
            let n = number_of_mounts(&b) - 1;
            output.assert_stderr_has(&format!("mounts[{n}].options[1]: {error}"));
        }
    }
    let b = Bundle::new().user_namespace(100_000).with(|c| {
        let map = json!([{ "containerID": 0, "hostID": 1, "size": 1 }]);
        c["mounts"].as_array_mut().unwrap().push(json!({ "destination": "/m", "source": source,
            "options": ["bind", "idmap=uids=0-1-1;gids=0-1-1"], "uidMappings": map, "gidMappings": map }));
    });
    if runtime() == Runtime::Rt {
        let output = b.args(&["/probe", "true"]).assert_create_refused();
        output.assert_stderr_has(".options also have mappings");
    }
}

fn number_of_mounts(b: &Bundle) -> usize {
    let text = fs::read_to_string(b.dir().join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    config["mounts"].as_array().unwrap().len()
}

fn plan_shows_the_mappings() {
    requires!(userns);
    if runtime() != Runtime::Rt {
        return;
    }
    let option = "ridmap=uids=@0-7-2#9-9-1;gids=0-5-1";
    let b = Bundle::new().user_namespace(100_000).mount("/m", "bind", "/srv", &["rbind", option]);
    b.write();
    let plan = Call::plain(["plan", "--bundle"]).arg(b.dir()).ok();
    assert!(plan.contains("/srv -> /m rslave ridmap=uids=0-100007-2#9-9-1;gids=0-5-1 "), "{plan}");
}

/// The kernel has them for root over the file system. Before, the word was forgotten without root.
fn idmap_without_root_is_refused() {
    let user = runtime_tests::second_user::SecondUser::with_ranges();
    let volume = user.directory("volume");
    let b = user
        .bundle()
        .change(|b| b.mount("/m", "bind", volume.to_str().unwrap(), &["bind", "idmap"]));
    let output = b.run(&["/probe", "true"]);
    if runtime() == Runtime::Rt {
        output.assert_fails();
        output.assert_stderr_has("(/m): an idmapped mount needs root on the host");
    }
}

/// crun's `rsync` and so on: for a new file system the same as without the letter.
fn recursive_words_of_the_superblock() {
    differs!(Runc, "does not know them");
    differs!(Crun, "knows them, but its mount_setattr fails");
    let b = Bundle::new()
        .mount("/a", "tmpfs", "tmpfs", &["rsync", "rdirsync"])
        .mount("/b", "tmpfs", "tmpfs", &["rsync", "rasync", "rnomand"])
        .mount("/c", "tmpfs", "tmpfs", &["sync", "async", "lazytime", "nolazytime"]);
    let output = b.run(&["/probe", "mounts", "/a", "/b", "/c"]);
    // Some kernels add words of their own.
    let data = |n: usize| {
        let lines = output.lines();
        let words = lines[n].rsplit(' ').next().unwrap().split(',');
        let flags = words.filter(|word| ["sync", "dirsync", "mand", "lazytime"].contains(word));
        flags.collect::<Vec<_>>().join(",")
    };
    assert_eq!(data(0), "sync,dirsync");
    assert_eq!(data(1), "");
    assert_eq!(data(2), "");
    if runtime() == Runtime::Rt {
        let b = Bundle::new().mount("/m", "bind", "/", &["bind", "rsync"]);
        let output = b.args(&["/probe", "true"]).assert_create_refused();
        output.assert_stderr_has("options[1]: \"rsync\" is not an option of a bind mount");
    }
}
