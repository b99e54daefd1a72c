//! The default seccomp profile.
//!
//! Runs in: pure. What it lets through stands in seccomp.txt; here is what depends on arguments.

use super::capabilities::Set;
use serde_json::{Value, json};

const CALLS: &str = include_str!("seccomp.txt");

/// All namespaces of clone(2): `CLONE_NEWNS` and so on, without `CLONE_NEWTIME`, which is no flag
/// of clone.
const NAMESPACES: u64 = 0x7e02_0000;
/// Values of personality(2) that change nothing for security: Linux, 32-bit Linux, both with
/// `UNAME26`, and the query.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;

/// The profile for a container with these capabilities.
pub(crate) fn profile(granted: &Set) -> Value {
    let allow = |names: &[&str], args: Value| json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args });
    let argument =
        |index: u32, value: u64, op: &str| json!([{ "index": index, "value": value, "op": op }]);
    let mut rules = vec![json!({ "names": names(granted), "action": "SCMP_ACT_ALLOW" })];
    // The kernel's crypto and virtual machines' sockets have no namespace.
    rules.push(allow(&["socket"], argument(0, AF_ALG, "SCMP_CMP_LT")));
    rules.push(allow(&["socket"], argument(0, AF_ALG + 1, "SCMP_CMP_EQ")));
    rules.push(allow(&["socket"], argument(0, AF_VSOCK, "SCMP_CMP_GT")));
    for value in PERSONALITIES {
        rules.push(allow(&["personality"], argument(0, value, "SCMP_CMP_EQ")));
    }
    if granted.contains("CAP_SYS_ADMIN") {
        rules.push(json!({ "names": ["clone", "clone3"], "action": "SCMP_ACT_ALLOW" }));
    } else {
        let flags = if cfg!(target_arch = "s390x") { 1 } else { 0 };
        rules.push(allow(&["clone"], json!([{ "index": flags, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }])));
        // A filter can't look into its structure; C libraries take clone then.
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": architectures(),
        "syscalls": rules,
    })
}

/// Those that need nothing, and those of the capabilities.
fn names(granted: &Set) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut wanted = false;
    for line in CALLS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(capability) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            wanted = capability.is_empty() || granted.contains(capability);
        } else if wanted {
            names.extend(line.split_whitespace());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A 64-bit kernel also takes the calls of its 32-bit programs.
fn architectures() -> &'static [&'static str] {
    if cfg!(target_arch = "x86_64") {
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    } else if cfg!(target_arch = "aarch64") {
        &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_follow_the_capabilities() {
        let none = names(&Set::new());
        let some = names(&Set::from(["CAP_SYS_TIME"]));
        assert!(none.contains(&"read") && none.contains(&"execve") && !none.contains(&"mount"));
        assert!(!none.contains(&"settimeofday") && some.contains(&"settimeofday"));
        assert!(names(&Set::from(["CAP_SYS_ADMIN"])).contains(&"mount"));
    }

    #[test]
    fn namespaces_of_clone_need_sys_admin() {
        let rule = |granted: &Set, name: &str| {
            let profile = profile(granted);
            let rules = profile["syscalls"].as_array().unwrap().clone();
            let named = |rule: &&Value| rule["names"].as_array().unwrap().contains(&json!(name));
            rules.iter().find(named).unwrap().clone()
        };
        let set = Set::from(["CAP_SYS_ADMIN"]);
        assert_eq!(rule(&Set::new(), "clone3")["errnoRet"], 38);
        assert_eq!(rule(&Set::new(), "clone")["args"][0]["value"], 0x7e02_0000);
        assert_eq!(rule(&set, "clone3")["action"], "SCMP_ACT_ALLOW");
    }

    #[test]
    fn no_call_is_named_with_and_without_arguments() {
        for name in ["socket", "personality", "clone", "clone3"] {
            let mut lines = CALLS.lines().filter(|line| !line.starts_with('#'));
            assert!(!lines.any(|line| line.split(' ').any(|word| word == name)), "{name}");
        }
    }
}
