use super::*;
use crate::error::{chain, hint};
use crate::plan::cgroup::{ZeroPids, limits};

const HYBRID: &[u8] = b"\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory,release_agent=/x
37 31 0:34 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

fn hybrid() -> Host {
    Host::from_mountinfo(HYBRID)
}

#[test]
fn hybrid_host_is_told_by_its_mounts() {
    let Host::Hybrid { mount, v1 } = hybrid() else { panic!("not hybrid") };
    assert_eq!(mount.point, Path::new("/sys/fs/cgroup/unified"));
    let controllers: Vec<&str> = v1.keys().map(String::as_str).collect();
    assert_eq!(controllers, ["blkio", "cpu", "cpuacct", "memory", "name=systemd"]);
    assert_eq!(v1["cpuacct"].point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
}

#[test]
fn unified_legacy_and_absent_hosts_are_told_by_their_mounts() {
    let line = b"50 31 0:38 / /cg rw - cgroup2 none rw\n";
    let mount = CgroupMount { point: "/cg".into(), root: "/".into() };
    assert_eq!(Host::from_mountinfo(line), Host::Unified { mount });
    let text = b"5 1 0:3 / /c/memory rw - cgroup none rw,memory\n";
    let memory = CgroupMount { point: "/c/memory".into(), root: "/".into() };
    let v1 = BTreeMap::from([("memory".to_owned(), memory)]);
    let legacy = Host::from_mountinfo(text);
    assert_eq!(legacy, Host::Legacy { v1 });
    let err = legacy.path(&Location::BelowMount("a".into())).unwrap_err();
    assert_eq!(
        chain(&err),
        "this host mounts cgroup v1 hierarchies only; processes are kept in cgroup v2"
    );
    assert_eq!(Host::from_mountinfo(b""), Host::Absent);
}

fn refusal(host: &Host, resources: &str) -> Option<(String, String)> {
    let resources = serde_json::from_str(resources).unwrap();
    let limits = limits(&resources, ZeroPids::Limit).unwrap();
    let checked = host.check_refusals(&limits);
    let err =
        checked.and_then(|()| host.check_controllers(&limits, &["hugetlb".to_owned()])).err()?;
    Some((chain(&err), hint(&err).unwrap_or_default().to_owned()))
}

#[test]
fn limits_are_checked_where_their_controller_lives() {
    for resources in [
        r#"{"memory":{"limit":1048576,"swappiness":10,"disableOOMKiller":true}}"#,
        r#"{"blockIO":{"weight":500,"leafWeight":10}}"#,
        r#"{"cpu":{"realtimeRuntime":10}}"#,
    ] {
        assert_eq!(refusal(&hybrid(), resources), None, "{resources}");
    }
    for (resources, text) in [
        (
            r#"{"unified":{"memory.max":"max"}}"#,
            "linux.resources.unified[\"memory.max\"]: the memory controller is mounted as cgroup \
             v1 on this host, and linux.resources.unified is for cgroup v2",
        ),
        (
            r#"{"network":{"classID":1}}"#,
            "linux.resources.network.classID: cgroup v2 has no net_cls controller",
        ),
    ] {
        assert_eq!(refusal(&hybrid(), resources).map(|found| found.0), Some(text.to_owned()));
    }
}

#[test]
fn limits_of_controllers_that_do_not_exist_are_refused_otherwise() {
    assert_eq!(
        refusal(&hybrid(), r#"{"pids":{"limit":5}}"#),
        Some((
            "linux.resources.pids.limit: cgroup v2 has no pids controller on this host".into(),
            "boot a kernel that has the controller, without cgroup_disable=pids and without a \
             cgroup v1 mount of it; or remove the limit"
                .into()
        ))
    );
}

#[test]
fn values_that_mean_no_limit_need_no_controller() {
    for resources in [
        "{}",
        r#"{"memory":{},"cpu":{},"pids":{"limit":-1},"blockIO":{}}"#,
        r#"{"memory":{"limit":-1,"swap":-1,"reservation":0,"swappiness":0,"disableOOMKiller":false}}"#,
        r#"{"cpu":{"shares":0,"quota":0,"period":0,"cpus":"","mems":"","realtimePeriod":0}}"#,
        r#"{"cpu":{"shares":1024,"quota":-1,"period":100000,"idle":0,"burst":0}}"#,
        r#"{"blockIO":{"weight":0,"throttleReadBpsDevice":[]},"network":{"classID":0}}"#,
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#,
    ] {
        assert_eq!(refusal(&hybrid(), resources), None, "{resources}");
    }
}

#[test]
fn own_cgroup_is_taken_relative_to_what_is_mounted() {
    let relative = |root: &str, own: &str| {
        let mount = CgroupMount { point: "/sys/fs/cgroup".into(), root: root.into() };
        mount.own(Some(Path::new(own)))
    };
    for (root, own, wanted) in [
        ("/", "/", ""),
        ("/", "/user.slice/session-1.scope", "user.slice/session-1.scope"),
        ("/docker/x", "/docker/x/a/b", "a/b"),
        ("/docker/x", "/docker/x", ""),
    ] {
        assert_eq!(relative(root, own).unwrap(), Path::new(wanted), "{root} {own}");
    }
    for (root, own) in [("/", "/../other"), ("/docker/x", "/docker/y")] {
        let err = relative(root, own).unwrap_err();
        assert_eq!(chain(&err), format!("our own cgroup {own} is outside of /sys/fs/cgroup"));
        assert_eq!(hint(&err), Some("give an absolute linux.cgroupsPath"));
    }
}
