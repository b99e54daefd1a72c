# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rt_global_optspecs
    string join \n root= log= systemd-log log-format= log-level= debug systemd-cgroup cgroup-manager= rootless= v/version h/help
end

function __fish_rt_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rt_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rt_using_subcommand
    set -l cmd (__fish_rt_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rt -n "__fish_rt_needs_command" -l root -d 'Directory for the state of containers [default: /run/rt, rootless $XDG_RUNTIME_DIR/rt]' -r -F
complete -c rt -n "__fish_rt_needs_command" -l log -d 'Append errors and warnings to this file, or send them to journald:NAME or syslog:NAME' -r -F
complete -c rt -n "__fish_rt_needs_command" -l log-format -d 'Format of the lines in --log' -r -f -a "text\t''
json\t''"
complete -c rt -n "__fish_rt_needs_command" -l log-level -d 'Least severe messages to log [default: error]' -r -f -a "error\t''
warning\t''
info\t''
debug\t''"
complete -c rt -n "__fish_rt_needs_command" -l cgroup-manager -d 'Who makes the cgroups' -r -f -a "cgroupfs\t''
systemd\t''
disabled\t''"
complete -c rt -n "__fish_rt_needs_command" -l rootless -d 'Ignore missing privileges for cgroups' -r -f -a "true\t''
false\t''
auto\t''"
complete -c rt -n "__fish_rt_needs_command" -l systemd-log -d 'Same as --log journald:rt'
complete -c rt -n "__fish_rt_needs_command" -l debug -d 'Same as --log-level debug'
complete -c rt -n "__fish_rt_needs_command" -l systemd-cgroup -d 'Let systemd make the cgroups'
complete -c rt -n "__fish_rt_needs_command" -s v -l version -d 'Print the version'
complete -c rt -n "__fish_rt_needs_command" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_needs_command" -f -a "create" -d 'Create a container; `start` runs its process'
complete -c rt -n "__fish_rt_needs_command" -f -a "start" -d 'Run the process of a created container'
complete -c rt -n "__fish_rt_needs_command" -f -a "run" -d 'Create and start a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "exec" -d 'Run another process in a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "kill" -d 'Send a signal to a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "delete" -d 'Remove a stopped container'
complete -c rt -n "__fish_rt_needs_command" -f -a "state" -d 'Print the state of a container as JSON'
complete -c rt -n "__fish_rt_needs_command" -f -a "list" -d 'List the containers'
complete -c rt -n "__fish_rt_needs_command" -f -a "ps" -d 'List the processes of a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "pause" -d 'Suspend all processes of a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "resume" -d 'Resume a paused container'
complete -c rt -n "__fish_rt_needs_command" -f -a "update" -d 'Change the limits of a container'
complete -c rt -n "__fish_rt_needs_command" -f -a "mounts" -d 'Add mounts to a running container, or remove them'
complete -c rt -n "__fish_rt_needs_command" -f -a "events" -d 'Report resource usage and out-of-memory events'
complete -c rt -n "__fish_rt_needs_command" -f -a "spec" -d 'Write a sample config.json'
complete -c rt -n "__fish_rt_needs_command" -f -a "features" -d 'Print what this build and kernel support, as JSON'
complete -c rt -n "__fish_rt_needs_command" -f -a "plan" -d 'Show what would be done for a bundle, without doing it'
complete -c rt -n "__fish_rt_needs_command" -f -a "doctor" -d 'Show what this host can do for containers, and how to fix what is missing'
complete -c rt -n "__fish_rt_needs_command" -f -a "info" -d 'Show what this host can do for containers, and how to fix what is missing'
complete -c rt -n "__fish_rt_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rt -n "__fish_rt_using_subcommand create" -s b -l bundle -d 'Directory with config.json [default: the current directory]' -r -F
complete -c rt -n "__fish_rt_using_subcommand create" -s f -l config -d 'File to use instead of config.json, relative to the bundle' -r -F
complete -c rt -n "__fish_rt_using_subcommand create" -l console-socket -d 'Unix socket that receives the master of the container\'s terminal' -r -F
complete -c rt -n "__fish_rt_using_subcommand create" -l pidfd-socket -d 'Unix socket that receives a pidfd of the container\'s process' -r -F
complete -c rt -n "__fish_rt_using_subcommand create" -l pid-file -d 'Write the pid of the container\'s process to this file' -r -F
complete -c rt -n "__fish_rt_using_subcommand create" -l preserve-fds -d 'Pass on this many descriptors after the standard streams' -r
complete -c rt -n "__fish_rt_using_subcommand create" -l no-pivot -d 'Do not use pivot_root(2), for a host that runs from a ramdisk'
complete -c rt -n "__fish_rt_using_subcommand create" -l no-new-keyring -d 'Keep the caller\'s session keyring'
complete -c rt -n "__fish_rt_using_subcommand create" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand start" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand run" -s b -l bundle -d 'Directory with config.json [default: the current directory]' -r -F
complete -c rt -n "__fish_rt_using_subcommand run" -s f -l config -d 'File to use instead of config.json, relative to the bundle' -r -F
complete -c rt -n "__fish_rt_using_subcommand run" -l console-socket -d 'Unix socket that receives the master of the container\'s terminal' -r -F
complete -c rt -n "__fish_rt_using_subcommand run" -l pidfd-socket -d 'Unix socket that receives a pidfd of the container\'s process' -r -F
complete -c rt -n "__fish_rt_using_subcommand run" -l pid-file -d 'Write the pid of the container\'s process to this file' -r -F
complete -c rt -n "__fish_rt_using_subcommand run" -l preserve-fds -d 'Pass on this many descriptors after the standard streams' -r
complete -c rt -n "__fish_rt_using_subcommand run" -l no-pivot -d 'Do not use pivot_root(2), for a host that runs from a ramdisk'
complete -c rt -n "__fish_rt_using_subcommand run" -l no-new-keyring -d 'Keep the caller\'s session keyring'
complete -c rt -n "__fish_rt_using_subcommand run" -s d -l detach -d 'Return as soon as the process runs'
complete -c rt -n "__fish_rt_using_subcommand run" -l keep -d 'Do not delete the container when it ends'
complete -c rt -n "__fish_rt_using_subcommand run" -l no-subreaper -d 'Do not adopt the container\'s orphaned processes'
complete -c rt -n "__fish_rt_using_subcommand run" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand exec" -s p -l process -d 'File with the process object of the runtime-spec' -r -F
complete -c rt -n "__fish_rt_using_subcommand exec" -l cwd -d 'Working directory' -r -F
complete -c rt -n "__fish_rt_using_subcommand exec" -s e -l env -d 'Set an environment variable' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -s u -l user -d 'User and group by number' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -s g -l additional-gids -d 'Additional groups by number' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -l pid-file -d 'Write the pid of the process to this file' -r -F
complete -c rt -n "__fish_rt_using_subcommand exec" -l process-label -d 'SELinux label of the process' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -l apparmor -d 'AppArmor profile of the process' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -s c -l cap -d 'Add a capability' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -l preserve-fds -d 'Pass on this many descriptors after the standard streams' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -l console-socket -d 'Unix socket that receives the master of the terminal' -r -F
complete -c rt -n "__fish_rt_using_subcommand exec" -l pidfd-socket -d 'Unix socket that receives a pidfd of the process' -r -F
complete -c rt -n "__fish_rt_using_subcommand exec" -l cgroup -d 'Run in this cgroup below the container\'s' -r
complete -c rt -n "__fish_rt_using_subcommand exec" -s t -l tty -d 'Allocate a terminal'
complete -c rt -n "__fish_rt_using_subcommand exec" -s d -l detach -d 'Return as soon as the process runs'
complete -c rt -n "__fish_rt_using_subcommand exec" -l no-new-privs -d 'Set the process\'s no_new_privs attribute'
complete -c rt -n "__fish_rt_using_subcommand exec" -l ignore-paused -d 'Also run in a paused container'
complete -c rt -n "__fish_rt_using_subcommand exec" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand kill" -s a -l all -d 'Signal all processes of the container'
complete -c rt -n "__fish_rt_using_subcommand kill" -s r -l regex -d 'Signal every container whose id matches the pattern'
complete -c rt -n "__fish_rt_using_subcommand kill" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand delete" -s f -l force -d 'Kill the container first'
complete -c rt -n "__fish_rt_using_subcommand delete" -s r -l regex -d 'Delete every container whose id matches the pattern'
complete -c rt -n "__fish_rt_using_subcommand delete" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand state" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand list" -s f -l format -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rt -n "__fish_rt_using_subcommand list" -s q -l quiet -d 'Print the ids only'
complete -c rt -n "__fish_rt_using_subcommand list" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand ps" -s f -l format -d 'Output format' -r -f -a "table\t''
json\t''"
complete -c rt -n "__fish_rt_using_subcommand ps" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand pause" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand resume" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand update" -s r -l resources -d 'File with the resources object of the runtime-spec, - for standard input' -r -F
complete -c rt -n "__fish_rt_using_subcommand update" -l blkio-weight -d 'Weight of block I/O, 10 to 1000' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-quota -d 'CPU time in microseconds per period; -1 for no limit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-period -d 'Length of the CPU period in microseconds' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-burst -d 'Unused CPU time in microseconds that can be saved for later' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-share -l cpu-shares -d 'Relative CPU weight, 2 to 262144' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-idle -d '1: run only when the CPU is idle otherwise' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-rt-period -d 'Real-time period in microseconds (cgroup v1)' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpu-rt-runtime -d 'Real-time budget in microseconds (cgroup v1)' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpuset-cpus -d 'CPUs such as 0-2,7' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l cpuset-mems -d 'Memory nodes such as 0-1' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l memory -d 'Memory limit in bytes, or with a unit such as 512m; -1 for no limit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l memory-reservation -d 'Memory protected from reclaim, in bytes or with a unit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l memory-swap -d 'Memory plus swap, in bytes or with a unit; -1 for no limit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l pids-limit -d 'Number of processes; -1 for no limit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l l3-cache-schema -d 'Share of the L3 cache, such as "L3:0=7f0;1=1f" (with linux.intelRdt in the config)' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l mem-bw-schema -d 'Share of the memory bandwidth, such as "MB:0=20;1=70" (with linux.intelRdt in the config)' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l kernel-memory -d 'No effect: the kernel has dropped this limit' -r
complete -c rt -n "__fish_rt_using_subcommand update" -l kernel-memory-tcp -d 'No effect except with cgroup v1' -r
complete -c rt -n "__fish_rt_using_subcommand update" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand mounts" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand events" -l interval -d 'Time between two reports, such as 5s or 1m' -r
complete -c rt -n "__fish_rt_using_subcommand events" -l stats -d 'Print the statistics once'
complete -c rt -n "__fish_rt_using_subcommand events" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand spec" -s b -l bundle -d 'Directory to write config.json to [default: the current directory]' -r -F
complete -c rt -n "__fish_rt_using_subcommand spec" -s f -l config -d 'File to use instead of config.json, relative to the bundle' -r -F
complete -c rt -n "__fish_rt_using_subcommand spec" -l rootless -d 'For a container of an ordinary user'
complete -c rt -n "__fish_rt_using_subcommand spec" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand features" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand plan" -s b -l bundle -d 'Directory with config.json [default: the current directory]' -r -F
complete -c rt -n "__fish_rt_using_subcommand plan" -l config -d 'File to use instead of config.json, relative to the bundle' -r -F
complete -c rt -n "__fish_rt_using_subcommand plan" -s f -l format -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rt -n "__fish_rt_using_subcommand plan" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand doctor" -s f -l format -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rt -n "__fish_rt_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand info" -s f -l format -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c rt -n "__fish_rt_using_subcommand info" -s h -l help -d 'Print help'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "create" -d 'Create a container; `start` runs its process'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "start" -d 'Run the process of a created container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "run" -d 'Create and start a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "exec" -d 'Run another process in a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "kill" -d 'Send a signal to a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "delete" -d 'Remove a stopped container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "state" -d 'Print the state of a container as JSON'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "list" -d 'List the containers'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "ps" -d 'List the processes of a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "pause" -d 'Suspend all processes of a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "resume" -d 'Resume a paused container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "update" -d 'Change the limits of a container'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "mounts" -d 'Add mounts to a running container, or remove them'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "events" -d 'Report resource usage and out-of-memory events'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "spec" -d 'Write a sample config.json'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "features" -d 'Print what this build and kernel support, as JSON'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "plan" -d 'Show what would be done for a bundle, without doing it'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "doctor" -d 'Show what this host can do for containers, and how to fix what is missing'
complete -c rt -n "__fish_rt_using_subcommand help; and not __fish_seen_subcommand_from create start run exec kill delete state list ps pause resume update mounts events spec features plan doctor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
