//! `bundles images --filter` and `image prune`: which images are meant.

use std::fs;

use runtime_tests::archive::{Tar, config, saved_with};
use runtime_tests::companion::{Root, bundles};
use runtime_tests::prelude::*;

tests![
    companion_images_are_filtered,
    companion_image_prune,
    companion_image_prune_spares_what_is_used,
    companion_image_filters_of_no_sense,
];

/// One image, made in this year, with a label `l` of this value.
fn load(name: &str, year: u32, label: &str) {
    let layers = [Tar::new().file("f", name.as_bytes()).bytes()];
    let mut config = config(&layers);
    config["created"] = format!("{year}-01-02T03:04:05Z").into();
    config["config"]["Labels"] = json!({ "l": label });
    let path = scratch().join("archive.tar");
    fs::write(&path, saved_with(name, &layers, &config)).expect("write");
    bundles(["load", "-q", "-i"]).arg(path).ok();
}

/// The names of those that fit, in the order of the list, which has the newest first.
fn names(args: &[&str]) -> Vec<String> {
    let format = "{{.Repository}}:{{.Tag}}";
    bundles(["images", "--format", format]).args(args).output().lines()
}

fn three() {
    load("app:1", 2021, "a");
    load("localhost:5000/x/app:2", 2022, "b");
    load("base", 2020, "a");
}

fn companion_images_are_filtered() {
    three();
    load("base", 2023, "c"); // takes the name from the other one
    let (app, far, base, none) =
        ("app:1", "localhost:5000/x/app:2", "base:latest", "<none>:<none>");
    assert_eq!(names(&[]), [base, far, app, none]);
    for (filters, wanted) in [
        (&["dangling=true"][..], &[none][..]),
        (&["dangling=false"], &[base, far, app]),
        (&["label=l=a"], &[app, none]),
        (&["label=l", "label!=l=a"], &[base, far]),
        (&["label=nosuch"], &[]),
        (&["before=base"], &[far, app, none]),
        (&["since=app:1"], &[base, far]),
        (&["since=app:1", "before=base"], &[far]),
        (&["until=2022-01-01"], &[app, none]),
        (&["reference=app"], &[app]),
        (&["reference=*:latest"], &[base]),
        (&["reference=*/*/a?p"], &[far]),
        (&["reference=app:*", "reference=base"], &[base, app]),
    ] {
        let words: Vec<&str> = filters.iter().flat_map(|filter| ["--filter", filter]).collect();
        assert_eq!(names(&words), wanted, "{filters:?}");
    }
    // A name may be a pattern, too.
    assert_eq!(names(&["*a*"]), [base, app]);
    assert_eq!(names(&["-f", "label=l=a", "*a*"]), [app]);
    assert_eq!(bundles(["image", "ls", "-q", "-f", "dangling=true"]).output().lines().len(), 1);
}

fn companion_image_prune() {
    three();
    load("base", 2023, "c");
    let said = bundles(["image", "prune"]).stdin("n\n").output();
    said.assert_exit(1).assert_stderr_has("nothing was removed");
    assert!(said.stdout().starts_with("WARNING! This will remove all images without a name.\n"));
    let said = bundles(["image", "prune", "-f", "--filter", "label!=l=a"]).ok();
    assert_eq!(said, "Total reclaimed space: 0B\n");
    let said = bundles(["image", "prune", "-f"]).ok();
    assert!(said.starts_with("Deleted Images:\ndeleted: sha256:"), "{said}");
    assert_eq!(names(&[]).len(), 3);
    let said = bundles(["image", "prune", "-af", "--filter", "until=2022-06-01"]).ok();
    assert!(
        said.contains("\nuntagged: app:1\n")
            || said.contains("\nuntagged: localhost:5000/x/app:2\n"),
        "{said}"
    );
    assert_eq!(names(&[]), ["base:latest"]);
    let said = bundles(["image", "prune", "-a"]).stdin("y\n").ok();
    assert!(said.contains("remove all images from which no container is made."), "{said}");
    assert!(names(&[]).is_empty());
}

fn companion_image_prune_spares_what_is_used() {
    let _requirements = Root::new();
    three();
    bundles(["create", "--name", "k1", "app:1", "true"]).ok();
    bundles(["image", "prune", "-af"]).ok();
    assert_eq!(names(&[]), ["app:1"]);
    bundles(["rm", "k1"]).ok();
}

fn companion_image_filters_of_no_sense() {
    load("app:1", 2021, "a");
    for (filter, text) in [
        ("colour=red", "the keys here are: dangling label label! before since reference until"),
        ("dangling=perhaps", "--filter dangling=perhaps: neither true nor false"),
        ("before=nosuch", "image nosuch:latest: not in the store"),
        ("reference=[a", "--filter reference=[a: \"[a\" is no pattern"),
        ("until=soon", "--filter until=soon: not a time"),
    ] {
        bundles(["images", "--filter", filter]).output().assert_exit(1).assert_stderr_has(text);
    }
    let wrong = bundles(["image", "prune", "-f", "--filter", "dangling=true"]).output();
    wrong.assert_exit(1).assert_stderr_has("the keys here are: until label label!");
}
