//! kill -9 at random instants of commands about images, volumes and networks, and of what they have
//! started: whatever is told is so, the command can be typed again, and all is given back.
//!
//! `SEED` gives the instants, `KILLS` how many there are of each command.

use super::companion_deeds::*;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use runtime_tests::companion::processes;
use runtime_tests::site::{Site, times};

tests![
    companion_killed_pull,
    companion_killed_load,
    companion_killed_commit,
    companion_killed_commit_of_an_ordinary_user,
    companion_killed_import,
    companion_killed_tag,
    companion_killed_rmi,
    companion_killed_run_detached,
    companion_killed_run_to_its_end,
    companion_killed_create,
    companion_killed_rm,
    companion_killed_network_create,
    companion_killed_network_rm,
    companion_killed_network_connect,
    companion_killed_network_disconnect,
    companion_killed_volume_create,
    companion_killed_volume_rm,
    companion_killed_prune,
    companion_killed_pull_of_an_ordinary_user,
    companion_killed_load_of_an_ordinary_user,
    companion_killed_rmi_of_an_ordinary_user,
    companion_killed_run_of_an_ordinary_user,
    companion_killed_run_to_its_end_of_an_ordinary_user,
    companion_killed_rm_of_an_ordinary_user,
    companion_killed_network_create_of_an_ordinary_user,
    companion_killed_network_rm_of_an_ordinary_user,
    companion_killed_prune_of_an_ordinary_user,
];

/// After so many all is given back, with the image; else the next one has it.
const ROUNDS: u64 = 4;

/// Kills the command, one of the processes that it has started, all of those, or all; what they had
/// begun comes to its end.
fn interrupt(scene: &Scene, deed: &Deed, usual: Duration) {
    let (after, victims) = (scene.site.instant(usual), scene.site.random(4));
    let running = (deed.call)(scene).spawn();
    std::thread::sleep(after);
    let children = processes("bundles-");
    println!("# after {after:?}, kind of victims {victims}; {} children", children.len());
    if victims == 0 || victims == 3 {
        running.signal(Signal::SIGKILL);
    }
    let one = scene.site.random(children.len().max(1) as u64);
    for (number, pid) in (0..).zip(children) {
        if victims > 1 || victims == 1 && number == one {
            kill(pid, Signal::SIGKILL).ok(); // it may have ended by itself
        }
    }
    running.wait();
}

fn killed(site: Site, deed: &Deed) {
    let scene = Scene::new(site);
    let fresh = scene.site.fresh();
    (deed.before)(&scene);
    let begun = Instant::now();
    (deed.call)(&scene).ok();
    let usual = begun.elapsed();
    (deed.after)(&scene);
    scene.site.give_back(true);
    scene.site.assert_given_back(&fresh);
    let rounds = times(1);
    for round in 1..=rounds {
        (deed.before)(&scene);
        interrupt(&scene, deed, usual);
        scene.site.tells_the_truth();
        deed.works_again(&scene);
        (deed.after)(&scene);
        let last = round % ROUNDS == 0 || round == rounds;
        scene.site.give_back(last);
        if last {
            scene.site.assert_given_back(&fresh);
        }
    }
}

fn companion_killed_pull() {
    killed(Site::root(), &PULL);
}

fn companion_killed_load() {
    killed(Site::root(), &LOAD);
}

fn companion_killed_commit() {
    killed(Site::root(), &COMMIT);
}

fn companion_killed_commit_of_an_ordinary_user() {
    killed(Site::user(), &COMMIT);
}

fn companion_killed_import() {
    killed(Site::root(), &IMPORT);
}

fn companion_killed_tag() {
    killed(Site::root(), &TAG);
}

fn companion_killed_rmi() {
    killed(Site::root(), &RMI);
}

fn companion_killed_run_detached() {
    killed(Site::root(), &RUN);
}

fn companion_killed_run_to_its_end() {
    killed(Site::root(), &RUN_TO_END);
}

fn companion_killed_create() {
    killed(Site::root(), &CREATE);
}

fn companion_killed_rm() {
    killed(Site::root(), &RM);
}

fn companion_killed_network_create() {
    killed(Site::root(), &NETWORK_CREATE);
}

fn companion_killed_network_rm() {
    killed(Site::root(), &NETWORK_RM);
}

fn companion_killed_network_connect() {
    killed(Site::root(), &CONNECT);
}

fn companion_killed_network_disconnect() {
    killed(Site::root(), &DISCONNECT);
}

fn companion_killed_volume_create() {
    killed(Site::root(), &VOLUME_CREATE);
}

fn companion_killed_volume_rm() {
    killed(Site::root(), &VOLUME_RM);
}

fn companion_killed_prune() {
    killed(Site::root(), &PRUNE);
}

fn companion_killed_pull_of_an_ordinary_user() {
    killed(Site::user(), &PULL);
}

fn companion_killed_load_of_an_ordinary_user() {
    killed(Site::user(), &LOAD);
}

fn companion_killed_rmi_of_an_ordinary_user() {
    killed(Site::user(), &RMI);
}

fn companion_killed_run_of_an_ordinary_user() {
    killed(Site::user(), &RUN);
}

fn companion_killed_run_to_its_end_of_an_ordinary_user() {
    killed(Site::user(), &RUN_TO_END);
}

fn companion_killed_rm_of_an_ordinary_user() {
    killed(Site::user(), &RM);
}

fn companion_killed_network_create_of_an_ordinary_user() {
    killed(Site::user(), &NETWORK_CREATE);
}

fn companion_killed_network_rm_of_an_ordinary_user() {
    killed(Site::user(), &NETWORK_RM);
}

fn companion_killed_prune_of_an_ordinary_user() {
    killed(Site::user(), &PRUNE);
}
