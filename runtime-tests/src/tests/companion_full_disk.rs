//! Commands on a disk that becomes full at every point of their work: one line says so, nothing is half
//! there, all can be given back, and with space they work again. What runs goes on.
//!
//! `SEED` gives the points, `KILLS` how many there are of each command.

use super::companion_deeds::*;
use runtime_tests::prelude::*;
use runtime_tests::site::{Site, times};

tests![
    companion_full_disk_during_pull,
    companion_full_disk_during_load,
    companion_full_disk_during_commit,
    companion_full_disk_during_import,
    companion_full_disk_during_tag,
    companion_full_disk_during_run,
    companion_full_disk_during_run_to_its_end,
    companion_full_disk_during_create,
    companion_full_disk_during_network_create,
    companion_full_disk_during_network_connect,
    companion_full_disk_during_volume_create,
    companion_full_disk_during_load_of_an_ordinary_user,
    companion_full_disk_during_run_of_an_ordinary_user,
    companion_full_disk_during_run_to_its_end_of_an_ordinary_user,
    companion_full_disk_keeps_nothing_from_being_removed,
    companion_full_disk_keeps_nothing_of_an_ordinary_user_from_being_removed,
    companion_full_disk_does_not_end_who_writes_to_its_log,
    companion_full_disk_hides_no_exit_code,
    companion_full_disk_leaves_names_and_limits_as_they_were,
];

/// The unit of a tmpfs, in bytes.
const PAGE: u64 = 4096;

/// It failed for want of space, and says so in one line, with the cure in a second one.
fn assert_full(output: &Output, code: i32) {
    output.assert_exit(code);
    let said = output.stderr();
    let lines: Vec<&str> = said.lines().collect();
    let [error, hint] = lines.as_slice() else { panic!("one error, one hint: {said}") };
    // The runtime has its own words for it.
    let says_so = error.to_lowercase().contains("no space left on device");
    assert!(error.starts_with("bundles: ") && says_so, "{said}");
    assert!(hint.starts_with("  hint: make room: bundles system prune"), "{said}");
}

/// Bytes with which it works.
fn enough(scene: &Scene, deed: &Deed) -> u64 {
    let mut free = PAGE;
    loop {
        (deed.before)(scene);
        scene.site.fill(free);
        let output = (deed.call)(scene).output();
        scene.site.empty();
        if output.code == 0 {
            (deed.after)(scene);
            scene.site.give_back(true);
            return free;
        }
        scene.site.give_back(true);
        free *= 2;
    }
}

fn full(site: Site, deed: &Deed, code: i32) {
    let scene = Scene::new(site);
    let site = &scene.site;
    let _disk = site.small_disk();
    let fresh = site.fresh();
    let pages = enough(&scene, deed) / PAGE;
    for _ in 0..times(1) {
        (deed.before)(&scene);
        let free = site.random(pages) * PAGE;
        println!("# {free} bytes are free");
        site.fill(free);
        let output = (deed.call)(&scene).output();
        site.tells_the_truth();
        site.empty();
        if output.code != 0 {
            assert_full(&output, code);
            deed.works_again(&scene);
        }
        (deed.after)(&scene);
        site.fill(0);
        site.give_back(true);
        site.empty();
        site.tells_the_truth(); // makes what was let go for want of space
        site.assert_given_back(&fresh);
    }
}

/// Commands that give space back need none.
fn removed(site: Site) {
    let scene = Scene::new(site);
    let site = &scene.site;
    let _disk = site.small_disk();
    let fresh = site.fresh();
    for deed in [&RM, &RMI, &NETWORK_RM, &VOLUME_RM, &PRUNE, &STOP, &DISCONNECT] {
        (deed.before)(&scene);
        site.fill(0);
        (deed.call)(&scene).ok();
        (deed.after)(&scene);
        site.give_back(true);
        site.empty();
        site.tells_the_truth();
        site.assert_given_back(&fresh);
    }
}

fn companion_full_disk_during_pull() {
    full(Site::root(), &PULL, 1);
}

fn companion_full_disk_during_load() {
    full(Site::root(), &LOAD, 1);
}

fn companion_full_disk_during_commit() {
    full(Site::root(), &COMMIT, 1);
}

fn companion_full_disk_during_import() {
    full(Site::root(), &IMPORT, 1);
}

fn companion_full_disk_during_tag() {
    full(Site::root(), &TAG, 1);
}

fn companion_full_disk_during_run() {
    full(Site::root(), &RUN, 125);
}

fn companion_full_disk_during_run_to_its_end() {
    full(Site::root(), &RUN_TO_END, 125);
}

fn companion_full_disk_during_create() {
    full(Site::root(), &CREATE, 125);
}

fn companion_full_disk_during_network_create() {
    full(Site::root(), &NETWORK_CREATE, 1);
}

fn companion_full_disk_during_network_connect() {
    full(Site::root(), &CONNECT, 1);
}

fn companion_full_disk_during_volume_create() {
    full(Site::root(), &VOLUME_CREATE, 1);
}

fn companion_full_disk_during_load_of_an_ordinary_user() {
    full(Site::user(), &LOAD, 1);
}

fn companion_full_disk_during_run_of_an_ordinary_user() {
    full(Site::user(), &RUN, 125);
}

fn companion_full_disk_during_run_to_its_end_of_an_ordinary_user() {
    full(Site::user(), &RUN_TO_END, 125);
}

fn companion_full_disk_keeps_nothing_from_being_removed() {
    removed(Site::root());
}

fn companion_full_disk_keeps_nothing_of_an_ordinary_user_from_being_removed() {
    removed(Site::user());
}

fn companion_full_disk_does_not_end_who_writes_to_its_log() {
    let scene = Scene::new(Site::root());
    let site = &scene.site;
    let _disk = site.small_disk();
    scene.has_image();
    let script = "n=0; while :; do n=$((n + 1)); echo line $n; sleep 0.01; done";
    site.run(&["run", "-d"], &["--network", "none", "--name", "k1"], &["sh", "-c", script]).ok();
    let lines = || site.call(&["logs", "k1"]).ok().lines().count();
    until("it has written", || (lines() > 3).then_some(()));
    site.fill(0);
    let mut before = 0;
    until("the log is full", || {
        let now = lines();
        std::thread::sleep(std::time::Duration::from_millis(100)); // ten lines in vain
        (std::mem::replace(&mut before, now) == now).then_some(())
    });
    assert_eq!(site.inspect("container", "k1")["State"]["Running"], true);
    site.empty();
    until("it is kept again", || (lines() > before + 3).then_some(()));
    let text = site.call(&["logs", "k1"]).ok();
    let wrong = text.lines().find(|line| !line.starts_with("line "));
    assert_eq!(wrong, None, "a line is whole, or not there");
    let log = site.home().join("containers");
    let log = std::fs::read_dir(log).unwrap().flatten().next().unwrap().path().join("log");
    for line in std::fs::read_to_string(log).unwrap().lines() {
        serde_json::from_str::<Value>(line).expect("a whole entry");
    }
    site.give_back(true);
}

fn companion_full_disk_hides_no_exit_code() {
    let scene = Scene::new(Site::root());
    let site = &scene.site;
    let _disk = site.small_disk();
    scene.has_image();
    let code = |name: &str| site.inspect("container", name)["State"]["ExitCode"].clone();
    let wait = ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 7"];
    for (name, with_reserve) in [("k1", true), ("k2", false)] {
        let flags = ["--network", "none", "--name", name, "--tmpfs", "/tmp"];
        site.run(&["run", "-d"], &flags, &wait).ok();
        if !with_reserve {
            std::fs::remove_file(site.home().join("reserve")).expect("a reserve");
        }
        site.fill(0);
        site.call(&["exec", name, "touch", "/tmp/go"]).ok();
        if !with_reserve {
            until("it has ended", || {
                let pid = site.inspect("container", name)["State"]["Pid"].to_string();
                (!std::path::Path::new("/proc").join(pid).join("exe").exists()).then_some(())
            });
            site.empty();
        }
        assert_eq!(site.call(&["wait", name]).ok(), "7\n");
        assert_eq!(code(name), 7);
        site.empty();
        site.tells_the_truth();
    }
    site.give_back(true);
}

fn companion_full_disk_leaves_names_and_limits_as_they_were() {
    let scene = Scene::new(Site::root());
    let site = &scene.site;
    let _disk = site.small_disk();
    scene.has_image();
    site.run(&["run", "-d"], &["--network", "none", "--name", "k1"], &LONG).ok();
    let calls: [&[&str]; 2] =
        [&["rename", "k1", "other"], &["update", "--restart", "always", "k1"]];
    for words in calls {
        let before = site.inspect("container", "k1");
        site.fill(0);
        assert_full(&site.call(words).output(), 1);
        assert_eq!(site.inspect("container", "k1"), before);
        site.empty();
        site.call(words).ok();
        if words[0] == "rename" {
            site.call(&["rename", "other", "k1"]).ok();
        }
    }
    site.give_back(true);
}
