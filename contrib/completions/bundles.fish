# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bundles_global_optspecs
    string join \n v/version root= config= H/host= c/context= D/debug l/log-level= h/help
end

function __fish_bundles_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bundles_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bundles_using_subcommand
    set -l cmd (__fish_bundles_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bundles -n "__fish_bundles_needs_command" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_needs_command" -l config -d 'Directory whose config.json has the logins for registries, as Docker\'s ~/.docker' -r -F
complete -c bundles -n "__fish_bundles_needs_command" -s H -l host -d 'Accepted for scripts, where it is of this machine' -r
complete -c bundles -n "__fish_bundles_needs_command" -s c -l context -d 'The same, where it is default' -r -f -a "default\t''"
complete -c bundles -n "__fish_bundles_needs_command" -s l -l log-level -d 'Accepted for scripts' -r
complete -c bundles -n "__fish_bundles_needs_command" -s v -l version -d 'Print the version'
complete -c bundles -n "__fish_bundles_needs_command" -s D -l debug -d 'Accepted for scripts'
complete -c bundles -n "__fish_bundles_needs_command" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "run" -d 'Make a container and start it'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "create" -d 'Make a container without starting it'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "start" -d 'Start containers that do not run'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "restart" -d 'Stop containers and start them again'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "attach" -d 'Connect the terminal to a container that runs'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "pause" -d 'Freeze all processes of containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "unpause" -d 'Let paused containers go on'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "rename" -d 'Give a container another name'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "update" -d 'Change limits and the restart policy of containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "top" -d 'List the processes of a container'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "stats" -d 'Show what containers use; 100 % is one processor'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "stop" -d 'Ask containers to end, and make them'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "kill" -d 'Send a signal to containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "rm" -d 'Remove containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "ps" -d 'List containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "logs" -d 'Print what a container has written'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "exec" -d 'Run a command in a running container'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "inspect" -d 'Print all that is known of containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "healthcheck" -d 'Ask containers whether they are well'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "container" -d 'Work with containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "build" -d 'Make an image by a Dockerfile'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "builder" -d 'Work with what builds have left behind'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "images" -d 'List images'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "load" -d 'Load images from an archive'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "pull" -d 'Get an image from a registry'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "push" -d 'Give an image to a registry'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "login" -d 'Keep a login for a registry'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "logout" -d 'Forget a login for a registry'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "search" -d 'Search a registry for images'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "commit" -d 'Make an image of what a container has changed'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "export" -d 'Write the files of a container as a tar archive'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "import" -d 'Make an image of a tar archive of files'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "save" -d 'Write images with all their layers as one archive'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "diff" -d 'Show what a container has changed of its image\'s files'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "cp" -d 'Copy files between a container and here'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "history" -d 'Show how an image was made, the newest step first'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "tag" -d 'Give an image one more name'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "rmi" -d 'Remove images'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "image" -d 'Work with images'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "network" -d 'Make, list and remove networks, and bring containers onto them'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "port" -d 'Print where a container\'s ports are published'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "volume" -d 'Make, list and remove volumes'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "system" -d 'Show and free what is on the disk'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "events" -d 'Print what happens to containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "info" -d 'Show what there is: containers, images, runtimes, the host'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "version" -d 'Show the version of this program and of the runtime'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "doctor" -d 'Show what this host and this user can do, and what would cure what they cannot'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "unshare" -d 'Run a command as the root of an ordinary user\'s containers'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "bundle" -d 'Write an image as a bundle, with its files and a config.json'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "rootfs" -d 'Put together a root file system'
complete -c bundles -n "__fish_bundles_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand run" -l name -d 'Name to call it by; one is made up otherwise' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s a -l attach -d 'Streams to attach, instead of all; may be repeated' -r -f -a "stdin\t''
stdout\t''
stderr\t''"
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cidfile -d 'Write its id to a file' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -s l -l label -d 'Label, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l label-file -d 'File of labels, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -l annotation -d 'Annotation for the runtime, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l stop-signal -d 'Signal that stop sends first [default: SIGTERM]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l stop-timeout -d 'Seconds that stop waits' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l log-driver -d 'Where its output is kept: json-file, or none' -r -f -a "json-file\t''
none\t''"
complete -c bundles -n "__fish_bundles_using_subcommand run" -l log-opt -d 'max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l group-add -d 'Further group, by name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l entrypoint -d 'Program to run instead of the image\'s; empty for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s h -l hostname -d 'Host name' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l domainname -d 'NIS domain name' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l add-host -d 'Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l dns -d 'Name server, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l dns-search -d 'Domain in which names are looked up, instead of the host\'s; . for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l dns-option -l dns-opt -d 'Option of resolv.conf, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l rootfs -d 'Directory to run in, instead of an image' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand run" -s v -l volume -d 'Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l mount -d 'The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l volumes-from -d 'Directories and volumes of another container, CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l tmpfs -d 'Directory in memory, PATH[:OPTIONS]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l shm-size -d 'Size of /dev/shm' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device -d 'Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device-cgroup-rule -d 'Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cap-add -d 'Capability to grant; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cap-drop -d 'Capability to take away; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l security-opt -d 'no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined, mask=PATH, unmask=PATH' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l sysctl -d 'Setting of the kernel, NAME=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l network -l net -d 'Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l ip -d 'IPv4 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l ip6 -d 'IPv6 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l network-alias -l net-alias -d 'Further name on its networks' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l link -d 'Container that it knows by another name, too: CONTAINER[:NAME]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s p -l publish -d 'Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l expose -d 'Port that it offers, without publishing it' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l pid -d 'Processes that it sees: its own, or those of host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l ipc -d 'Queues and shared memory: private, shareable, none, host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l uts -d 'Host name: its own, or that of the host' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cgroupns -d 'Cgroups that it sees: private or host' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l userns -d 'Users: host, where the caller is root' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l ulimit -d 'Resource limit, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l memory-swappiness -d 'Inclination to swap, 0 to 100' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l kernel-memory -d 'Accepted and ignored: the kernel has no such limit any more' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l oom-score-adj -d 'How soon the kernel kills it for want of memory, -1000 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l blkio-weight -d 'Weight of its input and output, 10 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l blkio-weight-device -d 'The same on one device, DEVICE:WEIGHT' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device-read-bps -d 'Bytes a second to read, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device-write-bps -d 'Bytes a second to write, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device-read-iops -d 'Operations a second to read, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l device-write-iops -d 'Operations a second to write, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l cgroup-parent -d 'Cgroup to make it in' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-cmd -d 'Command that tells whether it is well' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-interval -d 'Time between two checks, such as 30s' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-timeout -d 'Time that a check may take' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-start-period -d 'Time in which failures do not count, at the start' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-start-interval -d 'Time between two checks in that time' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l health-retries -d 'Failures until it is unwell' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l isolation -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand run" -l gpus -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l storage-opt -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l volume-driver -r
complete -c bundles -n "__fish_bundles_using_subcommand run" -l pull -d 'When to pull the image' -r -f -a "always\t''
missing\t''
never\t''"
complete -c bundles -n "__fish_bundles_using_subcommand run" -s d -l detach -d 'Leave it to itself, and print its id'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l help -d 'Print help; -h is the host name'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l rm -d 'Remove it when it ends'
complete -c bundles -n "__fish_bundles_using_subcommand run" -s q -l quiet -d 'Tell nothing of pulling'
complete -c bundles -n "__fish_bundles_using_subcommand run" -s i -l interactive -d 'Keep its standard input open'
complete -c bundles -n "__fish_bundles_using_subcommand run" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l init -d 'Have a first process that passes on signals and reaps orphans'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l read-only -d 'Let it write nowhere but to its mounts'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l privileged -d 'Grant everything'
complete -c bundles -n "__fish_bundles_using_subcommand run" -s P -l publish-all -d 'Publish all exposed ports, on free ones of the host'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l oom-kill-disable -d 'Let it wait instead of killing it when the memory is used up; with cgroup v1 only'
complete -c bundles -n "__fish_bundles_using_subcommand run" -l no-healthcheck -d 'Forget the check of the image'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -l name -d 'Name to call it by; one is made up otherwise' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s a -l attach -d 'Streams to attach, instead of all; may be repeated' -r -f -a "stdin\t''
stdout\t''
stderr\t''"
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cidfile -d 'Write its id to a file' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -s l -l label -d 'Label, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l label-file -d 'File of labels, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -l annotation -d 'Annotation for the runtime, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l stop-signal -d 'Signal that stop sends first [default: SIGTERM]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l stop-timeout -d 'Seconds that stop waits' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l log-driver -d 'Where its output is kept: json-file, or none' -r -f -a "json-file\t''
none\t''"
complete -c bundles -n "__fish_bundles_using_subcommand create" -l log-opt -d 'max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l group-add -d 'Further group, by name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l entrypoint -d 'Program to run instead of the image\'s; empty for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s h -l hostname -d 'Host name' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l domainname -d 'NIS domain name' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l add-host -d 'Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l dns -d 'Name server, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l dns-search -d 'Domain in which names are looked up, instead of the host\'s; . for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l dns-option -l dns-opt -d 'Option of resolv.conf, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l rootfs -d 'Directory to run in, instead of an image' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand create" -s v -l volume -d 'Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l mount -d 'The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l volumes-from -d 'Directories and volumes of another container, CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l tmpfs -d 'Directory in memory, PATH[:OPTIONS]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l shm-size -d 'Size of /dev/shm' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device -d 'Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device-cgroup-rule -d 'Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cap-add -d 'Capability to grant; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cap-drop -d 'Capability to take away; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l security-opt -d 'no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined, mask=PATH, unmask=PATH' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l sysctl -d 'Setting of the kernel, NAME=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l network -l net -d 'Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l ip -d 'IPv4 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l ip6 -d 'IPv6 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l network-alias -l net-alias -d 'Further name on its networks' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l link -d 'Container that it knows by another name, too: CONTAINER[:NAME]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s p -l publish -d 'Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l expose -d 'Port that it offers, without publishing it' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l pid -d 'Processes that it sees: its own, or those of host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l ipc -d 'Queues and shared memory: private, shareable, none, host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l uts -d 'Host name: its own, or that of the host' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cgroupns -d 'Cgroups that it sees: private or host' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l userns -d 'Users: host, where the caller is root' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l ulimit -d 'Resource limit, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l memory-swappiness -d 'Inclination to swap, 0 to 100' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l kernel-memory -d 'Accepted and ignored: the kernel has no such limit any more' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l oom-score-adj -d 'How soon the kernel kills it for want of memory, -1000 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l blkio-weight -d 'Weight of its input and output, 10 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l blkio-weight-device -d 'The same on one device, DEVICE:WEIGHT' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device-read-bps -d 'Bytes a second to read, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device-write-bps -d 'Bytes a second to write, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device-read-iops -d 'Operations a second to read, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l device-write-iops -d 'Operations a second to write, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l cgroup-parent -d 'Cgroup to make it in' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-cmd -d 'Command that tells whether it is well' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-interval -d 'Time between two checks, such as 30s' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-timeout -d 'Time that a check may take' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-start-period -d 'Time in which failures do not count, at the start' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-start-interval -d 'Time between two checks in that time' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l health-retries -d 'Failures until it is unwell' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l isolation -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand create" -l gpus -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l storage-opt -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l volume-driver -r
complete -c bundles -n "__fish_bundles_using_subcommand create" -l pull -d 'When to pull the image' -r -f -a "always\t''
missing\t''
never\t''"
complete -c bundles -n "__fish_bundles_using_subcommand create" -l help -d 'Print help; -h is the host name'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l rm -d 'Remove it when it ends'
complete -c bundles -n "__fish_bundles_using_subcommand create" -s q -l quiet -d 'Tell nothing of pulling'
complete -c bundles -n "__fish_bundles_using_subcommand create" -s i -l interactive -d 'Keep its standard input open'
complete -c bundles -n "__fish_bundles_using_subcommand create" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l init -d 'Have a first process that passes on signals and reaps orphans'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l read-only -d 'Let it write nowhere but to its mounts'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l privileged -d 'Grant everything'
complete -c bundles -n "__fish_bundles_using_subcommand create" -s P -l publish-all -d 'Publish all exposed ports, on free ones of the host'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l oom-kill-disable -d 'Let it wait instead of killing it when the memory is used up; with cgroup v1 only'
complete -c bundles -n "__fish_bundles_using_subcommand create" -l no-healthcheck -d 'Forget the check of the image'
complete -c bundles -n "__fish_bundles_using_subcommand start" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand start" -s f -l filter -d 'Of these, only those that fit: id name label restart-policy should-start-on-boot' -r
complete -c bundles -n "__fish_bundles_using_subcommand start" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand start" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand start" -s a -l attach -d 'Print what it writes, until it ends'
complete -c bundles -n "__fish_bundles_using_subcommand start" -s i -l interactive -d 'Pass on standard input too'
complete -c bundles -n "__fish_bundles_using_subcommand start" -l all -d 'All that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand start" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand restart" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand restart" -s t -l time -l timeout -d 'Seconds to wait before they are killed [default: 10]' -r
complete -c bundles -n "__fish_bundles_using_subcommand restart" -s s -l signal -d 'Signal to send first, instead of the container\'s own' -r
complete -c bundles -n "__fish_bundles_using_subcommand restart" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand attach" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand attach" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand attach" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand attach" -l no-stdin -d 'Look on only'
complete -c bundles -n "__fish_bundles_using_subcommand attach" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand pause" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand pause" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand unpause" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand unpause" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand rename" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand rename" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand update" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand update" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand update" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand top" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand top" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand stats" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand stats" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand stats" -l no-stream -d 'Only once'
complete -c bundles -n "__fish_bundles_using_subcommand stats" -l no-trunc -d 'Whole ids'
complete -c bundles -n "__fish_bundles_using_subcommand stats" -s a -l all -d 'Accepted for scripts: those that do not run use nothing'
complete -c bundles -n "__fish_bundles_using_subcommand stats" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand stop" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand stop" -s t -l time -l timeout -d 'Seconds to wait before they are killed [default: 10]' -r
complete -c bundles -n "__fish_bundles_using_subcommand stop" -s s -l signal -d 'Signal to send first, instead of the container\'s own' -r
complete -c bundles -n "__fish_bundles_using_subcommand stop" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand kill" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand kill" -s s -l signal -d 'By name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand kill" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand rm" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand rm" -s f -l force -d 'Kill those that run'
complete -c bundles -n "__fish_bundles_using_subcommand rm" -s v -l volumes -d 'Also remove volumes without a name that no other container uses'
complete -c bundles -n "__fish_bundles_using_subcommand rm" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s f -l filter -d 'Only those that fit: id name label status exited ancestor before since volume network publish expose health' -r
complete -c bundles -n "__fish_bundles_using_subcommand ps" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s n -l last -d 'The ones made last, whatever their state' -r
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s a -l all -d 'Also those that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s l -l latest -d 'The one made last, whatever its state'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -l no-trunc -d 'Whole ids and commands'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -l noheading -d 'Print no heading'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s q -l quiet -d 'Ids only'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s s -l size -d 'What they have on the disk, too'
complete -c bundles -n "__fish_bundles_using_subcommand ps" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand logs" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand logs" -l since -d 'Only what is newer: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m' -r
complete -c bundles -n "__fish_bundles_using_subcommand logs" -l until -d 'Only what is older' -r
complete -c bundles -n "__fish_bundles_using_subcommand logs" -s n -l tail -d 'Only the last lines' -r
complete -c bundles -n "__fish_bundles_using_subcommand logs" -s f -l follow -d 'Go on until it ends'
complete -c bundles -n "__fish_bundles_using_subcommand logs" -l details -d 'Accepted for scripts: there are none'
complete -c bundles -n "__fish_bundles_using_subcommand logs" -s t -l timestamps -d 'Begin each line with its time'
complete -c bundles -n "__fish_bundles_using_subcommand logs" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand exec" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand exec" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand exec" -l detach-keys -d 'Keys that leave it to itself, with -it [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s d -l detach -d 'Leave it to itself'
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s i -l interactive -d 'Pass on standard input'
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand exec" -l privileged -d 'With all capabilities'
complete -c bundles -n "__fish_bundles_using_subcommand exec" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand wait" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand wait" -l condition -d 'Something else to wait for; may be repeated' -r -f -a "created\t''
running\t''
paused\t''
exited\t''
removed\t''
healthy\t''
unhealthy\t''"
complete -c bundles -n "__fish_bundles_using_subcommand wait" -s i -l interval -d 'Accepted for scripts: it is heard of at once' -r
complete -c bundles -n "__fish_bundles_using_subcommand wait" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand inspect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand inspect" -s f -l format -d 'A template of Go, or json' -r
complete -c bundles -n "__fish_bundles_using_subcommand inspect" -s t -l type -d 'What they are, where several have the name' -r -f -a "container\t''
image\t''
network\t''
volume\t''"
complete -c bundles -n "__fish_bundles_using_subcommand inspect" -s s -l size -d 'What containers have on the disk, too'
complete -c bundles -n "__fish_bundles_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and not __fish_seen_subcommand_from run help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and not __fish_seen_subcommand_from run help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and not __fish_seen_subcommand_from run help" -f -a "run" -d 'Make the health check of a container now'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and not __fish_seen_subcommand_from run help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and __fish_seen_subcommand_from run" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and __fish_seen_subcommand_from help" -f -a "run" -d 'Make the health check of a container now'
complete -c bundles -n "__fish_bundles_using_subcommand healthcheck; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "run" -d 'Make a container and start it'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "create" -d 'Make a container without starting it'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "start" -d 'Start containers that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "stop" -d 'Ask containers to end, and make them'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "kill" -d 'Send a signal to containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "rm" -d 'Remove containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "ls" -d 'List containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "logs" -d 'Print what a container has written'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "exec" -d 'Run a command in a running container'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "inspect" -d 'Print all that is known of containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "attach" -d 'Connect the terminal to a container that runs'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "restart" -d 'Stop containers and start them again'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "pause" -d 'Freeze all processes of containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "unpause" -d 'Let paused containers go on'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "rename" -d 'Give a container another name'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "update" -d 'Change limits and the restart policy of containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "top" -d 'List the processes of a container'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "stats" -d 'Show what containers use; 100 % is one processor'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "port" -d 'Print where a container\'s ports are published'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "commit" -d 'Make an image of what a container has changed'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "export" -d 'Write the files of a container as a tar archive'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "diff" -d 'Show what a container has changed of its image\'s files'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "cp" -d 'Copy files between a container and here'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "prune" -d 'Remove all containers that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and not __fish_seen_subcommand_from run create start stop kill rm ls logs exec wait inspect exists attach restart pause unpause rename update top stats port commit export diff cp prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l name -d 'Name to call it by; one is made up otherwise' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s a -l attach -d 'Streams to attach, instead of all; may be repeated' -r -f -a "stdin\t''
stdout\t''
stderr\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cidfile -d 'Write its id to a file' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s l -l label -d 'Label, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l label-file -d 'File of labels, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l annotation -d 'Annotation for the runtime, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-signal -d 'Signal that stop sends first [default: SIGTERM]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-timeout -d 'Seconds that stop waits' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l log-driver -d 'Where its output is kept: json-file, or none' -r -f -a "json-file\t''
none\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l log-opt -d 'max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l group-add -d 'Further group, by name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l entrypoint -d 'Program to run instead of the image\'s; empty for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s h -l hostname -d 'Host name' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l domainname -d 'NIS domain name' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l add-host -d 'Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l dns -d 'Name server, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-search -d 'Domain in which names are looked up, instead of the host\'s; . for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-option -l dns-opt -d 'Option of resolv.conf, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l rootfs -d 'Directory to run in, instead of an image' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s v -l volume -d 'Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l mount -d 'The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l volumes-from -d 'Directories and volumes of another container, CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l tmpfs -d 'Directory in memory, PATH[:OPTIONS]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l shm-size -d 'Size of /dev/shm' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device -d 'Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device-cgroup-rule -d 'Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-add -d 'Capability to grant; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-drop -d 'Capability to take away; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l security-opt -d 'no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined, mask=PATH, unmask=PATH' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l sysctl -d 'Setting of the kernel, NAME=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l network -l net -d 'Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l ip -d 'IPv4 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l ip6 -d 'IPv6 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l network-alias -l net-alias -d 'Further name on its networks' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l link -d 'Container that it knows by another name, too: CONTAINER[:NAME]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s p -l publish -d 'Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l expose -d 'Port that it offers, without publishing it' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l pid -d 'Processes that it sees: its own, or those of host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l ipc -d 'Queues and shared memory: private, shareable, none, host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l uts -d 'Host name: its own, or that of the host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroupns -d 'Cgroups that it sees: private or host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l userns -d 'Users: host, where the caller is root' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l ulimit -d 'Resource limit, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swappiness -d 'Inclination to swap, 0 to 100' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l kernel-memory -d 'Accepted and ignored: the kernel has no such limit any more' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-score-adj -d 'How soon the kernel kills it for want of memory, -1000 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l blkio-weight -d 'Weight of its input and output, 10 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l blkio-weight-device -d 'The same on one device, DEVICE:WEIGHT' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-bps -d 'Bytes a second to read, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-bps -d 'Bytes a second to write, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device-read-iops -d 'Operations a second to read, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l device-write-iops -d 'Operations a second to write, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroup-parent -d 'Cgroup to make it in' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-cmd -d 'Command that tells whether it is well' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-interval -d 'Time between two checks, such as 30s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-timeout -d 'Time that a check may take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-start-period -d 'Time in which failures do not count, at the start' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-start-interval -d 'Time between two checks in that time' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l health-retries -d 'Failures until it is unwell' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l isolation -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l gpus -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l storage-opt -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l volume-driver -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l pull -d 'When to pull the image' -r -f -a "always\t''
missing\t''
never\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s d -l detach -d 'Leave it to itself, and print its id'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l help -d 'Print help; -h is the host name'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l rm -d 'Remove it when it ends'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Tell nothing of pulling'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s i -l interactive -d 'Keep its standard input open'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l init -d 'Have a first process that passes on signals and reaps orphans'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only -d 'Let it write nowhere but to its mounts'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l privileged -d 'Grant everything'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -s P -l publish-all -d 'Publish all exposed ports, on free ones of the host'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-kill-disable -d 'Let it wait instead of killing it when the memory is used up; with cgroup v1 only'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from run" -l no-healthcheck -d 'Forget the check of the image'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l name -d 'Name to call it by; one is made up otherwise' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s a -l attach -d 'Streams to attach, instead of all; may be repeated' -r -f -a "stdin\t''
stdout\t''
stderr\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cidfile -d 'Write its id to a file' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s l -l label -d 'Label, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l label-file -d 'File of labels, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l annotation -d 'Annotation for the runtime, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-signal -d 'Signal that stop sends first [default: SIGTERM]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-timeout -d 'Seconds that stop waits' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l log-driver -d 'Where its output is kept: json-file, or none' -r -f -a "json-file\t''
none\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l log-opt -d 'max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l group-add -d 'Further group, by name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l entrypoint -d 'Program to run instead of the image\'s; empty for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s h -l hostname -d 'Host name' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l domainname -d 'NIS domain name' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l add-host -d 'Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l dns -d 'Name server, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-search -d 'Domain in which names are looked up, instead of the host\'s; . for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-option -l dns-opt -d 'Option of resolv.conf, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l rootfs -d 'Directory to run in, instead of an image' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s v -l volume -d 'Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l mount -d 'The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l volumes-from -d 'Directories and volumes of another container, CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l tmpfs -d 'Directory in memory, PATH[:OPTIONS]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l shm-size -d 'Size of /dev/shm' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device -d 'Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device-cgroup-rule -d 'Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-add -d 'Capability to grant; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-drop -d 'Capability to take away; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l security-opt -d 'no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined, mask=PATH, unmask=PATH' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l sysctl -d 'Setting of the kernel, NAME=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l network -l net -d 'Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l ip -d 'IPv4 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l ip6 -d 'IPv6 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l network-alias -l net-alias -d 'Further name on its networks' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l link -d 'Container that it knows by another name, too: CONTAINER[:NAME]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s p -l publish -d 'Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l expose -d 'Port that it offers, without publishing it' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l pid -d 'Processes that it sees: its own, or those of host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l ipc -d 'Queues and shared memory: private, shareable, none, host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l uts -d 'Host name: its own, or that of the host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroupns -d 'Cgroups that it sees: private or host' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l userns -d 'Users: host, where the caller is root' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l ulimit -d 'Resource limit, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swappiness -d 'Inclination to swap, 0 to 100' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l kernel-memory -d 'Accepted and ignored: the kernel has no such limit any more' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-score-adj -d 'How soon the kernel kills it for want of memory, -1000 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l blkio-weight -d 'Weight of its input and output, 10 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l blkio-weight-device -d 'The same on one device, DEVICE:WEIGHT' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-bps -d 'Bytes a second to read, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-bps -d 'Bytes a second to write, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device-read-iops -d 'Operations a second to read, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l device-write-iops -d 'Operations a second to write, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroup-parent -d 'Cgroup to make it in' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-cmd -d 'Command that tells whether it is well' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-interval -d 'Time between two checks, such as 30s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-timeout -d 'Time that a check may take' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-start-period -d 'Time in which failures do not count, at the start' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-start-interval -d 'Time between two checks in that time' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l health-retries -d 'Failures until it is unwell' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l isolation -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l gpus -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l storage-opt -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l volume-driver -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l pull -d 'When to pull the image' -r -f -a "always\t''
missing\t''
never\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l help -d 'Print help; -h is the host name'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l rm -d 'Remove it when it ends'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Tell nothing of pulling'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s i -l interactive -d 'Keep its standard input open'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l init -d 'Have a first process that passes on signals and reaps orphans'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only -d 'Let it write nowhere but to its mounts'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l privileged -d 'Grant everything'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -s P -l publish-all -d 'Publish all exposed ports, on free ones of the host'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-kill-disable -d 'Let it wait instead of killing it when the memory is used up; with cgroup v1 only'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from create" -l no-healthcheck -d 'Forget the check of the image'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -s f -l filter -d 'Of these, only those that fit: id name label restart-policy should-start-on-boot' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -s a -l attach -d 'Print what it writes, until it ends'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -s i -l interactive -d 'Pass on standard input too'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -l all -d 'All that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stop" -s t -l time -l timeout -d 'Seconds to wait before they are killed [default: 10]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stop" -s s -l signal -d 'Signal to send first, instead of the container\'s own' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stop" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from kill" -s s -l signal -d 'By name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from kill" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from kill" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rm" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rm" -s f -l force -d 'Kill those that run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rm" -s v -l volumes -d 'Also remove volumes without a name that no other container uses'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that fit: id name label status exited ancestor before since volume network publish expose health' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s n -l last -d 'The ones made last, whatever their state' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s a -l all -d 'Also those that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s l -l latest -d 'The one made last, whatever its state'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Whole ids and commands'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -l noheading -d 'Print no heading'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Ids only'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s s -l size -d 'What they have on the disk, too'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -l since -d 'Only what is newer: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -l until -d 'Only what is older' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -s n -l tail -d 'Only the last lines' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on until it ends'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -l details -d 'Accepted for scripts: there are none'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -s t -l timestamps -d 'Begin each line with its time'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -l detach-keys -d 'Keys that leave it to itself, with -it [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s d -l detach -d 'Leave it to itself'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s i -l interactive -d 'Pass on standard input'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -l privileged -d 'With all capabilities'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from wait" -l condition -d 'Something else to wait for; may be repeated' -r -f -a "created\t''
running\t''
paused\t''
exited\t''
removed\t''
healthy\t''
unhealthy\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from wait" -s i -l interval -d 'Accepted for scripts: it is heard of at once' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from wait" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from inspect" -s f -l format -d 'A template of Go, or json' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from inspect" -s t -l type -d 'What they are, where several have the name' -r -f -a "container\t''
image\t''
network\t''
volume\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from inspect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from inspect" -s s -l size -d 'What containers have on the disk, too'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exists" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from attach" -l detach-keys -d 'Keys that leave it to itself [default: ctrl-p,ctrl-q]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from attach" -l sig-proxy -d 'Pass on signals' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from attach" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from attach" -l no-stdin -d 'Look on only'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from attach" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from restart" -s t -l time -l timeout -d 'Seconds to wait before they are killed [default: 10]' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from restart" -s s -l signal -d 'Signal to send first, instead of the container\'s own' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from restart" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from pause" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from pause" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from unpause" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from unpause" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rename" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from update" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from top" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from top" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -l no-stream -d 'Only once'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -l no-trunc -d 'Whole ids'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -s a -l all -d 'Accepted for scripts: those that do not run use nothing'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from port" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from port" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -s a -l author -d 'Who has made it, as "Name <name@example.org>"' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -s c -l change -d 'An instruction of a Dockerfile for its configuration, as "CMD [\\"sh\\"]"; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -s m -l message -d 'What has changed, for bundles history' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -s p -l pause -d 'Freeze the container meanwhile; -p=false to let it go on' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from commit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from export" -s o -l output -d 'File to write instead of standard output' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from export" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from diff" -l format -d 'json for one object with three lists' -r -f -a "json\t''"
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from diff" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from cp" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from cp" -s a -l archive -d 'Keep owners, setuid bits and devices; else what comes here is the caller\'s, and what goes there root\'s'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from cp" -s L -l follow-link -d 'Copy what a symlink leads to, if the source is one'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from cp" -s q -l quiet -d 'Print nothing, as always'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from prune" -l filter -d 'Those of this kind only: until= label= label!=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "run" -d 'Make a container and start it'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a container without starting it'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start containers that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Ask containers to end, and make them'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "kill" -d 'Send a signal to containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "logs" -d 'Print what a container has written'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a command in a running container'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "wait" -d 'Wait until containers end, and print their exit codes'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Print all that is known of containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "attach" -d 'Connect the terminal to a container that runs'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "restart" -d 'Stop containers and start them again'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "pause" -d 'Freeze all processes of containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "unpause" -d 'Let paused containers go on'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Give a container another name'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "update" -d 'Change limits and the restart policy of containers'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "top" -d 'List the processes of a container'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "stats" -d 'Show what containers use; 100 % is one processor'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "port" -d 'Print where a container\'s ports are published'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "commit" -d 'Make an image of what a container has changed'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write the files of a container as a tar archive'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Show what a container has changed of its image\'s files'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "cp" -d 'Copy files between a container and here'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove all containers that do not run'
complete -c bundles -n "__fish_bundles_using_subcommand container; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand build" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand build" -s t -l tag -d 'Name of the image; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -s f -l file -d 'Dockerfile, - for standard input [default: CONTEXT/Dockerfile]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand build" -l target -d 'Stage to build, by its name or number [default: the last one]' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l build-arg -d 'Value of an ARG, NAME=VALUE, or NAME to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l label -d 'Label of the image, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l progress -d 'How to show what goes on' -r -f -a "auto\t'On a terminal tty, otherwise plain'
plain\t'Everything line by line'
tty\t'What goes on, at the end of the terminal'
quiet\t'Nothing'"
complete -c bundles -n "__fish_bundles_using_subcommand build" -l network -l net -d 'Network of RUN: default, host, none, or the name of one' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l secret -d 'Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l iidfile -d 'File to write the id of the image to' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand build" -l add-host -d 'Further line of /etc/hosts for RUN, NAME:IP' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -s m -l memory -d 'Memory that RUN may take, in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l ulimit -d 'Limit of RUN\'s processes, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l shm-size -d 'Size of RUN\'s /dev/shm in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l cgroup-parent -d 'Cgroup above those of RUN' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l security-opt -d 'Security option of RUN, as that of run' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l allow -d 'Allow RUN --security=insecure: security.insecure' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand build" -l rm -d 'Remove the containers of steps; always done' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand build" -l layers -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand build" -l provenance -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l sbom -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l cache-from -r
complete -c bundles -n "__fish_bundles_using_subcommand build" -l no-cache -d 'Do everything anew'
complete -c bundles -n "__fish_bundles_using_subcommand build" -l pull -d 'Pull the images that stages begin with, also those that are here'
complete -c bundles -n "__fish_bundles_using_subcommand build" -s q -l quiet -d 'Print nothing but the id of the image'
complete -c bundles -n "__fish_bundles_using_subcommand build" -l force-rm
complete -c bundles -n "__fish_bundles_using_subcommand build" -l load -d 'The image is in the store; always done'
complete -c bundles -n "__fish_bundles_using_subcommand build" -l compress
complete -c bundles -n "__fish_bundles_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and not __fish_seen_subcommand_from prune build help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and not __fish_seen_subcommand_from prune build help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and not __fish_seen_subcommand_from prune build help" -f -a "prune" -d 'Forget what steps have made, which no image has'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and not __fish_seen_subcommand_from prune build help" -f -a "build" -d 'Make an image by a Dockerfile'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and not __fish_seen_subcommand_from prune build help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from prune" -s a -l all -d 'Forget all steps'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name of the image; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -s f -l file -d 'Dockerfile, - for standard input [default: CONTEXT/Dockerfile]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l target -d 'Stage to build, by its name or number [default: the last one]' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l build-arg -d 'Value of an ARG, NAME=VALUE, or NAME to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l label -d 'Label of the image, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l progress -d 'How to show what goes on' -r -f -a "auto\t'On a terminal tty, otherwise plain'
plain\t'Everything line by line'
tty\t'What goes on, at the end of the terminal'
quiet\t'Nothing'"
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l network -l net -d 'Network of RUN: default, host, none, or the name of one' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l secret -d 'Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l iidfile -d 'File to write the id of the image to' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l add-host -d 'Further line of /etc/hosts for RUN, NAME:IP' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -s m -l memory -d 'Memory that RUN may take, in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l ulimit -d 'Limit of RUN\'s processes, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l shm-size -d 'Size of RUN\'s /dev/shm in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l cgroup-parent -d 'Cgroup above those of RUN' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l security-opt -d 'Security option of RUN, as that of run' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l allow -d 'Allow RUN --security=insecure: security.insecure' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l rm -d 'Remove the containers of steps; always done' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l layers -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l provenance -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l sbom -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l cache-from -r
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l no-cache -d 'Do everything anew'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l pull -d 'Pull the images that stages begin with, also those that are here'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Print nothing but the id of the image'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l force-rm
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l load -d 'The image is in the store; always done'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -l compress
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Forget what steps have made, which no image has'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from help" -f -a "build" -d 'Make an image by a Dockerfile'
complete -c bundles -n "__fish_bundles_using_subcommand builder; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand images" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand images" -s f -l filter -d 'Only those that fit: dangling label label! before since reference until; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand images" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand images" -s a -l all -d 'All images; there are no hidden ones, the flag is here for scripts'
complete -c bundles -n "__fish_bundles_using_subcommand images" -l digests -d 'Show the digests by which images were pulled'
complete -c bundles -n "__fish_bundles_using_subcommand images" -l no-trunc -d 'Do not shorten ids'
complete -c bundles -n "__fish_bundles_using_subcommand images" -s q -l quiet -d 'Show ids only'
complete -c bundles -n "__fish_bundles_using_subcommand images" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand load" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand load" -s i -l input -d 'File to read instead of standard input' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand load" -s q -l quiet -d 'Print nothing'
complete -c bundles -n "__fish_bundles_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l platform -d 'Another platform than that of this machine, as linux/arm64' -r
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand pull" -s q -l quiet -d 'Print only the name'
complete -c bundles -n "__fish_bundles_using_subcommand pull" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand push" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand push" -l disable-content-trust -d 'Accepted for scripts: no signatures are made' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand push" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand push" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand push" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand push" -s a -l all-tags -d 'All names in the repository, with their tags'
complete -c bundles -n "__fish_bundles_using_subcommand push" -s q -l quiet -d 'Print only the name'
complete -c bundles -n "__fish_bundles_using_subcommand push" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand login" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand login" -s u -l username -d 'User name' -r
complete -c bundles -n "__fish_bundles_using_subcommand login" -s p -l password -d 'Password; others see it in lists of processes, so prefer --password-stdin' -r
complete -c bundles -n "__fish_bundles_using_subcommand login" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand login" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand login" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand login" -l password-stdin -d 'Read the password from standard input'
complete -c bundles -n "__fish_bundles_using_subcommand login" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand logout" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand logout" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand search" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand search" -l limit -d 'Most results' -r
complete -c bundles -n "__fish_bundles_using_subcommand search" -s f -l filter -d 'Only those that fit: stars=N is-official= is-automated=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand search" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand search" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand search" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand search" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand search" -l no-trunc -d 'Do not shorten descriptions'
complete -c bundles -n "__fish_bundles_using_subcommand search" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand search" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand commit" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand commit" -s a -l author -d 'Who has made it, as "Name <name@example.org>"' -r
complete -c bundles -n "__fish_bundles_using_subcommand commit" -s c -l change -d 'An instruction of a Dockerfile for its configuration, as "CMD [\\"sh\\"]"; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand commit" -s m -l message -d 'What has changed, for bundles history' -r
complete -c bundles -n "__fish_bundles_using_subcommand commit" -s p -l pause -d 'Freeze the container meanwhile; -p=false to let it go on' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand commit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand export" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand export" -s o -l output -d 'File to write instead of standard output' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand import" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand import" -s c -l change -d 'An instruction of a Dockerfile for its configuration, as "CMD [\\"sh\\"]"; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand import" -s m -l message -d 'What the history says of it' -r
complete -c bundles -n "__fish_bundles_using_subcommand import" -l platform -d 'Of the programs in it, as linux/arm64' -r
complete -c bundles -n "__fish_bundles_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand save" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand save" -s o -l output -d 'File to write instead of standard output' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand save" -l format -d 'docker-archive, which is an OCI image layout and has Docker\'s list, or oci-archive, the layout alone' -r -f -a "docker-archive\t''
oci-archive\t''"
complete -c bundles -n "__fish_bundles_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand diff" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand diff" -l format -d 'json for one object with three lists' -r -f -a "json\t''"
complete -c bundles -n "__fish_bundles_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand cp" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand cp" -s a -l archive -d 'Keep owners, setuid bits and devices; else what comes here is the caller\'s, and what goes there root\'s'
complete -c bundles -n "__fish_bundles_using_subcommand cp" -s L -l follow-link -d 'Copy what a symlink leads to, if the source is one'
complete -c bundles -n "__fish_bundles_using_subcommand cp" -s q -l quiet -d 'Print nothing, as always'
complete -c bundles -n "__fish_bundles_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand history" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand history" -s H -l human -d 'Ages and rounded sizes; -H=false for times and bytes' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand history" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand history" -l no-trunc -d 'Do not shorten ids and commands'
complete -c bundles -n "__fish_bundles_using_subcommand history" -s q -l quiet -d 'Show ids only'
complete -c bundles -n "__fish_bundles_using_subcommand history" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand tag" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand tag" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand rmi" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand rmi" -l no-prune -d 'Accepted for scripts: an image has no parents here'
complete -c bundles -n "__fish_bundles_using_subcommand rmi" -s f -l force -d 'Remove an image with all of its names, and do not mind missing ones'
complete -c bundles -n "__fish_bundles_using_subcommand rmi" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "ls" -d 'List images'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "build" -d 'Make an image by a Dockerfile'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "load" -d 'Load images from an archive'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "pull" -d 'Get an image from a registry'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "push" -d 'Give an image to a registry'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "import" -d 'Make an image of a tar archive of files'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "history" -d 'Show how an image was made, the newest step first'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "save" -d 'Write images with all their layers as one archive'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "tag" -d 'Give an image one more name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "rm" -d 'Remove images'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "inspect" -d 'Show all about images, as a list in JSON'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "prune" -d 'Remove images without a name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and not __fish_seen_subcommand_from ls build load pull push import history save tag rm inspect exists prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that fit: dangling label label! before since reference until; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -s a -l all -d 'All images; there are no hidden ones, the flag is here for scripts'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -l digests -d 'Show the digests by which images were pulled'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Do not shorten ids'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show ids only'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name of the image; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -s f -l file -d 'Dockerfile, - for standard input [default: CONTEXT/Dockerfile]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l target -d 'Stage to build, by its name or number [default: the last one]' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l build-arg -d 'Value of an ARG, NAME=VALUE, or NAME to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l label -d 'Label of the image, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l progress -d 'How to show what goes on' -r -f -a "auto\t'On a terminal tty, otherwise plain'
plain\t'Everything line by line'
tty\t'What goes on, at the end of the terminal'
quiet\t'Nothing'"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l network -l net -d 'Network of RUN: default, host, none, or the name of one' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l secret -d 'Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l iidfile -d 'File to write the id of the image to' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l add-host -d 'Further line of /etc/hosts for RUN, NAME:IP' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -s m -l memory -d 'Memory that RUN may take, in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l ulimit -d 'Limit of RUN\'s processes, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l shm-size -d 'Size of RUN\'s /dev/shm in bytes' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l cgroup-parent -d 'Cgroup above those of RUN' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l security-opt -d 'Security option of RUN, as that of run' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l allow -d 'Allow RUN --security=insecure: security.insecure' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l rm -d 'Remove the containers of steps; always done' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l layers -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l provenance -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l sbom -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l cache-from -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l no-cache -d 'Do everything anew'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l pull -d 'Pull the images that stages begin with, also those that are here'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Print nothing but the id of the image'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l force-rm
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l load -d 'The image is in the store; always done'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -l compress
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from load" -s i -l input -d 'File to read instead of standard input' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from load" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from load" -s q -l quiet -d 'Print nothing'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l platform -d 'Another platform than that of this machine, as linux/arm64' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Print only the name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l disable-content-trust -d 'Accepted for scripts: no signatures are made' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l cert-dir -d 'Directory with the registry\'s ca.crt, and client.cert with client.key if it wants them' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l timeout -d 'Give up an attempt when the registry is silent for so long' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l retry -d 'Attempts after one that failed in a way which may pass' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -s a -l all-tags -d 'All names in the repository, with their tags'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -s q -l quiet -d 'Print only the name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -l insecure -d 'Trust any certificate, and a registry without TLS; localhost needs no flag'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from import" -s c -l change -d 'An instruction of a Dockerfile for its configuration, as "CMD [\\"sh\\"]"; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from import" -s m -l message -d 'What the history says of it' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from import" -l platform -d 'Of the programs in it, as linux/arm64' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from import" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -s H -l human -d 'Ages and rounded sizes; -H=false for times and bytes' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -l no-trunc -d 'Do not shorten ids and commands'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -s q -l quiet -d 'Show ids only'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from save" -s o -l output -d 'File to write instead of standard output' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from save" -l format -d 'docker-archive, which is an OCI image layout and has Docker\'s list, or oci-archive, the layout alone' -r -f -a "docker-archive\t''
oci-archive\t''"
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from save" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from tag" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from rm" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from rm" -l no-prune -d 'Accepted for scripts: an image has no parents here'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from rm" -s f -l force -d 'Remove an image with all of its names, and do not mind missing ones'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from inspect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from exists" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from prune" -l filter -d 'Those of this kind only: until= label= label!=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also those with names'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List images'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "build" -d 'Make an image by a Dockerfile'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "load" -d 'Load images from an archive'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Get an image from a registry'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "push" -d 'Give an image to a registry'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "import" -d 'Make an image of a tar archive of files'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "history" -d 'Show how an image was made, the newest step first'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "save" -d 'Write images with all their layers as one archive'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "tag" -d 'Give an image one more name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove images'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show all about images, as a list in JSON'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove images without a name'
complete -c bundles -n "__fish_bundles_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "create" -d 'Create a network, and print its id'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "ls" -d 'List networks'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "inspect" -d 'Print all that is known of networks, as JSON'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "rm" -d 'Remove networks that no container is on'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "prune" -d 'Remove all networks that no container is on'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "connect" -d 'Bring a container onto a network'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "disconnect" -d 'Take a container off a network'
complete -c bundles -n "__fish_bundles_using_subcommand network; and not __fish_seen_subcommand_from create ls inspect rm exists prune connect disconnect help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -s d -l driver -d 'How it works: a bridge on this host, or second links on one of the host\'s' -r -f -a "bridge\t''
macvlan\t''"
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet -d 'Subnet, as 172.30.0.0/16; once for IPv4 and once for IPv6' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l gateway -d 'The host\'s address in the subnet; the first one by default' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l ip-range -d 'Part of the subnet which containers get addresses from' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l ipam-driver -d 'The same, where it is default' -r -f -a "default\t''"
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l scope -d 'The same, where it is local' -r -f -a "local\t''"
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l label -d 'Label of the network' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -s o -l opt -d 'Option of the driver: of macvlan `parent=LINK` and `macvlan_mode=MODE`' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l internal -d 'Without a way out'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l ipv6 -d 'With IPv6 addresses, too'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -l attachable -d 'Accepted for scripts: any container may be brought onto it'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Show those of this kind only: name= id= label= label!= driver= type= scope= dangling=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print ids only'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Print whole ids'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Leave the headings of columns away'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json, or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from inspect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from inspect" -s v -l verbose -d 'Accepted for scripts: all is told anyway'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from rm" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from rm" -s f -l force -d 'No error for networks that do not exist'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from exists" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from prune" -l filter -d 'Those of this kind only: until= label= label!=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l ip -d 'Address to take; once for IPv4 and once for IPv6' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l alias -d 'Further name on this network' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l name -d 'Of netns: its name on the network' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l interface -d 'Of netns: name of the new interface there, instead of eth0 and so on' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l hosts -d 'Of netns: file to keep current as its /etc/hosts' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l add-host -d 'Of netns: further line of that file' -r
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from disconnect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from disconnect" -s f -l force -d 'No error where it is not on it'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from disconnect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "create" -d 'Create a network, and print its id'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List networks'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Print all that is known of networks, as JSON'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove networks that no container is on'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove all networks that no container is on'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "connect" -d 'Bring a container onto a network'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "disconnect" -d 'Take a container off a network'
complete -c bundles -n "__fish_bundles_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand port" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand port" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "create" -d 'Make a volume'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "ls" -d 'List volumes'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "inspect" -d 'Show all about volumes'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "rm" -d 'Remove volumes that no container uses'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "prune" -d 'Remove all volumes without a name of yours that no container uses'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and not __fish_seen_subcommand_from create ls inspect exists rm prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -l name -d 'The same as VOLUME' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -l label -d 'Set a label; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -s d -l driver -d 'The driver, of which there is one' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -s o -l opt -d 'What to mount: type=tmpfs, or type=none with o=bind and device=/DIRECTORY; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Show those of this kind only: name= label= label!= dangling= driver=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show names only'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Leave the headings of columns away'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s f -l format -d 'json, or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from inspect" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from exists" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from exists" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from rm" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from rm" -s f -l force -d 'A volume that is not there is no error'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from prune" -l filter -d 'Those of this kind only: label= label!= all=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from prune" -s a -l all -d 'Those with names too'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a volume'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List volumes'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show all about volumes'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "exists" -d 'Say by the exit code whether it is there: 0, or 1'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove volumes that no container uses'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove all volumes without a name of yours that no container uses'
complete -c bundles -n "__fish_bundles_using_subcommand volume; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -f -a "df" -d 'Show what takes how much of the disk'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -f -a "events" -d 'Print what happens to containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -f -a "info" -d 'Show what there is: containers, images, runtimes, the host'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -f -a "prune" -d 'Remove what nobody uses'
complete -c bundles -n "__fish_bundles_using_subcommand system; and not __fish_seen_subcommand_from df events info prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from df" -l format -d 'table, json, \'table TEMPLATE\' or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from df" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from df" -s v -l verbose -d 'Each image, container and volume'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from df" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -s f -l filter -d 'Only those that fit: container event image label network type volume' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l format -d 'json, or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l since -d 'Begin with this: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l until -d 'End with this' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l stream -d 'Wait for what is to come' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -l no-trunc -d 'Accepted for scripts: ids are always whole'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from info" -s f -l format -d 'json or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from info" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -l filter -d 'Containers, networks, volumes and images of this kind only: until= label= label!=; may be repeated' -r
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -s a -l all -d 'All images that no container uses, also those with names'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -l volumes -d 'Volumes too, as by \'volume prune\''
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from help" -f -a "df" -d 'Show what takes how much of the disk'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from help" -f -a "events" -d 'Print what happens to containers, images, networks and volumes'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show what there is: containers, images, runtimes, the host'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove what nobody uses'
complete -c bundles -n "__fish_bundles_using_subcommand system; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bundles -n "__fish_bundles_using_subcommand events" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand events" -s f -l filter -d 'Only those that fit: container event image label network type volume' -r
complete -c bundles -n "__fish_bundles_using_subcommand events" -l format -d 'json, or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand events" -l since -d 'Begin with this: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m' -r
complete -c bundles -n "__fish_bundles_using_subcommand events" -l until -d 'End with this' -r
complete -c bundles -n "__fish_bundles_using_subcommand events" -l stream -d 'Wait for what is to come' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand events" -l no-trunc -d 'Accepted for scripts: ids are always whole'
complete -c bundles -n "__fish_bundles_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand info" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand info" -s f -l format -d 'json or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand info" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand version" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand version" -s f -l format -d 'json or a template of Go' -r
complete -c bundles -n "__fish_bundles_using_subcommand version" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand doctor" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand doctor" -s f -l format -d 'Output format' -r -f -a "text\t''
json\t''"
complete -c bundles -n "__fish_bundles_using_subcommand doctor" -l runtime -d 'The OCI runtime to try, instead of the one that is found' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c bundles -n "__fish_bundles_using_subcommand unshare" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand unshare" -s n -l network -d 'Also where the bridges of his networks are'
complete -c bundles -n "__fish_bundles_using_subcommand unshare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l name -d 'Name to call it by; one is made up otherwise' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s a -l attach -d 'Streams to attach, instead of all; may be repeated' -r -f -a "stdin\t''
stdout\t''
stderr\t''"
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cidfile -d 'Write its id to a file' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s l -l label -d 'Label, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l label-file -d 'File of labels, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l annotation -d 'Annotation for the runtime, KEY=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l stop-signal -d 'Signal that stop sends first [default: SIGTERM]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l stop-timeout -d 'Seconds that stop waits' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l restart -d 'When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l log-driver -d 'Where its output is kept: json-file, or none' -r -f -a "json-file\t''
none\t''"
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l log-opt -d 'max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l runtime -d 'OCI runtime: a name or a path [default: rt, runc or crun]' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s e -l env -d 'Environment variable, KEY=VALUE, or KEY to take the caller\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l env-file -d 'File of environment variables, one a line' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s w -l workdir -d 'Working directory' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s u -l user -d 'User, and group: NAME or number, USER[:GROUP]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l group-add -d 'Further group, by name or number' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l entrypoint -d 'Program to run instead of the image\'s; empty for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s h -l hostname -d 'Host name' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l domainname -d 'NIS domain name' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l add-host -d 'Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l dns -d 'Name server, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l dns-search -d 'Domain in which names are looked up, instead of the host\'s; . for none' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l dns-option -l dns-opt -d 'Option of resolv.conf, instead of the host\'s' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l rootfs -d 'Directory to run in, instead of an image' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s v -l volume -d 'Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l mount -d 'The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l volumes-from -d 'Directories and volumes of another container, CONTAINER[:ro]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l tmpfs -d 'Directory in memory, PATH[:OPTIONS]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l shm-size -d 'Size of /dev/shm' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device -d 'Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device-cgroup-rule -d 'Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cap-add -d 'Capability to grant; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cap-drop -d 'Capability to take away; ALL for all' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l security-opt -d 'no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined, mask=PATH, unmask=PATH' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l sysctl -d 'Setting of the kernel, NAME=VALUE' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l network -l net -d 'Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l ip -d 'IPv4 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l ip6 -d 'IPv6 address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l mac-address -d 'Hardware address to take' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l network-alias -l net-alias -d 'Further name on its networks' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l link -d 'Container that it knows by another name, too: CONTAINER[:NAME]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s p -l publish -d 'Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l expose -d 'Port that it offers, without publishing it' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l pid -d 'Processes that it sees: its own, or those of host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l ipc -d 'Queues and shared memory: private, shareable, none, host or container:NAME' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l uts -d 'Host name: its own, or that of the host' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cgroupns -d 'Cgroups that it sees: private or host' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l userns -d 'Users: host, where the caller is root' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l ulimit -d 'Resource limit, NAME=SOFT[:HARD]' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s m -l memory -d 'Memory; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l memory-swap -d 'Memory and swap together; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l memory-reservation -d 'Memory that it keeps when there is little' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cpus -d 'CPUs, such as 1.5' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cpu-quota -d 'Time of all CPUs in a period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cpu-period -d 'The period, in microseconds' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s c -l cpu-shares -d 'Weight against other containers; 1024 is usual' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cpuset-cpus -d 'CPUs to run on, such as 0-2,4' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l pids-limit -d 'Processes; -1 for no limit' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l memory-swappiness -d 'Inclination to swap, 0 to 100' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l kernel-memory -d 'Accepted and ignored: the kernel has no such limit any more' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l oom-score-adj -d 'How soon the kernel kills it for want of memory, -1000 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l blkio-weight -d 'Weight of its input and output, 10 to 1000' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l blkio-weight-device -d 'The same on one device, DEVICE:WEIGHT' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device-read-bps -d 'Bytes a second to read, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device-write-bps -d 'Bytes a second to write, DEVICE:BYTES' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device-read-iops -d 'Operations a second to read, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l device-write-iops -d 'Operations a second to write, DEVICE:NUMBER' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l cgroup-parent -d 'Cgroup to make it in' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-cmd -d 'Command that tells whether it is well' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-interval -d 'Time between two checks, such as 30s' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-timeout -d 'Time that a check may take' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-start-period -d 'Time in which failures do not count, at the start' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-start-interval -d 'Time between two checks in that time' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l health-retries -d 'Failures until it is unwell' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l platform -d 'Platform of the image: that of this machine' -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l isolation -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l disable-content-trust -d 'Accepted for scripts: no signatures are looked at' -r -f -a "true\t''
false\t''"
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l gpus -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l storage-opt -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l volume-driver -r
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l pull -d 'When to pull the image' -r -f -a "always\t''
missing\t''
never\t''"
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l help -d 'Print help; -h is the host name'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l rm -d 'Remove it when it ends'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s q -l quiet -d 'Tell nothing of pulling'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s i -l interactive -d 'Keep its standard input open'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s t -l tty -d 'Give it a terminal'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l init -d 'Have a first process that passes on signals and reaps orphans'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l read-only -d 'Let it write nowhere but to its mounts'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l privileged -d 'Grant everything'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -s P -l publish-all -d 'Publish all exposed ports, on free ones of the host'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l oom-kill-disable -d 'Let it wait instead of killing it when the memory is used up; with cgroup v1 only'
complete -c bundles -n "__fish_bundles_using_subcommand bundle" -l no-healthcheck -d 'Forget the check of the image'
complete -c bundles -n "__fish_bundles_using_subcommand rootfs" -l root -d 'Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others' -r -F
complete -c bundles -n "__fish_bundles_using_subcommand rootfs" -l from-host -d 'Take the programs from this host'
complete -c bundles -n "__fish_bundles_using_subcommand rootfs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "run"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "create"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "start"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "restart"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "attach"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "pause"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "unpause"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "rename"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "update"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "top"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "stats"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "stop"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "kill"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "rm"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "ps"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "logs"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "exec"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "wait"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "inspect"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "healthcheck"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "container"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "build"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "builder"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "images"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "load"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "pull"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "push"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "login"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "logout"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "search"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "commit"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "export"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "import"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "save"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "diff"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "cp"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "history"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "tag"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "rmi"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "image"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "network"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "port"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "volume"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "system"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "events"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "info"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "version"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "doctor"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "unshare"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "bundle"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "rootfs"
complete -c bundles -n "__fish_bundles_using_subcommand help; and not __fish_seen_subcommand_from run create start restart attach pause unpause rename update top stats stop kill rm ps logs exec wait inspect healthcheck container build builder images load pull push login logout search commit export import save diff cp history tag rmi image network port volume system events info version doctor unshare bundle rootfs help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
