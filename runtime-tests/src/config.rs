//! config.json files, made in code: a small one for tests, and one as Docker would write it.

use serde_json::{Value, json};

/// Capabilities of an ordinary (not privileged) Docker container.
pub const DOCKER_CAPS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// System calls which the Docker-like profile refuses: those that need a capability beyond
/// [`DOCKER_CAPS`], load code into the kernel, or are obsolete.
const REFUSED: &[&str] = &[
    "_sysctl",
    "acct",
    "add_key",
    "afs_syscall",
    "bpf",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "getpmsg",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "lsm_get_self_attr",
    "lsm_list_modules",
    "lsm_set_self_attr",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "open_tree_attr",
    "perf_event_open",
    "pivot_root",
    "putpmsg",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "security",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "tuxcall",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vserver",
];

/// System call names of `x86_64` and i386 up to Linux 6.18, one per line.
const SYSCALLS: &str = include_str!("../data/syscalls.txt");

/// The smallest configuration that the tests start from: /proc, /dev, new namespaces, no limits.
///
/// `cgroups_path` may be empty: the runtime then chooses.
pub fn minimal(cgroups_path: &str, rootless: bool) -> Value {
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/probe", "true"],
            "env": ["PATH=/bin:/usr/bin:/"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": capabilities(&DOCKER_CAPS),
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "tests",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "namespaces": namespaces(&["pid", "network", "ipc", "uts", "mount"]),
            "resources": {},
            "maskedPaths": [],
            "readonlyPaths": [],
        },
        "annotations": {},
        "hooks": {},
    });
    if !cgroups_path.is_empty() && !rootless {
        config["linux"]["cgroupsPath"] = json!(cgroups_path);
    }
    config
}

/// `linux.namespaces` that creates one of each.
pub fn namespaces(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({ "type": kind })).collect()
}

/// The sets an engine sends: bounding, effective and permitted alike, nothing inheritable.
pub fn capabilities(names: &[&str]) -> Value {
    json!({ "bounding": names, "effective": names, "permitted": names, "inheritable": [], "ambient": [] })
}

/// A configuration like that of `docker run --rm IMAGE`: 14 capabilities, eleven mounts of which
/// three are files in `etc/` of the bundle, masks, device rules, seccomp.
///
/// The root is `rootfs` in the bundle; `etc/{resolv.conf,hostname,hosts}` must exist beside it.
pub fn docker_like() -> Value {
    let bind_file = |name: &str| {
        json!({ "destination": format!("/etc/{name}"), "type": "bind", "source": format!("etc/{name}"),
                "options": ["rbind", "rprivate"] })
    };
    let mut config = minimal("", false);
    config["process"]["args"] = json!(["/bin/true"]);
    config["process"]["env"] = json!([
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=c",
        "HOME=/root"
    ]);
    config["process"]["user"] = json!({ "uid": 0, "gid": 0, "umask": 18, "additionalGids": [0] });
    config["process"]["oomScoreAdj"] = json!(0);
    config["process"]["noNewPrivileges"] = json!(false);
    config["hostname"] = json!("c");
    config["mounts"] = json!([
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]
        ),
        bind_file("resolv.conf"),
        bind_file("hostname"),
        bind_file("hosts"),
    ]);
    config["linux"]["namespaces"] =
        namespaces(&["mount", "network", "uts", "pid", "ipc", "cgroup"]);
    config["linux"]["resources"] = json!({ "devices": docker_device_rules() });
    config["linux"]["seccomp"] = docker_seccomp();
    config["linux"]["maskedPaths"] = json!([
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap"
    ]);
    config["linux"]["readonlyPaths"] =
        json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
    config
}

/// One entry of `mounts`.
pub fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

/// Everything is refused but null, zero, full, random, urandom, tty and console.
fn docker_device_rules() -> Value {
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for (major, minor) in [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)] {
        rules.push(
            json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" }),
        );
    }
    rules.push(json!({ "allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm" }));
    Value::Array(rules)
}

/// A profile of Docker's kind and size: an allow list of some 300 names over three architectures,
/// argument checks on personality, socket, clone; clone3 answers ENOSYS so that libraries fall back.
fn docker_seccomp() -> Value {
    const ENOSYS: u32 = 38;
    /// All `CLONE_NEW*` flags.
    const NAMESPACE_FLAGS: u64 = 0x7e02_0000;
    let special = ["personality", "socket", "clone", "clone3"];
    let names: Vec<&str> = SYSCALLS
        .lines()
        .filter(|name| !REFUSED.contains(name) && !special.contains(name))
        .collect();
    let mut rules = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    for personality in [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff_u32] {
        rules.push(json!({ "names": ["personality"], "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 0, "value": personality, "op": "SCMP_CMP_EQ" }] }));
    }
    rules.push(json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 0, "value": 40, "op": "SCMP_CMP_NE" }] }));
    rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 0, "value": NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] }));
    rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}
