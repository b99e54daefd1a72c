//! Flags and commands of Docker and Podman that there are none of here, and why.
//!
//! Runs in: where a command line is not understood. Touches nothing.

const FLAGS: &[(&str, &str)] = &[
    ("--aux-address", "addresses that containers are not to have are kept out by --ip-range"),
    ("--availability", OF_SWARM),
    ("--blkio-weight", "it is set when the container is made"),
    ("--checkpoint", NO_CHECKPOINTS),
    ("--checkpoint-dir", NO_CHECKPOINTS),
    ("--cluster", OF_SWARM),
    ("--config-from", OF_SWARM),
    ("--config-only", OF_SWARM),
    ("--cpu-count", OF_WINDOWS),
    ("--cpu-percent", OF_WINDOWS),
    (
        "--cpu-rt-period",
        "the kernel has no real-time scheduling for cgroups v2; --cpus limits time",
    ),
    (
        "--cpu-rt-runtime",
        "the kernel has no real-time scheduling for cgroups v2; --cpus limits time",
    ),
    ("--driver-opt", "networks have no options of one container; --ip and --mac-address are flags"),
    ("--gw-priority", "the first network has the way out"),
    ("--ingress", OF_SWARM),
    ("--io-maxbandwidth", OF_WINDOWS),
    ("--io-maxiops", OF_WINDOWS),
    ("--ipam-opt", "there is one way to give addresses, which has no options"),
    ("--link-local-ip", "addresses of a network are given by --ip and --ip6"),
    ("--pod", NO_PODS),
    ("--use-api-socket", NO_SOCKET),
];

const COMMANDS: &[(&str, &str)] = &[
    ("buildx", "there are no plugins; images are built by: bundles build"),
    ("checkpoint", NO_CHECKPOINTS),
    ("context", "there is one place, this machine; --root DIR chooses another directory"),
    ("node", OF_SWARM),
    ("plugin", "there are no plugins"),
    ("pod", NO_PODS),
    ("secret", OF_SWARM),
    ("service", OF_SWARM),
    ("stack", OF_SWARM),
    ("swarm", OF_SWARM),
    ("trust", "images are known by their digests, not by signatures"),
];

const OF_SWARM: &str = "it is for several machines";
const OF_WINDOWS: &str = "it is for containers of Windows";
const NO_CHECKPOINTS: &str = "the state of a container cannot be saved";
const NO_PODS: &str =
    "there are no pods; containers share namespaces by --network container:NAME, --ipc and --pid";
const NO_SOCKET: &str = "there is no daemon that would listen";

fn find<'a>(table: &'a [(&str, &str)], name: &str) -> Option<&'a str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason)
}

/// With its dashes, and perhaps a value.
pub(super) fn of_flag(text: &str) -> Option<&'static str> {
    find(FLAGS, text.split_once('=').map_or(text, |(name, _)| name))
}

pub(super) fn of_command(name: &str) -> Option<&'static str> {
    find(COMMANDS, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn nobody_is_refused_what_there_is() {
        let mut cli = Cli::command();
        cli.build();
        for (name, _) in COMMANDS {
            assert!(cli.find_subcommand(name).is_none(), "{name}");
        }
        assert_eq!(of_flag("--cpu-count=3"), Some(OF_WINDOWS));
        assert_eq!(of_flag("--cpus"), None);
    }
}
