//! Containers paused and resumed: pause, kill, delete and states.

use runtime_tests::prelude::*;

tests![
    pause_stops_and_resume_continues,
    paused_container_can_be_deleted_by_force,
    paused_container_can_be_killed,
    resume_right_after_kill,
    pause_and_resume_in_the_wrong_state,
];

/// Writes a dot every 20 ms.
fn ticking() -> Container {
    let script = "while true; do echo tick; usleep 20000; done";
    let c = Bundle::new().with_busybox().start(&["/bin/busybox", "sh", "-c", script]);
    c.wait_for("tick");
    c
}

fn pause_stops_and_resume_continues() {
    requires!(root, freezer, busybox);
    let c = ticking();
    c.call("pause").output().assert_exit(0);
    assert_eq!(c.status(), "paused");
    let before = c.stdout().len();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(c.stdout().len(), before, "a paused container must not go on");
    c.call("resume").output().assert_exit(0);
    assert_eq!(c.status(), "running");
    until("more output", || (c.stdout().len() > before).then_some(()));
    c.end();
}

fn paused_container_can_be_deleted_by_force() {
    requires!(root, freezer);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.call("pause").output().assert_exit(0);
    c.delete_force();
}

fn paused_container_can_be_killed() {
    requires!(root, freezer);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.call("pause").output().assert_exit(0);
    c.kill("KILL");
    // v2 kills frozen processes; with the v1 freezer the signal waits for the thaw.
    if c.status() == "paused" {
        c.call("resume").output();
    }
    c.wait_status("stopped").delete();
}

/// A process which ends does not stand still any more: what is half frozen can be resumed.
fn resume_right_after_kill() {
    requires!(root, freezer);
    for _ in 0..15 {
        let c = Bundle::new().start(&["/probe", "sleep", "60"]);
        c.call("pause").output().assert_exit(0);
        c.kill("KILL");
        let resumed = c.call("resume").output();
        assert!(!resumed.stderr().contains("running"), "{}", resumed.stderr());
        c.wait_status("stopped").delete();
    }
}

fn pause_and_resume_in_the_wrong_state() {
    requires!(root, freezer);
    differs!(Crun, "resumes what is not paused");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.call("resume").output().assert_fails();
    c.call("pause").output().assert_exit(0);
    c.call("resume").output().assert_exit(0);
    c.kill("KILL").wait_status("stopped");
    c.call("pause").output().assert_fails();
    c.delete();
}
