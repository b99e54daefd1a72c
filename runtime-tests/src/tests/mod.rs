//! The tests by area. A test is a function without arguments that panics when it fails.

/// A test's name, `area::function`, and the function.
pub(crate) type Test = (String, fn());

/// Lists a file's tests: `tests![one, two];`.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),+];
    };
}

/// Declares [`all`] from the names of modules. The modules themselves are declared below it, since
/// rustfmt does not find files through a macro.
macro_rules! areas {
    ($($area:ident),+ $(,)?) => {
        /// All tests in the order of the areas.
        pub(crate) fn all() -> Vec<Test> {
            let named = |area: &str, name: &str| format!("{area}::{name}");
            let mut all = Vec::new();
            $(all.extend($area::TESTS.iter().map(|(name, test)| (named(stringify!($area), name), *test)));)+
            all
        }
    };
}

areas![
    cli,
    usage,
    features,
    rare,
    fields,
    scheduling,
    net_devices,
    companion_networks,
    companion_network_traces,
    companion_network_kills,
    companion_network_rootless,
    companion_ports,
    companion_run_networks,
    companion_peers,
    companion_cp,
    companion_rootless,
    companion_save,
    companion_tools,
    doctor,
    lifecycle,
    process,
    exec,
    terminal,
    engine_calls,
    mounts,
    mount_options,
    mounts_idmap,
    mounts_live,
    mounts_live_removal,
    mounts_live_hostile,
    masks,
    devices,
    namespaces,
    cgroups,
    pause,
    limits,
    cgroup_v1,
    systemd,
    hooks,
    annotations,
    annotations_seccomp,
    landlock,
    seccomp,
    notify,
    service,
    labels,
    errors,
    robustness,
    pods,
    rootless,
    rootless_cgroups,
    rootless_ids,
    rootless_mounts,
    rootless_hostile,
    golden,
    fuzz,
    faults,
    escapes,
    escapes_mounts,
    escapes_devices,
    escapes_config,
    escapes_host,
    companion_image_lists,
    companion_images,
    companion_images_hostile,
    companion_info,
    companion_pull,
    companion_push,
    companion_push_faults,
    companion_search,
    companion_pull_faults,
    companion_pull_lies,
    companion_cli,
    companion_attach,
    companion_build,
    companion_build_failures,
    companion_corpus,
    companion_change,
    companion_interop,
    companion_kills,
    companion_faults,
    companion_full_disk,
    companion_events,
    companion_health,
    companion_answers,
    companion_scripts,
    companion_options,
    companion_restart,
    companion_run,
    companion_run_images,
    companion_hostile,
    companion_mounts,
    companion_create,
    companion_doctor,
    companion_exec,
    companion_flags,
    companion_truths,
    companion_volumes,
];

mod annotations;
mod annotations_seccomp;
mod cgroup_v1;
mod cgroups;
mod cli;
mod companion_answers;
mod companion_attach;
mod companion_build;
mod companion_build_failures;
mod companion_change;
mod companion_cli;
mod companion_corpus;
mod companion_cp;
mod companion_create;
mod companion_deeds;
mod companion_doctor;
mod companion_events;
mod companion_exec;
mod companion_faults;
mod companion_flags;
mod companion_full_disk;
mod companion_health;
mod companion_hostile;
mod companion_image_lists;
mod companion_images;
mod companion_images_hostile;
mod companion_info;
mod companion_interop;
mod companion_kills;
mod companion_mounts;
mod companion_network_kills;
mod companion_network_rootless;
mod companion_network_traces;
mod companion_networks;
mod companion_options;
mod companion_peers;
mod companion_ports;
mod companion_pull;
mod companion_pull_faults;
mod companion_pull_lies;
mod companion_push;
mod companion_push_faults;
mod companion_restart;
mod companion_rootless;
mod companion_run;
mod companion_run_images;
mod companion_run_networks;
mod companion_save;
mod companion_scripts;
mod companion_search;
mod companion_tools;
mod companion_truths;
mod companion_volumes;
mod devices;
mod doctor;
mod engine_calls;
mod errors;
mod escapes;
mod escapes_config;
mod escapes_devices;
mod escapes_host;
mod escapes_mounts;
mod exec;
mod faults;
mod features;
mod fields;
mod fuzz;
mod golden;
mod hooks;
mod labels;
mod landlock;
mod lifecycle;
mod limits;
mod masks;
mod mount_options;
mod mounts;
mod mounts_idmap;
mod mounts_live;
mod mounts_live_hostile;
mod mounts_live_removal;
mod namespaces;
mod net_devices;
mod notify;
mod pause;
mod pods;
mod process;
mod rare;
mod robustness;
mod rootless;
mod rootless_cgroups;
mod rootless_hostile;
mod rootless_ids;
mod rootless_mounts;
mod scheduling;
mod seccomp;
mod service;
mod systemd;
mod terminal;
mod usage;
