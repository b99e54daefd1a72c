//! Mounts of the companion's containers: volumes and what images put into them, directories of the
//! host, what is in memory, and what containers share.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use runtime_tests::app::{call, detached, image, inspect, run};
use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;

tests![
    companion_empty_volume_gets_the_files_of_the_image,
    companion_volume_is_filled_once_and_only_when_wanted,
    companion_links_lead_out_of_neither_image_nor_volume,
    companion_full_disk_leaves_no_volume_half_filled,
    companion_killed_run_leaves_no_volume_half_filled,
    companion_two_containers_share_a_volume,
    companion_volumes_from_another_container,
    companion_anonymous_volumes_go_with_their_container,
    companion_used_volume_stays,
    companion_overlay_of_a_directory_is_thrown_away,
    companion_read_only_reaches_what_is_mounted_below,
    companion_mounts_in_words,
    companion_volume_with_options_is_mounted,
    companion_mistakes_about_mounts,
];

fn data(volume: &str) -> PathBuf {
    home().join("volumes").join(volume).join("_data")
}

fn volumes() -> Vec<String> {
    let text = bundles(["volume", "ls", "-q"]).ok();
    text.lines().map(ToOwned::to_owned).collect()
}

fn companion_empty_volume_gets_the_files_of_the_image() {
    image(|_| ());
    let out =
        run(&["-v", "v:/data"], "cat /data/file /data/upper /data/sub/deep; ls /data").output();
    out.assert_exit(0).assert_stdout("seed\nupper\ndeep\nclosed\nfile\nout\nsecond\nsub\nupper\n");
    let v = data("v");
    let of = |path: &Path| {
        let found = fs::symlink_metadata(path).expect("a file");
        (found.mode() & 0o7777, found.uid(), found.gid(), found.mtime())
    };
    assert_eq!(of(&v.join("file")), (0o640, 33, 34, 1_000_000_000));
    assert_eq!(of(&v.join("closed")), (0o500, 0, 0, 1_000_000_000));
    assert_eq!(fs::read_link(v.join("out")).expect("a link"), Path::new("/etc/passwd"));
    let inode = |name: &str| fs::metadata(v.join(name)).expect("a file").ino();
    assert_eq!(inode("file"), inode("second"));
    // The directory itself too: the upper layer gave it 0755 and root.
    assert_eq!(fs::metadata(&v).expect("a directory").mode() & 0o7777, 0o755);
    run(&["-v", "w:/data/sub"], "stat -c %a:%u /data/sub").output().assert_stdout("755:0\n");
    if Path::new("/usr/sbin/getcap").exists() {
        let shown = std::process::Command::new("/usr/sbin/getcap").arg(v.join("file")).output();
        let shown = String::from_utf8_lossy(&shown.expect("getcap").stdout).into_owned();
        assert!(shown.contains("cap_net_raw"), "{shown}");
    }
    assert_eq!(volumes(), ["v", "w"]);
    // What was written stays, and the image does not come back.
    run(&["-v", "v:/data"], "rm /data/file; echo own > /data/own").ok();
    run(&["-v", "v:/data"], "cat /data/own; cat /data/file 2>&1")
        .output()
        .assert_exit(1)
        .assert_says("own\ncat: can't open '/data/file': No such file or directory\n");
}

fn companion_volume_is_filled_once_and_only_when_wanted() {
    image(|config| config["Volumes"] = json!({ "/data": {} }));
    for flags in
        [["-v", "a:/data:nocopy"], ["--mount", "type=volume,src=b,dst=/data,volume-nocopy"]]
    {
        run(&flags, "ls -A /data").output().assert_exit(0).assert_stdout("");
    }
    // Made before it is used, and used where the image has nothing.
    bundles(["volume", "create", "c"]).ok();
    run(&["-v", "c:/nosuch", "-v", "d:/bin/busybox"], "true").output().assert_fails();
    run(&["-v", "c:/nosuch"], "ls -A /nosuch").output().assert_stdout("");
    run(&["-v", "c:/data:ro"], "cat /data/file; touch /data/x 2>/dev/null || echo no")
        .output()
        .assert_stdout("seed\nno\n");
    // One that the image asks for, with a life of its own.
    call(&["run", "--name", "k1"], &[], &["sh", "-c", "cat /data/file; echo 1 > /data/new"]).ok();
    let mount = inspect("k1")["Mounts"][0].clone();
    assert_eq!((&mount["Type"], &mount["Destination"]), (&json!("volume"), &json!("/data")));
    let name = mount["Name"].as_str().expect("a name");
    assert_eq!(name.len(), 64);
    assert_eq!(fs::read_to_string(data(name).join("new")).expect("the file"), "1\n");
    assert_eq!(fs::read_to_string(data(name).join("file")).expect("the file"), "seed\n");
}

fn companion_links_lead_out_of_neither_image_nor_volume() {
    image(|_| ());
    let outside = Path::new("/run/t/outside");
    fs::create_dir_all(outside).expect("mkdir");
    fs::write(outside.join("secret"), "secret").expect("write");
    // The destination is a symlink, within the image.
    run(&["-v", "v:/alias"], "ls /data; touch /data/made; mount | grep -c ' /data '").ok();
    assert_eq!(fs::read_to_string(data("v").join("file")).expect("the file"), "seed\n");
    assert!(data("v").join("made").exists());
    // It seems to lead out: nothing is there, inside.
    run(&["-v", "w:/escape"], "ls -A /escape/").output().assert_stdout("");
    assert_eq!(fs::read_dir(data("w")).expect("w").count(), 0);
    // A link in the volume, over which the image would copy a file.
    bundles(["volume", "create", "x"]).ok();
    std::os::unix::fs::symlink(outside.join("secret"), data("x").join("file")).expect("symlink");
    run(&["-v", "x:/data"], "true").ok();
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("secret"), "secret");
    assert_eq!(fs::read_dir(data("x")).expect("x").count(), 1);
}

/// A copy that fails, and one that is killed, is made anew by the next.
fn companion_full_disk_leaves_no_volume_half_filled() {
    image(|_| ());
    bundles(["volume", "create", "v"]).ok();
    // As if killed while it copied: the files are in tmp/, where nobody takes them for a volume's.
    fs::create_dir_all(home().join("tmp/4000000-0/seed")).expect("mkdir");
    fs::write(home().join("tmp/4000000-0/seed/half"), "half").expect("write");
    // As if killed when the copy was whole.
    let seed = home().join("volumes/v/seed");
    fs::create_dir(&seed).expect("mkdir");
    fs::set_permissions(&seed, fs::Permissions::from_mode(0o711)).expect("chmod");
    fs::write(seed.join("file"), "whole\n").expect("write");
    run(
        &["-v", "v:/data", "-v", "w:/data/sub"],
        "ls /data /data/sub; cat /data/file; stat -c %a /data",
    )
    .output()
    .assert_stdout("/data:\nfile\nsub\n\n/data/sub:\ndeep\nwhole\n711\n");
    assert!(!seed.exists());
    let said = bundles(["system", "prune", "-f"]).ok();
    assert!(!said.contains("space: 0B"), "{said}");
    assert!(!home().join("tmp/4000000-0").exists());
}

/// At any instant of the copy, which takes some 50 ms.
fn companion_killed_run_leaves_no_volume_half_filled() {
    image(|_| ());
    call(
        &["run", "--name", "many"],
        &["-v", "many:/many"],
        &["sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo $i > /many/$i; i=$((i+1)); done"],
    )
    .ok();
    // A directory of a container is the image of the next.
    let root = scratch().join("tree");
    fs::create_dir_all(root.join("bin")).expect("mkdir");
    fs::copy(runtime_tests::bundle::busybox().expect("busybox"), root.join("bin/busybox"))
        .expect("copy");
    fs::rename(data("many"), root.join("many")).expect("rename");
    let count = ["/bin/busybox", "sh", "-c", "busybox ls /many | busybox wc -l"];
    let call = |name: &str| {
        let volume = format!("{name}:/many");
        let runtime = runtime_tests::runtime::path();
        bundles(["run", "--rm", "-e", "PATH=/bin", "-v", &volume])
            .arg("--runtime")
            .arg(runtime)
            .arg("--rootfs")
            .arg(&root)
            .args(count)
    };
    for step in 0..12_u64 {
        let name = format!("v{step}");
        let running = call(&name).spawn();
        std::thread::sleep(std::time::Duration::from_millis(step * 6));
        running.signal(nix::sys::signal::Signal::SIGKILL);
        running.wait();
        call(&name).output().assert_stdout("1000\n");
    }
}

fn companion_two_containers_share_a_volume() {
    image(|_| ());
    detached("one", &["-v", "v:/data"]);
    detached("two", &["--mount", "src=v,dst=/other"]);
    bundles(["exec", "one", "sh", "-c", "echo hello > /data/hello"]).ok();
    bundles(["exec", "two", "cat", "/other/hello", "/other/file"])
        .output()
        .assert_stdout("hello\nseed\n");
    bundles(["exec", "two", "rm", "/other/hello"]).ok();
    bundles(["exec", "one", "sh", "-c", "cat /data/hello"]).output().assert_exit(1);
    // An empty one that is in use gets its files under the eyes of its user.
    detached("three", &["-v", "w:/empty"]);
    run(&["-v", "w:/data"], "true").ok();
    bundles(["exec", "three", "cat", "/empty/file"]).output().assert_stdout("seed\n");
    bundles(["rm", "-f", "one", "two", "three"]).ok();
}

fn companion_volumes_from_another_container() {
    image(|_| ());
    let host = scratch().join("host");
    fs::create_dir(&host).expect("mkdir");
    let bind = format!("{}:/host:ro", host.display());
    detached("one", &["-v", "v:/data", "-v", "/anon", "-v", &bind, "--tmpfs", "/fast"]);
    bundles(["exec", "one", "touch", "/anon/x", "/fast/x"]).ok();
    fs::write(host.join("file"), "host\n").expect("write");
    detached("two", &["--volumes-from", "one"]);
    let script = "cat /data/file /host/file; ls /anon; ls -d /fast 2>/dev/null; touch /data/new; touch /host/x 2>/dev/null || echo ro";
    bundles(["exec", "two", "sh", "-c", script]).output().assert_stdout("seed\nhost\nx\nro\n");
    bundles(["exec", "one", "ls", "/data/new"]).output().assert_exit(0);
    // Of two, the later wins; a flag wins over both; all read-only.
    detached("three", &["-v", "w:/data"]);
    bundles(["exec", "three", "touch", "/data/of-three"]).ok();
    let script = "ls -d /data/of-three /anon/x; touch /data/x || touch /anon/y || echo ro";
    run(&["--volumes-from", "one:ro", "--volumes-from", "three:ro"], script)
        .output()
        .assert_stdout("/anon/x\n/data/of-three\nro\n");
    run(&["--volumes-from", "one", "--volumes-from", "three", "-v", "x:/data:nocopy"], "ls /data")
        .output()
        .assert_stdout("");
    for (text, error) in [
        ("nobody", "--volumes-from nobody: nobody: no such container"),
        ("one:rx", "--volumes-from one:rx: unknown option \"rx\""),
    ] {
        run(&["--volumes-from", text], "true").output().assert_exit(125).assert_stderr_has(error);
    }
    // The first may go: its volumes stay for the second.
    bundles(["rm", "-f", "-v", "one"]).ok();
    bundles(["exec", "two", "ls", "/anon/x"]).ok();
    bundles(["rm", "-f", "two", "three"]).ok();
}

fn companion_anonymous_volumes_go_with_their_container() {
    image(|config| config["Volumes"] = json!({ "/data": {} }));
    run(&["-v", "/more", "-v", "named:/named"], "true").ok();
    assert_eq!(volumes(), ["named"]);
    // Not by rm alone, as in Docker; with -v, and never one with a name.
    call(&["create", "--name", "k1"], &["-v", "/more", "-v", "named:/named"], &[]).ok();
    assert_eq!(volumes().len(), 3);
    bundles(["rm", "-v", "k1"]).ok();
    assert_eq!(volumes(), ["named"]);
    call(&["create", "--name", "k2"], &[], &[]).ok();
    bundles(["rm", "k2"]).ok();
    assert_eq!(volumes().len(), 2);
    // Its name, chosen by somebody, is a name.
    let anonymous = volumes().into_iter().find(|name| name != "named").expect("a volume");
    run(&["-v", &format!("{anonymous}:/data")], "true").ok();
    assert_eq!(volumes().len(), 2);
    // A container that could not be made leaves none.
    call(&["create", "--name", "k3"], &[], &[]).ok();
    let before = volumes();
    call(&["create", "--name", "k3"], &["-v", "/x"], &[]).output().assert_exit(125);
    run(&["-v", "/x", "--mount", "type=bind,src=/nosuch,dst=/y"], "true").output().assert_exit(125);
    assert_eq!(volumes(), before);
}

fn companion_used_volume_stays() {
    image(|_| ());
    let id = detached("web", &["-v", "v:/data"]);
    bundles(["volume", "create", "spare"]).ok();
    let refused = bundles(["volume", "rm", "v"]).output();
    refused.assert_exit(1).assert_stderr_has(&format!(
        "bundles: volume v is in use by container web ({})\n  hint: remove what uses it: bundles rm -f web\n",
        &id[..12]
    ));
    bundles(["volume", "prune", "-a", "-f"]).ok();
    assert_eq!(volumes(), ["v"]);
    bundles(["stop", "-t", "0", "web"]).ok();
    bundles(["volume", "rm", "v"]).output().assert_exit(1);
    bundles(["rm", "web"]).ok();
    bundles(["volume", "rm", "v"]).ok();
    assert_eq!(volumes(), [""; 0]);
}

fn companion_overlay_of_a_directory_is_thrown_away() {
    image(|_| ());
    let host = scratch().join("host");
    fs::create_dir(&host).expect("mkdir");
    fs::set_permissions(&host, fs::Permissions::from_mode(0o1777)).expect("chmod");
    fs::write(host.join("file"), "host\n").expect("write");
    let flag = format!("{}:/over:O", host.display());
    let script = "stat -c %a /over; cat /over/file; echo changed > /over/file; touch /over/new; cat /over/file";
    call(&["run", "--name", "k1"], &["-v", &flag], &["sh", "-c", script])
        .output()
        .assert_stdout("1777\nhost\nchanged\n");
    assert_eq!(fs::read_to_string(host.join("file")).expect("file"), "host\n");
    assert!(!host.join("new").exists());
    bundles(["rm", "k1"]).ok();
    run(&["-v", &flag, "-v", &format!("{}:/again:O", host.display())], "touch /again/x; ls /over")
        .output()
        .assert_stdout("file\n");
}

fn companion_read_only_reaches_what_is_mounted_below() {
    image(|_| ());
    let host = scratch().join("host");
    fs::create_dir_all(host.join("below")).expect("mkdir");
    let _below = HostMount::tmpfs(&host.join("below"), "");
    let at = host.display();
    let script = "touch /h/x 2>/dev/null || echo ro; touch /h/below/x 2>/dev/null || echo ro";
    run(&["-v", &format!("{at}:/h:ro")], script).output().assert_stdout("ro\nro\n");
    let words = format!("type=bind,src={at},dst=/h,readonly");
    run(&["--mount", &words], script).output().assert_stdout("ro\nro\n");
    // Without what is mounted below.
    let words = format!("type=bind,src={at},dst=/h,bind-nonrecursive");
    run(&["--mount", &words], "touch /h/below/y").ok();
    assert!(!host.join("below/y").exists());
    run(&["-v", &format!("{at}:/h")], "touch /h/below/y").ok();
    assert!(host.join("below/y").exists());
}

fn companion_mounts_in_words() {
    image(|_| ());
    let tmpfs = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0750";
    run(&["--mount", tmpfs], "stat -c %a /t; mount | grep -c 'tmpfs on /t .*size=1024k'")
        .output()
        .assert_stdout("750\n1\n");
    run(
        &["--tmpfs", "/t:size=2m,mode=700,uid=33,exec"],
        "stat -c %a:%u /t; mount | grep -c ' /t .*size=2048k'",
    )
    .output()
    .assert_stdout("700:33\n1\n");
    let words = "type=volume,source=v,target=/v,volume-label=a=b,readonly";
    run(&["--mount", words], "touch /v/x").output().assert_exit(1);
    let text = bundles(["volume", "inspect", "-f", "{{.Labels.a}}", "v"]).ok();
    assert_eq!(text, "b\n");
}

fn companion_volume_with_options_is_mounted() {
    image(|_| ());
    let host = scratch().join("host");
    fs::create_dir(&host).expect("mkdir");
    fs::write(host.join("file"), "host\n").expect("write");
    let device = format!("device={}", host.display());
    bundles(["volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", &device, "b"]).ok();
    run(&["-v", "b:/b"], "cat /b/file; touch /b/x 2>/dev/null || echo ro")
        .output()
        .assert_stdout("host\nro\n");
    bundles(["volume", "create", "-o", "type=tmpfs", "-o", "o=size=1m,mode=711", "m"]).ok();
    let script = "stat -c %a /m; mount | grep -c 'tmpfs on /m .*size=1024k'; touch /m/x";
    run(&["-v", "m:/m"], script).output().assert_stdout("711\n1\n");
    run(&["-v", "m:/m"], "ls /m").output().assert_stdout("");
    call(&["create", "--name", "k1"], &["-v", "m:/m"], &[]).ok();
    for flags in [["-v", "m:/m"], ["--volumes-from", "k1"]] {
        run(&flags, "true")
            .output()
            .assert_exit(125)
            .assert_stderr_has("volume m is in memory (type=tmpfs), and container k1 has it");
    }
    let words = r#"type=volume,src=n,dst=/n,volume-opt=type=tmpfs,"volume-opt=o=size=1m,noexec""#;
    run(&["--mount", words], "mount | grep -c ' /n .*noexec'").output().assert_stdout("1\n");
    fs::remove_dir_all(&host).expect("remove");
    run(&["-v", "b:/b"], "true")
        .output()
        .assert_exit(125)
        .assert_stderr_has(&format!("-v b:/b: volume b: {}: no such file", host.display()));
    bundles(["volume", "create", "-o", "type=nfs", "-o", "device=:/x", "n2"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("volume option type=nfs is not supported");
}

fn companion_mistakes_about_mounts() {
    image(|_| ());
    for (flags, error) in [
        (&["-v", "a:/x", "-v", "b:/x"][..], "-v b:/x: /x is taken by -v a:/x"),
        (&["--tmpfs", "/x:sise=1"], "--tmpfs /x:sise=1: unknown option \"sise=1\""),
        (&["--mount", "type=bind,dst=/x"], "no source"),
        (&["--mount", "type=volume,src=x"], "no target"),
        (&["--mount", "type=x,dst=/x"], "type x"),
        (&["--mount", "dst=/x,foo=1"], "unknown word \"foo\""),
        (&["--mount", "dst=/x,ro=maybe"], "ro=maybe: neither true nor false"),
        (&["--mount", "dst=/x,volume-driver=nfs"], "volume driver \"nfs\" is not known"),
        (&["--mount", "dst=/x,volume-opt=size=1"], "volume option \"size\" is not known"),
        (&["-v", "a:/x/../y"], "has a part \"..\""),
        (&["-v", "a:/x:O"], "option O is for directories of the host"),
    ] {
        run(flags, "true").output().assert_exit(125).assert_stderr_has(error);
    }
    assert_eq!(volumes(), [""; 0]);
}
