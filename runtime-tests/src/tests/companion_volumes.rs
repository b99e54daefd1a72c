//! Volumes of the companion: names, lists, removal, and what is left after a kill.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use runtime_tests::companion::{bundles, bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    companion_volume_is_created_and_inspected,
    companion_volume_without_a_name_gets_one,
    companion_volume_that_exists_is_no_error,
    companion_volume_names_cannot_leave_the_home,
    companion_volumes_are_listed_and_filtered,
    companion_volume_templates,
    companion_volume_in_use_is_not_removed,
    companion_broken_container_record_protects_volumes,
    companion_volume_rm_goes_on_after_a_failure,
    companion_volume_prune_takes_the_anonymous,
    companion_volume_prune_counts_what_it_gives_back,
    companion_volume_options_are_recorded_or_refused,
    companion_volume_links_are_not_followed,
    companion_volume_damaged_files_are_told,
    companion_volumes_of_many_processes,
    companion_volumes_of_many_processes_while_pruning,
    companion_volume_commands_killed_leave_nothing_half,
    companion_prune_spares_living_processes,
    companion_volumes_on_a_full_disk,
    companion_volumes_of_an_ordinary_user,
    companion_volume_of_an_ordinary_user_with_foreign_files,
];

fn create(args: &[&str]) -> String {
    bundles(["volume", "create"]).args(args).ok().trim().to_owned()
}

fn names() -> Vec<String> {
    bundles(["volume", "ls", "-q"]).output().assert_exit(0).lines()
}

fn data(name: &str) -> PathBuf {
    home().join("volumes").join(name).join("_data")
}

fn left(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(home().join(dir)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// As the part that makes containers writes it.
fn container(id: &str, name: &str, volume: &str) {
    let dir = home().join("containers").join(id);
    fs::create_dir_all(&dir).expect("mkdir");
    let mounts = json!([{ "type": "volume", "name": volume, "destination": "/data" }]);
    let record = json!({
        "id": id, "name": name, "mounts": mounts, "created": "2026-01-02T03:04:05Z", "image": "app",
        "command": ["sh"], "labels": {}, "runtime": "/rt", "runtimeRoot": "/run/rt", "root": { "directory": "/" },
        "interactive": false, "tty": false, "remove": false, "stopSignal": 15, "stopTimeout": 10,
        "state": {},
    });
    fs::write(dir.join("container.json"), record.to_string()).expect("write");
}

fn companion_volume_is_created_and_inspected() {
    assert_eq!(create(&["--name", "data", "--label", "a=b", "--label", "flag"]), "data");
    assert!(data("data").is_dir());
    let text = bundles(["volume", "inspect", "data"]).ok();
    // The order of Docker, and its indentation.
    let keys: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("        \"")?.split_once('"'))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json[0]["Labels"], json!({ "a": "b", "flag": "" }));
    assert_eq!(json[0]["Mountpoint"], data("data").to_str().unwrap());
    assert_eq!(json[0]["Options"], Value::Null);
    assert_eq!((&json[0]["Driver"], &json[0]["Scope"]), (&json!("local"), &json!("local")));
    let created = json[0]["CreatedAt"].as_str().expect("text");
    assert!(created.len() == 20 && created.ends_with('Z'), "{created}");

    assert_eq!(bundles(["volume", "rm", "data"]).ok(), "data\n");
    let output = bundles(["volume", "inspect", "data"]).output();
    output.assert_exit(1).assert_stderr_has("bundles: no such volume: data");
    assert_eq!(output.stdout(), "[]\n");
    assert!(left("tmp").is_empty(), "{:?}", left("tmp"));
}

fn companion_volume_without_a_name_gets_one() {
    let (a, b) = (create(&[]), create(&[]));
    assert_ne!(a, b);
    assert!(a.len() == 64 && a.bytes().all(|c| c.is_ascii_hexdigit()), "{a}");
    let labels = bundles(["volume", "inspect", "-f", "{{json .Labels}}", &a]).ok();
    assert_eq!(labels, "{\"com.docker.volume.anonymous\":\"\"}\n");
}

fn companion_volume_that_exists_is_no_error() {
    create(&["data", "--label", "a=b"]);
    fs::write(data("data").join("file"), "text").expect("write");
    let again = bundles(["volume", "create", "data"]).output();
    again.assert_exit(0);
    assert_eq!((again.stdout().as_str(), again.stderr().as_str()), ("data\n", ""));
    let other = bundles(["volume", "create", "data", "--label", "a=c"]).output();
    other.assert_exit(0).assert_stderr_has("its labels and options stay as they were");
    let label = bundles(["volume", "inspect", "-f", "{{.Labels.a}}", "data"]).ok();
    assert_eq!(label, "b\n");
    assert_eq!(fs::read_to_string(data("data").join("file")).expect("read"), "text");
}

fn companion_volume_names_cannot_leave_the_home() {
    create(&["victim"]);
    fs::create_dir_all(home().join("x")).expect("mkdir");
    let long = "a".repeat(300);
    for name in ["../x", "..", ".", "", "a/b", "/etc", "x\n", "a b", "-x", ".hid", "é", &long] {
        let output = bundles(["volume", "create", "--", name]).output();
        output.assert_exit(1).assert_stderr_has("name");
        for verb in ["inspect", "rm"] {
            bundles(["volume", verb, "--", name]).output().assert_exit(1).assert_fails();
        }
        bundles(["volume", "rm", "-f", "--", name]).ok();
    }
    assert_eq!(names(), ["victim"]);
    assert!(home().join("x").is_dir());
    bundles(["volume", "create", &long]).output().assert_stderr_has("has 300 characters");
    create(&[&long[..255]]);
    assert_eq!(names().len(), 2);
}

fn companion_volumes_are_listed_and_filtered() {
    assert_eq!(bundles(["volume", "ls"]).ok(), "DRIVER    VOLUME NAME\n");
    create(&["web-data", "--label", "app=web"]);
    create(&["db", "--label", "app=db", "--label", "old"]);
    create(&["web"]);
    container(&"1".repeat(64), "one", "db");
    let table = "DRIVER    VOLUME NAME\nlocal     db\nlocal     web\nlocal     web-data\n";
    assert_eq!(bundles(["volume", "ls"]).ok(), table);
    let some = |filters: &[&str]| {
        let call = bundles(["volume", "ls", "-q"]);
        filters.iter().fold(call, |call, filter| call.args(["--filter", filter])).output().lines()
    };
    assert_eq!(some(&["name=web"]), ["web", "web-data"]);
    assert_eq!(some(&["name=^web$"]), ["web"]);
    assert_eq!(some(&["name=^web$", "name=db"]), ["db", "web"]);
    assert_eq!(some(&["label=app"]), ["db", "web-data"]);
    assert_eq!(some(&["label=app=db"]), ["db"]);
    assert_eq!(some(&["label=app", "label=old"]), ["db"]);
    assert_eq!(some(&["label!=app"]), ["web"]);
    assert_eq!(some(&["dangling=true"]), ["web", "web-data"]);
    assert_eq!(some(&["dangling=false"]), ["db"]);
    assert_eq!(some(&["driver=local"]).len(), 3);
    assert!(some(&["driver=nfs"]).is_empty());
}

fn companion_volume_templates() {
    create(&["a", "--label", "k=v", "--label", "l=w"]);
    create(&["b"]);
    for (format, text) in [
        ("{{.Name}}", "a\nb\n"),
        ("{{.Name}}\\t{{.Labels}}", "a\tk=v,l=w\nb\t\n"),
        ("{{.Label \"k\"}}|", "v|\n|\n"),
        ("{{if eq .Name \"a\"}}first{{else}}other{{end}}", "first\nother\n"),
        ("{{upper .Name | printf \"%3s\"}}", "  A\n  B\n"),
        (
            "table {{.Name}}\\t{{.Driver}}",
            "VOLUME NAME   DRIVER\na             local\nb             local\n",
        ),
        ("{{.CreatedSince}}", ""),
    ] {
        let output = bundles(["volume", "ls", "--format", format]).ok();
        if text.is_empty() {
            assert!(output.lines().all(|line| line.ends_with(" ago")), "{output}");
        } else {
            assert_eq!(output, text, "{format}");
        }
    }
    let lines = bundles(["volume", "ls", "--format", "json"]).output().lines();
    let rows: Vec<Value> = lines.iter().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(
        (rows.len(), &rows[0]["Name"], &rows[0]["Labels"]),
        (2, &json!("a"), &json!("k=v,l=w"))
    );
    let noheading = bundles(["volume", "ls", "--noheading"]).ok();
    assert_eq!(noheading, "local     a\nlocal     b\n");
    let inspected = bundles(["volume", "inspect", "a", "b", "-f"])
        .arg("{{.Name}} {{index .Labels \"k\"}}{{range $k, $v := .Labels}} {{$k}}:{{$v}}{{end}}")
        .ok();
    assert_eq!(inspected, "a v k:v l:w\nb \n");
}

fn companion_volume_in_use_is_not_removed() {
    create(&["data"]);
    container(&"ab".repeat(32), "web", "data");
    for args in [&["rm", "data"][..], &["rm", "-f", "data"]] {
        let output = bundles(["volume"]).args(args).output();
        output.assert_exit(1);
        output.assert_stderr_has("volume data is in use by container web (abababababab)");
        output.assert_stderr_has("hint: remove what uses it: bundles rm -f web");
    }
    bundles(["volume", "prune", "-f", "-a"]).ok();
    assert!(data("data").is_dir());
    fs::remove_dir_all(home().join("containers").join("ab".repeat(32))).expect("rm");
    assert_eq!(bundles(["volume", "rm", "data"]).ok(), "data\n");
}

fn companion_broken_container_record_protects_volumes() {
    create(&["data"]);
    container("k1", "web", "data");
    fs::write(home().join("containers/k1/container.json"), "{\"id\":").expect("write");
    for args in [&["rm", "data"][..], &["prune", "-f", "-a"]] {
        let output = bundles(["volume"]).args(args).output();
        output.assert_exit(1).assert_stderr_has("containers/k1/container.json");
    }
    assert_eq!(names(), ["data"]);
}

fn companion_volume_rm_goes_on_after_a_failure() {
    create(&["a"]);
    create(&["c"]);
    let output = bundles(["volume", "rm", "a", "b", "c"]).output();
    output.assert_exit(1).assert_stderr_has("bundles: no such volume: b");
    assert_eq!(output.stdout(), "a\nc\n");
    assert_eq!(bundles(["volume", "rm", "-f", "b"]).ok(), "b\n");
}

fn companion_volume_prune_takes_the_anonymous() {
    create(&["named", "--label", "keep=no"]);
    let (a, b) = (create(&["--label", "keep=no"]), create(&["--label", "keep=yes"]));
    let output = bundles(["volume", "prune", "-f", "--filter", "label=keep=no"]).ok();
    assert!(
        output.starts_with(&format!("Deleted Volumes:\n{a}\n\nTotal reclaimed space: ")),
        "{output}"
    );
    let mut left = names();
    left.sort();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&b) && left.contains(&"named".to_owned()));
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(names().len(), 2);
    bundles(["system", "prune", "-f", "--volumes"]).ok();
    assert_eq!(names(), ["named"]);
    bundles(["volume", "prune", "-f", "--filter", "all=1"]).ok();
    assert!(names().is_empty());
}

fn companion_volume_prune_counts_what_it_gives_back() {
    let name = create(&[]);
    let df = || {
        bundles(["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}"])
            .output()
            .lines()
    };
    assert_eq!(df()[2], "Local Volumes|1|0|0B");
    fs::write(data(&name).join("file"), vec![1; 5 << 20]).expect("write");
    fs::hard_link(data(&name).join("file"), data(&name).join("same")).expect("link");
    File::create(data(&name).join("sparse")).and_then(|f| f.set_len(1 << 40)).expect("sparse file");
    assert_eq!(df()[2], "Local Volumes|1|0|5.24MB");
    container("k1", "web", &name);
    assert_eq!(df()[2], "Local Volumes|1|1|5.24MB");
    fs::remove_dir_all(home().join("containers/k1")).expect("rm");
    let output = bundles(["volume", "prune", "-f"]).ok();
    assert!(output.ends_with("Total reclaimed space: 5.25MB\n"), "{output}");
    assert_eq!(bundles(["volume", "prune", "-f"]).ok(), "Total reclaimed space: 0B\n");
}

fn companion_volume_options_are_recorded_or_refused() {
    create(&["t", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=100m,uid=1000"]);
    create(&["b", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/srv"]);
    let options = bundles(["volume", "inspect", "-f", "{{json .Options}}", "t"]).ok();
    assert_eq!(options, "{\"device\":\"tmpfs\",\"o\":\"size=100m,uid=1000\",\"type\":\"tmpfs\"}\n");
    for (args, text) in [
        (&["-o", "colour=red"][..], "volume option \"colour\" is not known"),
        (&["-o", "type=nfs", "-o", "device=:/x"], "type=nfs is not supported"),
        (&["-o", "type=none", "-o", "o=bind"], "device= is missing"),
        (&["-o", "type=none", "-o", "o=bind", "-o", "device=srv"], "no absolute path"),
        (&["-d", "rexray"], "volume driver \"rexray\" is not known"),
        (&["--label", "=x"], "the key is missing"),
    ] {
        let output = bundles(["volume", "create", "no"]).args(args).output();
        output.assert_exit(1).assert_stderr_has(text);
    }
    assert_eq!(names(), ["b", "t"]);
}

fn companion_volume_links_are_not_followed() {
    let outside = scratch().join("outside");
    fs::create_dir(&outside).expect("mkdir");
    fs::write(outside.join("file"), vec![1; 5 << 20]).expect("write");
    create(&["a"]);
    create(&["b"]);
    fs::remove_dir(data("a")).expect("rmdir");
    symlink(&outside, data("a")).expect("link");
    symlink(&outside, data("b").join("link")).expect("link");
    symlink(&outside, home().join("volumes/c")).expect("link");
    let df = bundles(["system", "df", "--format", "{{.Size}}"]).output();
    // c is no volume, and said to be none.
    df.assert_exit(1).assert_stderr_has("volumes/c/volume.json");
    bundles(["volume", "rm", "c"]).output().assert_exit(1).assert_stderr_has("rm -f c");
    assert_eq!(bundles(["volume", "rm", "-f", "a", "b", "c"]).ok(), "a\nb\nc\n");
    assert!(outside.join("file").exists());
    assert!(left("volumes").is_empty() && left("tmp").is_empty());
    let leftover = home().join("tmp/1-0");
    symlink(&outside, &leftover).expect("link");
    bundles(["system", "prune", "-f"]).ok();
    assert!(outside.join("file").exists() && left("tmp").is_empty());
}

fn companion_volume_damaged_files_are_told() {
    for name in ["a", "b", "c"] {
        create(&[name]);
    }
    fs::write(home().join("volumes/a/volume.json"), "{").expect("write");
    fs::copy(home().join("volumes/c/volume.json"), home().join("volumes/b/volume.json"))
        .expect("copy");
    let output = bundles(["volume", "ls", "-q"]).output();
    output.assert_exit(1);
    assert_eq!(output.stdout(), "c\n");
    output.assert_stderr_has("volumes/a/volume.json: EOF while parsing");
    output.assert_stderr_has("volumes/b/volume.json: describes another volume, \"c\"");
    bundles(["volume", "rm", "-f", "a", "b"]).ok();
    assert_eq!(names(), ["c"]);
}

fn companion_volumes_of_many_processes() {
    let calls: Vec<Running> = (0..8)
        .map(|n| bundles(["volume", "create", "data", "--label", &format!("by={n}")]).spawn())
        .collect();
    for call in calls {
        assert_eq!(call.wait().assert_exit(0).stdout(), "data\n");
    }
    assert_eq!(names(), ["data"]);
    // One removes it, the others are told so; and creators may be in between.
    let calls: Vec<Running> = (0..8)
        .map(|n| bundles(["volume", if n % 2 == 0 { "rm" } else { "create" }, "data"]).spawn())
        .collect();
    for call in calls {
        let output = call.wait();
        if output.code != 0 {
            output.assert_exit(1).assert_stderr_has("no such volume: data");
        }
    }
    assert!(names().len() <= 1);
    assert!(left("tmp").is_empty(), "{:?}", left("tmp"));
}

fn companion_volumes_of_many_processes_while_pruning() {
    let calls: Vec<Running> = (0..24)
        .map(|n| match n % 3 {
            0 => bundles(["system", "prune", "-f"]).spawn(),
            _ => bundles(["volume", "create", &format!("v{n}")]).spawn(),
        })
        .collect();
    for call in calls {
        call.wait().assert_exit(0);
    }
    assert_eq!(names().len(), 16);
}

/// The calls that change what is on the disk, or say that it is in use.
const CHANGES: &str =
    "flock,fsync,mkdir,open,openat,rename,renameat,rmdir,unlink,unlinkat,write,chmod,fchmodat";

/// A home with a named and an unnamed volume, and what a killed process has left.
fn furnished(number: usize) -> PathBuf {
    let root = scratch().join(format!("home-{number}"));
    let call = |args: &[&str]| bundles(["--root", root.to_str().unwrap()]).args(args).ok();
    call(&["volume", "create", "old"]);
    call(&["volume", "create"]);
    for name in ["volumes/old/_data/file", "tmp/7-0/deep/file", "tmp/7-0.lock"] {
        fs::create_dir_all(root.join(name).parent().unwrap()).expect("mkdir");
        fs::write(root.join(name), "text").expect("write");
    }
    root
}

/// Killed by strace(1) at each of those calls, one after the other.
fn companion_volume_commands_killed_leave_nothing_half() {
    requires!(program("/usr/bin/strace"));
    let mut killed = 0;
    for args in [
        &["volume", "create", "new", "--label", "k=v"][..],
        &["volume", "rm", "old"],
        &["volume", "prune", "-f", "-a"],
        &["system", "prune", "-f"],
    ] {
        let record = scratch().join("record");
        let traced = |root: &Path, expression: &str| {
            let record = record.to_str().unwrap();
            let strace = ["/usr/bin/strace", "-qq", "-o", record, "-e", expression];
            bundles(["--root", root.to_str().unwrap()]).args(args).through(strace).output()
        };
        traced(&furnished(0), &format!("trace={CHANGES}")).assert_exit(0);
        fs::remove_dir_all(scratch().join("home-0")).expect("rm");
        let text = fs::read_to_string(&record).expect("what strace wrote");
        let name = |line: &'_ str| line.split('(').next().unwrap_or_default().to_owned();
        let calls: Vec<String> = text.lines().map(name).filter(|n| !n.is_empty()).collect();
        assert!(calls.len() > 5, "{text}");
        for (number, call) in calls.iter().enumerate() {
            // strace counts the calls of each name.
            let nth = calls.iter().take(number + 1).filter(|other| *other == call).count();
            let root = furnished(number);
            let output = traced(&root, &format!("inject={call}:signal=KILL:when={nth}"));
            assert_eq!(output.code, 1009, "{call} {nth}");
            killed += 1;
            assert_whole(&root);
            // Again, and to the end; it may have been done when it was killed.
            let again = bundles(["--root", root.to_str().unwrap()]).args(args).output();
            if again.code != 0 {
                again.assert_exit(1).assert_stderr_has("no such volume: old");
            }
            assert_whole(&root);
            for args in [&["volume", "prune", "-f", "-a"], &["system", "prune", "-f", "--volumes"]]
            {
                bundles(["--root", root.to_str().unwrap()]).args(args).ok();
            }
            for dir in ["volumes", "tmp"] {
                let rest = fs::read_dir(root.join(dir)).expect("ls").count();
                assert_eq!(rest, 0, "{dir} after {call} {nth} of {args:?}");
            }
            fs::remove_dir_all(root).expect("rm");
        }
    }
    assert!(killed > 60, "{killed}");
}

/// Each volume has what belongs to it, and nothing else is there.
fn assert_whole(root: &Path) {
    for entry in fs::read_dir(root.join("volumes")).expect("ls").flatten() {
        assert!(entry.path().join("_data").is_dir(), "{}", entry.path().display());
        let text = fs::read(entry.path().join("volume.json")).expect("volume.json");
        let json: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(json["name"], *entry.file_name().to_string_lossy());
        if json["name"] == "old" {
            assert!(entry.path().join("_data/file").exists(), "half removed");
        }
    }
    bundles(["--root", root.to_str().unwrap(), "volume", "ls"]).ok();
}

fn companion_prune_spares_living_processes() {
    bundles(["volume", "ls"]).ok();
    let tmp = home().join("tmp");
    for name in ["77-0", "78-0"] {
        fs::create_dir_all(tmp.join(name)).expect("mkdir");
        fs::write(tmp.join(name).join("file"), vec![1; 3 << 20]).expect("write");
    }
    let lock = File::create(tmp.join("77-0.lock")).expect("lock file");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e).expect("flock");
    let row = || bundles(["system", "df", "--format", "{{.Type}} {{.Size}}"]).output().lines();
    assert_eq!(row()[4], "Leftovers 3.15MB");
    assert_eq!(bundles(["system", "prune", "-f"]).ok(), "Total reclaimed space: 3.15MB\n");
    assert!(tmp.join("77-0/file").exists() && !tmp.join("78-0").exists());
    drop(lock);
    assert_eq!(bundles(["system", "prune", "-f"]).ok(), "Total reclaimed space: 3.15MB\n");
    assert!(left("tmp").is_empty(), "{:?}", left("tmp"));
}

/// Once without a block, once without an inode.
fn companion_volumes_on_a_full_disk() {
    for options in ["size=256k", "size=8m,nr_inodes=64"] {
        let disk = HostMount::tmpfs(&scratch().join("disk"), options);
        let root = disk.path().join("home");
        let call = |args: &[&str]| bundles(["--root", root.to_str().unwrap()]).args(args);
        let full = (0..200).find_map(|n| {
            let output = call(&["volume", "create", &format!("v{n}")]).output();
            (output.code != 0).then_some(output)
        });
        let full = full.expect("it was never full");
        full.assert_exit(1).assert_stderr_has("No space left on device");
        let entries = |dir: &str| fs::read_dir(root.join(dir)).expect("ls").count();
        assert_eq!(entries("tmp"), 0, "{options}");
        let listed = call(&["volume", "ls", "-q"]).output();
        assert_eq!(listed.assert_exit(0).lines().len(), entries("volumes"), "{options}");
        assert!(entries("volumes") > 3, "{options}");
        // As a killed command leaves it; then not a byte is free.
        fs::rename(root.join("volumes/v0"), root.join("tmp/7-0")).expect("rename");
        fs::write(disk.path().join("rest"), vec![1; 8 << 20]).ok();
        call(&["volume", "rm", "v1"]).ok();
        call(&["system", "prune", "-f"]).ok();
        call(&["volume", "prune", "-f", "-a"]).ok();
        assert_eq!((entries("volumes"), entries("tmp")), (0, 0), "{options}");
        fs::remove_file(disk.path().join("rest")).ok();
        call(&["volume", "create", "again"]).ok();
    }
}

fn companion_volumes_of_an_ordinary_user() {
    let user = SecondUser::new();
    let call = |args: &[&str]| bundles_as(&user, args);
    assert_eq!(call(&["volume", "create", "data"]).ok(), "data\n");
    let at = call(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok();
    let at = Path::new(at.trim());
    assert_eq!(at, user.directory("share").join("bundles/volumes/data/_data"));
    let mode = |path: &Path| fs::metadata(path).expect("stat").permissions().mode() & 0o777;
    assert_eq!((mode(&user.dir().join("share/bundles")), mode(at)), (0o700, 0o755));
    // A directory that is closed even to its owner.
    for dir in ["closed", "closed/deep"] {
        user.directory(&format!("share/bundles/volumes/data/_data/{dir}"));
    }
    for dir in ["closed/deep", "closed"] {
        fs::set_permissions(at.join(dir), fs::Permissions::from_mode(0o000)).expect("chmod");
    }
    assert_eq!(call(&["volume", "rm", "data"]).ok(), "data\n");
    assert!(fs::read_dir(user.dir().join("share/bundles/tmp")).expect("tmp").next().is_none());
    // The home of another user.
    create(&["roots"]);
    fs::set_permissions(home(), fs::Permissions::from_mode(0o700)).expect("chmod");
    let output = call(&["--root", home().to_str().unwrap(), "volume", "ls"]).output();
    output.assert_exit(1).assert_stderr_has("Permission denied");
    call(&["volume", "ls"]).env("XDG_DATA_HOME", "").env("HOME", "").output().assert_exit(1);
}

/// As containers with a range of ids leave them.
fn companion_volume_of_an_ordinary_user_with_foreign_files() {
    let user = SecondUser::new();
    bundles_as(&user, ["volume", "create", "data"]).ok();
    let share = user.directory("share");
    let foreign = share.join("bundles/volumes/data/_data/foreign");
    fs::create_dir(&foreign).expect("mkdir");
    fs::write(foreign.join("file"), "text").expect("write");
    chown(&foreign, Some(300_000), Some(300_000)).expect("chown");
    let output = bundles_as(&user, ["volume", "rm", "data"]).output();
    output.assert_exit(1).assert_stderr_has("volume data: removed, but files of it are left");
    output.assert_stderr_has("hint: files of other users have to be removed by them, or by root");
    assert_eq!(bundles_as(&user, ["volume", "ls", "-q"]).ok(), "");
    let root = share.join("bundles");
    bundles(["--root", root.to_str().unwrap(), "system", "prune", "-f"]).ok();
    assert!(fs::read_dir(root.join("tmp")).expect("tmp").next().is_none());
}
