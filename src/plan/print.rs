//! `rt plan`: one line per intent, with the field that it comes from on the right.
//!
//! Runs in: parent. Pure. Text and JSON are made from the same lines.

use super::intel_rdt::Class;
use super::mount::{Attributes, FsOption, Propagation, Recursion, attr};
use super::namespaces::IdMap;
use super::process::capability_names;
use super::rootfs::{Bind, FileSystem, Step};
use super::scheduling::{Scheduler, Scheduling};
use super::{Pivot, Plan, annotations};
use crate::plan::cgroup::Location;
use serde_json::{Value, json};
use std::ffi::CString;

/// A line of the plan.
struct Line {
    /// `namespaces`, `rootfs`
    section: &'static str,
    /// `create: user pid`
    what: String,
    /// `linux.namespaces`; empty where there is no single one.
    field: String,
}

pub(crate) fn text(plan: &Plan) -> String {
    let mut text = format!(
        "# what rt will attempt for bundle {}; kernel and image may still refuse\n",
        plan.bundle.display()
    );
    let mut last = "";
    for line in lines(plan) {
        let section = if line.section == last { "" } else { line.section };
        last = line.section;
        let row = format!("{section:<12} {:<64} {}", line.what, line.field);
        text.push_str(row.trim_end());
        text.push('\n');
    }
    for warning in &plan.warnings {
        text.push_str(&format!("# warning: {warning}\n"));
    }
    text
}

pub(crate) fn json(plan: &Plan) -> Value {
    let lines: Vec<Value> = lines(plan)
        .into_iter()
        .map(|line| json!({ "section": line.section, "intent": line.what, "field": line.field }))
        .collect();
    json!({ "bundle": plan.bundle, "id": plan.id, "intents": lines, "warnings": plan.warnings })
}

fn lines(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |section, what: String, field: &str| {
        lines.push(Line { section, what, field: field.into() });
    };
    namespaces(plan, &mut add);
    cgroup(plan, &mut add);
    let rootfs = &plan.rootfs;
    let pivot = match rootfs.pivot {
        Pivot::Switch => "pivot_root",
        Pivot::MoveRoot => "move root",
        Pivot::Chroot => "chroot",
    };
    let read_only = if rootfs.root_read_only { " ro" } else { "" };
    let propagation = rootfs.propagation.unwrap_or(Propagation::DEFAULT).name();
    add("rootfs", format!("{} {pivot} {propagation}{read_only}", show(&rootfs.path)), "root");
    for (n, step) in rootfs.steps.iter().enumerate() {
        let (what, field) = describe(step);
        add("rootfs", format!("{:>3} {what}", n + 1), &field);
    }
    for target in &rootfs.read_only {
        add("rootfs", format!("    read-only  {}", show(&target.path)), &target.field);
    }
    for target in &rootfs.masked {
        add("rootfs", format!("    mask       {}", show(&target.path)), &target.field);
    }
    for (kind, hooks) in plan.hooks.kinds() {
        for hook in hooks {
            add("hooks", format!("{kind:<15} {}", show(&hook.path)), &hook.field);
        }
    }
    process(plan, &mut add);
    lines
}

fn show(text: &CString) -> String {
    text.to_string_lossy().into_owned()
}

fn namespaces(plan: &Plan, add: &mut impl FnMut(&'static str, String, &str)) {
    let spaces = &plan.namespaces;
    let names: Vec<&str> = spaces.create.iter().map(|kind| kind.name()).collect();
    if !names.is_empty() {
        add("namespaces", format!("create: {}", names.join(" ")), "linux.namespaces");
    }
    for join in &spaces.join {
        add(
            "namespaces",
            format!("join: {}={}", join.kind.name(), join.path.display()),
            &join.field,
        );
    }
    for (name, maps, field) in [
        ("uid", &spaces.uid_maps, "linux.uidMappings"),
        ("gid", &spaces.gid_maps, "linux.gidMappings"),
    ] {
        for map in maps {
            let last = map.container + (map.size - 1);
            add("ids", format!("{name} {}..{last} -> {}", map.container, map.host), field);
        }
    }
    for device in &plan.net_devices {
        let what = format!("move {} in as {}", device.host_name, device.container_name);
        add("network", what, &device.field);
    }
    for offset in &spaces.time_offsets {
        let what = format!("{} {:+} s {} ns", offset.clock, offset.secs, offset.nanosecs);
        add("time", what, &format!("linux.timeOffsets.{}", offset.clock));
    }
}

fn cgroup(plan: &Plan, add: &mut impl FnMut(&'static str, String, &str)) {
    let place = match &plan.cgroup.location {
        Location::BelowMount(path) => format!("/{}", path.display()),
        Location::BesideOwn(path) => format!("{} (beside rt's own)", path.display()),
    };
    let field = if plan.cgroup.explicit { "linux.cgroupsPath" } else { "default" };
    match &plan.cgroup.unit {
        None => add("cgroup", place, field),
        Some(unit) => {
            let slice = unit.slice.as_deref().unwrap_or("the manager's slice");
            add("cgroup", format!("{} of systemd, in {slice}", unit.name), field);
            for (name, value) in &unit.properties {
                add("cgroup", format!("  property {name}={value}"), field);
            }
        }
    }
    if let Some(owner) = plan.cgroup.owner {
        add("cgroup", format!("  delegated to user {owner} of the host"), "mounts");
    }
    for write in &plan.cgroup.limits.writes {
        add("cgroup", format!("  {}={}", write.file, write.value.trim_end()), &write.field);
    }
    if let Some(rules) = &plan.cgroup.limits.devices {
        add("cgroup", format!("  devices: {} rules", rules.len()), "linux.resources.devices");
    }
    if let Some(rdt) = &plan.intel_rdt {
        let group = match &rdt.class {
            Class::Own => &plan.id,
            Class::Root => "/",
            Class::Named(name) => name,
        };
        let monitor = if rdt.monitoring { ", with its own monitoring group" } else { "" };
        add("resctrl", format!("group {group}{monitor}"), "linux.intelRdt.closID");
        for line in &rdt.schemata {
            add("resctrl", format!("  {}", line.trim()), "linux.intelRdt");
        }
    }
}

fn describe(step: &Step) -> (String, String) {
    match step {
        Step::FileSystem(mount) => (file_system(mount), mount.target.field.clone()),
        Step::Bind(mount) => (bind(mount), mount.target.field.clone()),
        Step::Cgroup(mount) => {
            let how = if mount.namespaced { "" } else { " (own directory bound)" };
            let what =
                format!("cgroup  {}{}{how}", show(&mount.target.path), words(mount.attributes, ""));
            (what, mount.target.field.clone())
        }
        Step::Remount(mount) => {
            let mut what =
                format!("remount {}{}", show(&mount.target.path), words(mount.attributes, ""));
            what.push_str(&words(mount.recursive, "r"));
            (what, mount.target.field.clone())
        }
        Step::Device(device) => {
            let what = format!(
                "device  {} {} {}:{} {:04o} (else bind from host)",
                show(&device.target.path),
                device.kind.letter(),
                device.major,
                device.minor,
                device.mode
            );
            (what, device.target.field.clone())
        }
        Step::Symlink(link) => (
            format!("link    {} -> {}", show(&link.target.path), show(&link.to)),
            link.target.field.clone(),
        ),
    }
}

fn file_system(mount: &FileSystem) -> String {
    let mut what = format!(
        "mount   {}  {}{}",
        show(&mount.fstype),
        show(&mount.target.path),
        words(mount.attributes, "")
    );
    for option in &mount.options {
        what.push_str(&match option {
            FsOption::Flag(flag) => format!(" {}", show(flag)),
            FsOption::Value(key, value) => format!(" {}={}", show(key), show(value)),
        });
    }
    if mount.copy_up {
        what.push_str(" tmpcopyup");
    }
    if let Some(propagation) = mount.propagation {
        what.push_str(&format!(" {}", propagation.name()));
    }
    what
}

fn bind(mount: &Bind) -> String {
    let mut what = format!("bind    {} -> {}", show(&mount.source), show(&mount.target.path));
    what.push_str(&words(mount.attributes, ""));
    what.push_str(&words(mount.recursive, "r"));
    what.push_str(&format!(" {}", mount.propagation.name()));
    if let Some(idmap) = &mount.idmap {
        let name = if idmap.recursion == Recursion::Whole { "ridmap" } else { "idmap" };
        let (uids, gids) = (ranges(&idmap.uid_maps), ranges(&idmap.gid_maps));
        what.push_str(&format!(" {name}=uids={uids};gids={gids}"));
    }
    what
}

/// `0-1000-10#10-2000-5`, as in the option.
fn ranges(maps: &[IdMap]) -> String {
    let one = |map: &IdMap| format!("{}-{}-{}", map.container, map.host, map.size);
    maps.iter().map(one).collect::<Vec<_>>().join("#")
}

/// ` ro nosuid`: the attributes as mount options.
fn words(attributes: Attributes, prefix: &str) -> String {
    let table = [
        (attr::RDONLY, "ro", "rw"),
        (attr::NOSUID, "nosuid", "suid"),
        (attr::NODEV, "nodev", "dev"),
        (attr::NOEXEC, "noexec", "exec"),
        (attr::NOATIME, "noatime", ""),
        (attr::STRICTATIME, "strictatime", ""),
        (attr::NODIRATIME, "nodiratime", "diratime"),
        (attr::NOSYMFOLLOW, "nosymfollow", "symfollow"),
    ];
    let mut text = String::new();
    for (bit, set, clear) in table {
        let word = if attributes.set & bit != 0 {
            set
        } else if attributes.clear & bit != 0 {
            clear
        } else {
            ""
        };
        if !word.is_empty() {
            text.push_str(&format!(" {prefix}{word}"));
        }
    }
    text
}

fn scheduling(plan: &Scheduling, add: &mut impl FnMut(&'static str, String, &str)) {
    if let Some(scheduler) = &plan.scheduler {
        let Scheduler { name, nice, priority, flags, times_ns, .. } = scheduler;
        let mut what = format!("{name} nice={nice} priority={priority} flags={flags:#x}");
        if *times_ns != [0; 3] {
            what.push_str(&format!(" runtime, deadline, period={times_ns:?} ns"));
        }
        add("process", what, "process.scheduler");
    }
    if let Some(priority) = &plan.io_priority {
        let what = format!("{} level={}", priority.name, priority.level);
        add("process", what, "process.ioPriority");
    }
    for (name, cpus) in [("initial", &plan.exec_initial), ("final", &plan.exec_final)] {
        if let Some(cpus) = cpus {
            let what = format!("CPUs of exec, {name}: {}", cpus.text);
            add("process", what, &format!("process.execCPUAffinity.{name}"));
        }
    }
}

fn process(plan: &Plan, add: &mut impl FnMut(&'static str, String, &str)) {
    let process = &plan.process;
    let groups = match process.keep_groups {
        true => "the caller's".to_string(),
        false => format!("{:?}", process.groups),
    };
    let mut who = format!(
        "uid={} gid={} groups={groups} umask={:04o}",
        process.uid, process.gid, process.umask
    );
    if process.no_new_privs {
        who.push_str(" no_new_privs");
    }
    if process.terminal {
        who.push_str(" terminal");
    }
    add("process", who, "process.user");
    let sets = process.capabilities;
    add(
        "process",
        format!("caps={}", capability_names(sets.permitted)),
        "process.capabilities.permitted",
    );
    if sets.bounding != sets.permitted {
        add(
            "process",
            format!("caps bounding={}", capability_names(sets.bounding)),
            "process.capabilities.bounding",
        );
    }
    let mount_label = plan.rootfs.mount_label.as_ref().map(|mount| &mount.label);
    for (name, label, field) in [
        ("apparmor", process.apparmor_profile.as_ref(), "process.apparmorProfile"),
        ("selinux", process.selinux_label.as_ref(), "process.selinuxLabel"),
        ("selinux of mounts", mount_label, "linux.mountLabel"),
    ] {
        if let Some(label) = label {
            add("process", format!("{name}={}", show(label)), field);
        }
    }
    if let Some(score) = process.oom_score_adj {
        add("process", format!("oom_score_adj={score}"), "process.oomScoreAdj");
    }
    scheduling(&process.scheduling, add);
    if let Some(domain) = plan.personality {
        add("process", format!("personality={domain:#x}"), "linux.personality");
    }
    if let Some(policy) = &plan.memory_policy {
        let nodes = policy.nodes.as_ref().map_or("none", |nodes| &nodes.text);
        let what = format!("{} nodes={nodes} mode={:#x}", policy.name, policy.mode);
        add("process", what, "linux.memoryPolicy");
    }
    for limit in &process.rlimits {
        add("process", format!("{} {} {}", limit.name, limit.soft, limit.hard), &limit.field);
    }
    for sysctl in &plan.sysctl {
        add("sysctl", format!("{}={}", sysctl.path, sysctl.value), &sysctl.field);
    }
    if let Some(filter) = &plan.seccomp {
        let when = if process.no_new_privs { "last thing" } else { "last thing but capset" };
        let what = format!(
            "{} instructions, flags {:#x}, load: {when}",
            filter.program.len(),
            filter.flags
        );
        add("seccomp", what, "linux.seccomp");
        if let Some(notify) = &filter.notify {
            let what = format!("notify: {}", notify.listener_path.display());
            add("seccomp", what, &notify.field());
        }
    }
    extensions(plan, add);
    let args: Vec<String> = process.args.iter().map(show).collect();
    add("exec", args.join(" "), "process.args");
    add("exec", format!("cwd {}", show(&process.cwd)), "process.cwd");
}

/// Annotations with a meaning, as they are; but for a filter, which is shown as such.
fn extensions(plan: &Plan, add: &mut impl FnMut(&'static str, String, &str)) {
    for key in &plan.extensions.in_effect {
        if *key == annotations::SECCOMP_BPF {
            continue;
        }
        let value = plan.annotations.get(*key).map(String::as_str).unwrap_or_default();
        add("annotation", format!("{key}={value}"), &annotations::field(key));
    }
}
