use super::*;
use std::path::Path;

fn resources(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap()
}

/// The writes as "file=value", with what happens otherwise.
fn writes(json: &str) -> Vec<String> {
    let limits = limits(&resources(json), ZeroPids::Limit).unwrap();
    let show = |write: &Write| {
        let otherwise = match &write.otherwise {
            Otherwise::Fail => String::new(),
            Otherwise::SkipMissing => " (if it exists)".to_owned(),
            Otherwise::SkipRefused => " (if it can)".to_owned(),
            Otherwise::Instead { file, value } => format!(" (else {file}={value})"),
        };
        format!("{}={}{otherwise}", write.file, write.value)
    };
    limits.writes.iter().map(show).collect()
}

fn refused(json: &str) -> String {
    match limits(&resources(json), ZeroPids::Limit) {
        Ok(limits) => {
            limits.refused.first().map(|refusal| refusal.text.clone()).unwrap_or_default()
        }
        Err(err) => format!("{err:#}"),
    }
}

#[test]
fn memory_is_converted() {
    for (json, expected) in [
        (r#"{"memory":{"limit":4096}}"#, vec!["memory.max=4096"]),
        (r#"{"memory":{"limit":0,"swap":0,"reservation":0}}"#, vec![]),
        (
            r#"{"memory":{"limit":-1}}"#,
            vec!["memory.swap.max=max (if it exists)", "memory.max=max"],
        ),
        (
            r#"{"memory":{"limit":4096,"swap":4096,"reservation":2048}}"#,
            vec!["memory.swap.max=0 (if it exists)", "memory.max=4096", "memory.low=2048"],
        ),
        (
            r#"{"memory":{"limit":4096,"swap":10000}}"#,
            vec!["memory.swap.max=5904", "memory.max=4096"],
        ),
        (r#"{"memory":{"limit":-1,"swap":4096}}"#, vec!["memory.swap.max=4096", "memory.max=max"]),
        (
            r#"{"memory":{"limit":4096,"swap":-1}}"#,
            vec!["memory.swap.max=max (if it exists)", "memory.max=4096"],
        ),
        (r#"{"memory":{"swap":-1}}"#, vec!["memory.swap.max=max (if it exists)"]),
    ] {
        assert_eq!(writes(json), expected, "{json}");
    }
}

#[test]
fn memory_that_cannot_be_converted_names_the_field() {
    for (json, expected) in [
        (
            r#"{"memory":{"swap":4096}}"#,
            "linux.resources.memory.swap: is memory plus swap and needs linux.resources.memory.limit",
        ),
        (
            r#"{"memory":{"limit":4097,"swap":4096}}"#,
            "linux.resources.memory.swap: 4096 is memory plus swap and must not be less than \
             linux.resources.memory.limit, 4097",
        ),
        (
            r#"{"memory":{"limit":-2}}"#,
            "linux.resources.memory.limit: -2 is neither a number of bytes nor -1 (no limit)",
        ),
        (
            r#"{"memory":{"limit":1,"swap":-2}}"#,
            "linux.resources.memory.swap: -2 is neither a number of bytes nor -1 (no limit)",
        ),
        (
            r#"{"memory":{"swappiness":10}}"#,
            "linux.resources.memory.swappiness: cgroup v2 has no such setting",
        ),
        (
            r#"{"memory":{"disableOOMKiller":true}}"#,
            "linux.resources.memory.disableOOMKiller: cgroup v2 cannot disable the OOM killer",
        ),
    ] {
        assert_eq!(refused(json), expected, "{json}");
    }
}

#[test]
fn kernel_memory_is_ignored_with_a_warning() {
    let json =
        r#"{"memory":{"kernel":1000,"kernelTCP":-1,"checkBeforeUpdate":true,"limit":9,"swap":-1}}"#;
    let limits = limits(&resources(json), ZeroPids::Limit).unwrap();
    assert_eq!(
        limits.warnings,
        [
            "linux.resources.memory.kernel: ignored, the kernel has no separate limit for it any more"
        ]
    );
    let check = UsageCheck { memory_bytes: Some(9), memory_and_swap_bytes: None };
    assert_eq!(limits.usage_check, Some(check));
}

#[test]
fn shares_become_weights_through_minimum_default_and_maximum() {
    for (shares, expected) in [
        (1, 1),
        (2, 1),
        (3, 2),
        (10, 4),
        (100, 17),
        (256, 35),
        (512, 59),
        (1_024, 100),
        (2_048, 174),
        (8_192, 532),
        (100_000, 4_340),
        (262_143, 10_000),
        (262_144, 10_000),
        (u64::MAX, 10_000),
    ] {
        assert_eq!(weight(shares), expected, "{shares}");
    }
}

#[test]
fn cpu_is_converted() {
    for (json, expected) in [
        (r#"{"cpu":{"shares":0,"quota":0,"period":0}}"#, vec![]),
        (r#"{"cpu":{"shares":1024}}"#, vec!["cpu.weight=100"]),
        (r#"{"cpu":{"quota":20000}}"#, vec!["cpu.max=20000 100000"]),
        (r#"{"cpu":{"period":50000}}"#, vec!["cpu.max=max 50000"]),
        (r#"{"cpu":{"quota":-1,"period":50000}}"#, vec!["cpu.max=max 50000"]),
        (
            r#"{"cpu":{"quota":20000,"period":50000,"burst":7000}}"#,
            vec!["cpu.max.burst=7000 (if it can)", "cpu.max=20000 50000", "cpu.max.burst=7000"],
        ),
        (
            r#"{"cpu":{"quota":20000,"burst":0}}"#,
            vec!["cpu.max.burst=0 (if it exists)", "cpu.max=20000 100000"],
        ),
        (r#"{"cpu":{"burst":5}}"#, vec!["cpu.max.burst=5"]),
        (r#"{"cpu":{"idle":1,"shares":500}}"#, vec!["cpu.idle=1"]),
        (r#"{"cpu":{"idle":0,"shares":2}}"#, vec!["cpu.idle=0 (if it exists)", "cpu.weight=1"]),
        (r#"{"cpu":{"cpus":"0-3,7","mems":"0"}}"#, vec!["cpuset.cpus=0-3,7", "cpuset.mems=0"]),
    ] {
        assert_eq!(writes(json), expected, "{json}");
    }
}

#[test]
fn bad_cpu_values_name_the_field() {
    for (json, expected) in [
        (
            r#"{"cpu":{"period":999}}"#,
            "linux.resources.cpu.period: 999 is outside 1000..1000000 (microseconds)",
        ),
        (
            r#"{"cpu":{"quota":999}}"#,
            "linux.resources.cpu.quota: 999 is below the kernel's minimum of 1000 (microseconds)",
        ),
        (
            r#"{"cpu":{"quota":5000,"burst":5001}}"#,
            "linux.resources.cpu.burst: 5001 is larger than linux.resources.cpu.quota, 5000",
        ),
        (r#"{"cpu":{"idle":2}}"#, "linux.resources.cpu.idle: 2 is neither 0 nor 1"),
        (
            r#"{"cpu":{"realtimeRuntime":950000}}"#,
            "linux.resources.cpu.realtimeRuntime: cgroup v2 does not limit realtime processes",
        ),
        (
            r#"{"cpu":{"cpus":"0;1"}}"#,
            "linux.resources.cpu.cpus: \"0;1\" is not a list like \"0-3,7\"",
        ),
    ] {
        assert_eq!(refused(json), expected, "{json}");
    }
}

#[test]
fn zero_pids_depend_on_the_version_of_the_spec() {
    let pids = |limit, zero| {
        let mut limits = Limits::default();
        pids_limit(limit, zero, &mut limits);
        limits.writes.pop().map(|write| write.value)
    };
    assert_eq!(pids(0, ZeroPids::Unset), None);
    assert_eq!(pids(0, ZeroPids::Limit).as_deref(), Some("1"));
    assert_eq!(pids(-1, ZeroPids::Unset).as_deref(), Some("max"));
    assert_eq!(pids(-7, ZeroPids::Limit).as_deref(), Some("max"));
    assert_eq!(pids(32_771, ZeroPids::Unset).as_deref(), Some("32771"));
}

#[test]
fn block_io_is_converted() {
    assert_eq!(
        writes(
            r#"{"blockIO":{"weight":10,"leafWeight":0,
                "weightDevice":[{"major":8,"minor":0,"weight":1000}],
                "throttleReadBpsDevice":[{"major":8,"minor":16,"rate":600}],
                "throttleWriteBpsDevice":[{"major":8,"minor":16,"rate":0}],
                "throttleReadIOPSDevice":[{"major":8,"minor":16,"rate":7}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":300}]}}"#
        ),
        [
            "io.bfq.weight=10 (else io.weight=1)",
            "io.bfq.weight=8:0 1000 (else io.weight=8:0 10000)",
            "io.max=8:16 rbps=600",
            "io.max=8:16 wbps=max",
            "io.max=8:16 riops=7",
            "io.max=8:16 wiops=300",
        ]
    );
    assert_eq!(
        refused(r#"{"blockIO":{"weight":9}}"#),
        "linux.resources.blockIO.weight: 9 is outside 10..1000"
    );
    assert_eq!(
        refused(r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":300}]}}"#),
        "linux.resources.blockIO.weightDevice[0].leafWeight: cgroup v2 has no such setting, \
         processes live in leaves only"
    );
}

#[test]
fn huge_pages_rdma_and_unified_are_converted_in_a_fixed_order() {
    assert_eq!(
        writes(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],
                "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":1000}},
                "unified":{"memory.high":"5","io.max":"8:0 rbps=1\n8:16 rbps=2\n","cpuset.cpus":""},
                "pids":{"limit":3}}"#
        ),
        [
            "pids.max=3",
            "hugetlb.2MB.max=4194304",
            "hugetlb.2MB.rsvd.max=4194304 (if it exists)",
            "rdma.max=mlx4_0 hca_object=1000",
            "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
            "cpuset.cpus=",
            "io.max=8:0 rbps=1",
            "io.max=8:16 rbps=2",
            "memory.high=5",
        ]
    );
}

#[test]
fn what_v2_cannot_do_names_the_field() {
    for (json, expected) in [
        (
            r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#,
            "linux.resources.hugepageLimits[0].pageSize: \"../x\" is not a size like \"2MB\"",
        ),
        (
            r#"{"rdma":{"mlx5_1":{}}}"#,
            "linux.resources.rdma[\"mlx5_1\"]: needs hcaHandles, hcaObjects, or both",
        ),
        (
            r#"{"rdma":{"a b":{"hcaHandles":1}}}"#,
            "linux.resources.rdma[\"a b\"]: is not a device name",
        ),
        (
            r#"{"network":{"classID":1}}"#,
            "linux.resources.network.classID: cgroup v2 has no net_cls controller",
        ),
        (
            r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#,
            "linux.resources.network.priorities: cgroup v2 has no net_prio controller",
        ),
        (
            r#"{"unified":{"../memory.max":"1"}}"#,
            "linux.resources.unified[\"../memory.max\"]: is a file of the cgroup and must not \
             contain a slash",
        ),
        (
            r#"{"unified":{"memory":"1"}}"#,
            "linux.resources.unified[\"memory\"]: is not of the form \"controller.parameter\"",
        ),
        (
            r#"{"unified":{"cgroup.procs":"1"}}"#,
            "linux.resources.unified[\"cgroup.procs\"]: acts on processes and is not a parameter",
        ),
    ] {
        assert_eq!(refused(json), expected, "{json}");
    }
}

#[test]
fn locations_follow_the_rules_of_runc() {
    use Location::{BelowMount, BesideOwn};
    for (path, expected) in [
        (None, BesideOwn("web".into())),
        (Some(""), BesideOwn("web".into())),
        (Some("/docker/abc"), BelowMount("docker/abc".into())),
        (Some("//a/./b/"), BelowMount("a/b".into())),
        (Some("/../../a/../b"), BelowMount("b".into())),
        (Some("pods/x"), BesideOwn("pods/x".into())),
        (Some("../../../x"), BesideOwn("x".into())),
    ] {
        assert_eq!(location(path.map(Path::new), "web").unwrap(), expected, "{path:?}");
    }
    for (path, expected) in [
        ("/", "linux.cgroupsPath: \"/\" is not below the root cgroup, a container needs its own"),
        (
            "a/..",
            "linux.cgroupsPath: \"a/..\" is not below the root cgroup, a container needs its own",
        ),
        ("/a\0b", "linux.cgroupsPath: \"/a\\0b\" contains a NUL byte"),
        ("/a\nb", "linux.cgroupsPath: \"/a\\nb\" contains a newline"),
    ] {
        assert_eq!(location(Some(Path::new(path)), "web").unwrap_err().to_string(), expected);
    }
}

#[test]
fn an_update_overrides_only_the_fields_that_it_sets() {
    let mut base = resources(
        r#"{"memory":{"limit":4096,"swap":8192},"cpu":{"quota":20000,"period":50000},
            "pids":{"limit":5},"unified":{"memory.high":"1"}}"#,
    );
    let change = r#"{"memory":{"limit":6000},"cpu":{"quota":30000},"unified":{"io.max":"x"}}"#;
    merge(&mut base, &resources(change)).unwrap();
    let expected = resources(
        r#"{"memory":{"limit":6000,"swap":8192},"cpu":{"quota":30000,"period":50000},
            "pids":{"limit":5},"unified":{"memory.high":"1","io.max":"x"}}"#,
    );
    assert_eq!(base, expected);
}

#[test]
fn an_update_to_unlimited_memory_lifts_the_swap_limit_too() {
    let mut base = resources(r#"{"memory":{"limit":4096,"swap":8192}}"#);
    merge(&mut base, &resources(r#"{"memory":{"limit":-1}}"#)).unwrap();
    assert_eq!(base, resources(r#"{"memory":{"limit":-1,"swap":-1}}"#));
}

#[test]
fn v1_gets_its_own_files_and_values() {
    let writes = |json: &str| -> Vec<String> {
        let limits = limits(&resources(json), ZeroPids::Limit).unwrap();
        limits.v1.iter().map(|write| format!("{}={}", write.file, write.value)).collect()
    };
    for (json, expected) in [
        (
            r#"{"memory":{"limit":4096,"swap":8192,"reservation":10,"swappiness":5}}"#,
            vec![
                "memory.limit_in_bytes=4096",
                "memory.memsw.limit_in_bytes=8192",
                "memory.limit_in_bytes=4096",
                "memory.soft_limit_in_bytes=10",
                "memory.swappiness=5",
            ],
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            vec![
                "memory.limit_in_bytes=-1",
                "memory.memsw.limit_in_bytes=-1",
                "memory.limit_in_bytes=-1",
            ],
        ),
        (
            r#"{"cpu":{"shares":512,"quota":20000,"period":50000,"cpus":"0","realtimePeriod":7}}"#,
            vec![
                "cpu.shares=512",
                "cpu.cfs_period_us=50000",
                "cpu.cfs_quota_us=20000",
                "cpu.cfs_period_us=50000",
                "cpu.rt_period_us=7",
                "cpuset.cpus=0",
            ],
        ),
        (r#"{"pids":{"limit":7}}"#, vec!["pids.max=7"]),
        (
            r#"{"blockIO":{"weight":10,"leafWeight":20,
                "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]}}"#,
            vec![
                "blkio.bfq.weight=10",
                "blkio.leaf_weight=20",
                "blkio.throttle.read_bps_device=8:0 1",
            ],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":9}],
                "network":{"classID":5,"priorities":[{"name":"eth0","priority":3}]}}"#,
            vec![
                "hugetlb.2MB.limit_in_bytes=9",
                "hugetlb.2MB.rsvd.limit_in_bytes=9",
                "net_cls.classid=5",
                "net_prio.ifpriomap=eth0 3",
            ],
        ),
    ] {
        assert_eq!(writes(json), expected, "{json}");
    }
}
