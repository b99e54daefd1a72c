//! `rt plan` against files: a review sees in them what a change does to every configuration.
//! `UPDATE_GOLDEN=1 make test-runtime T=golden` writes them anew.

use std::fs;
use std::path::Path;

use runtime_tests::prelude::*;

tests![docker_plan, rootless_plan, plan_of_everything];

fn docker_plan() {
    check("docker");
}

fn rootless_plan() {
    check("rootless");
}

fn plan_of_everything() {
    check("everything");
}

/// Plans `NAME.json` and compares with `NAME.txt` and `NAME.plan.json`. The directory of the bundle
/// is written as BUNDLE.
#[track_caller]
fn check(name: &str) {
    requires!(command("plan"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let bundle = scratch().join("bundle");
    fs::create_dir(&bundle).unwrap();
    fs::copy(golden.join(format!("{name}.json")), bundle.join("config.json")).unwrap();
    let at = bundle.to_str().unwrap();
    for (format, ending) in [("text", "txt"), ("json", "plan.json")] {
        let output = Call::plain(["plan", "--format", format, "--bundle", at]).output();
        output.assert_exit(0);
        let found = output.stdout().replace(at, "BUNDLE");
        let file = golden.join(format!("{name}.{ending}"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &found).unwrap();
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, wanted, "{} (UPDATE_GOLDEN=1 writes it)", file.display());
    }
}
