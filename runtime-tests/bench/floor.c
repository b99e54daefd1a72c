// The floor of the benchmark: the kernel work of a Docker-like container by direct system calls.
//
// A runtime cannot be faster than the kernel work which its configuration asks for. This program does
// that work and nothing else: no JSON, no state format, no checks, no error recovery. It is not a
// container runtime and no security boundary; a failing call ends it with one line.
//
// Runs in: the private namespaces of the bench driver. Privilege: root with CAP_SYS_ADMIN.
//
// It speaks as much of runc's command line as the driver needs:
//   floor --root DIR run|create --bundle DIR ID [PROGRAM ARGS]   PROGRAM is /bin/true when not given
//   floor --root DIR start|state ID      floor --root DIR delete [--force] ID
//   floor --root DIR exec ID PROGRAM ARGS    floor --root DIR list
//   floor nothing               exits at once: what starting and waiting for a program costs
//   floor rusage PROGRAM ARGS   prints the largest RSS in KiB of PROGRAM and what it waited for
//
// Constant here, because the driver's config.json always says the same:
//   * namespaces mount, uts, ipc, pid, network, cgroup; root file system at BUNDLE/../rootfs
//   * cgroup v2, mounted at /sys/fs/cgroup, directory named after the ID; no limits
//   * device rules: floor_devices.h
//   * the ten mounts, six device nodes, five links, masked and read-only paths, host name "c"
//   * uid 0, gid 0, group 0, umask 022, oom_score_adj 0, 14 capabilities, one PATH
//   * the seccomp profile: floor_filter.h
//
// Build: musl-gcc -static -O2 floor.c (the Linux headers need -idirafter, see README.md).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "floor_filter.h knows the system call numbers of x86_64 and i386 only"
#endif

static void die(const char *what)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static long checked(long result, const char *call)
{
	if (result < 0)
		die(call);
	return result;
}
#define MUST(call) checked((long)(call), #call)

#include "floor_devices.h"
#include "floor_filter.h"

#define NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)
#define DOCKER_CAPS 0xa80425fbULL // the 14 of Docker, by their numbers in capability.h
#define START_SOCKET "start.sock"

static const char *root_dir, *bundle_dir, *id;
static char *const true_argv[] = { "/bin/true", NULL };
static char *const payload_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=c", "HOME=/root", NULL
};
static char *const *payload = true_argv;
static struct sock_fprog seccomp_program;

// ---------------------------------------------------------------------------------- cgroup, parent

static const char *cgroup_path(const char *file)
{
	static char path[256];
	snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s", id, file);
	return path;
}

static int make_cgroup(void)
{
	MUST(mkdir(cgroup_path(""), 0755));
	int cgroup = MUST(open(cgroup_path(""), O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (!getenv("FLOOR_NO_DEVICES")) { // bpf(2) wants a real descriptor, clone3 takes O_PATH too
		int attach_to = MUST(open(cgroup_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		limit_devices(attach_to);
		close(attach_to);
	}
	return cgroup;
}

static void remove_cgroup(void)
{
	// A process counts as gone for waitid(2) and poll(2) an instant before the cgroup lets it go.
	while (rmdir(cgroup_path("")) < 0) {
		if (errno != EBUSY)
			die("rmdir the cgroup");
		usleep(20);
	}
}

// clone3 without CLONE_VM: 0 in the child, else the pidfd; the pid is left in `spawned_pid`.
static pid_t spawned_pid;

static int spawn(uint64_t flags, int cgroup)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_INTO_CGROUP, .pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD, .cgroup = cgroup,
	};
	spawned_pid = MUST(syscall(SYS_clone3, &args, sizeof args));
	return spawned_pid ? pidfd : 0;
}

static int wait_for(int pidfd)
{
	siginfo_t info;
	MUST(waitid(P_PIDFD, pidfd, &info, WEXITED));
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

// ------------------------------------------------------------------------------ root file system, init

#define NO_SUID MOUNT_ATTR_NOSUID
#define NO_ALL (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV)

static void attach(int tree, const char *target)
{
	MUST(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
	close(tree);
}

static int clone_tree(const char *source)
{
	return MUST(syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

// A new file system, detached. `options`: keys and values in turn, NULL at the end.
static int new_mount(const char *type, unsigned attributes, const char *const *options)
{
	int fs = MUST(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
	for (; *options; options += 2)
		MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0));
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	int tree = MUST(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes));
	close(fs);
	return tree;
}
#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void make_devices(void)
{
	static const struct { const char *path; int major, minor; } nodes[] = {
		{ "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" }, { "/proc/self/fd/1", "dev/stdout" },
		{ "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" },
	};
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		MUST(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		MUST(symlink(links[i][0], links[i][1]));
}

static void build_root(void)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };
	MUST(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private));
	MUST(chdir(bundle_dir));
	attach(clone_tree("../rootfs"), "../rootfs");
	int bundle = MUST(open(".", O_PATH | O_CLOEXEC));
	MUST(chdir("../rootfs"));

	attach(new_mount("proc", NO_ALL, OPTIONS()), "proc");
	attach(new_mount("tmpfs", NO_SUID | MOUNT_ATTR_STRICTATIME, OPTIONS("mode", "755", "size", "65536k")), "dev");
	umask(0);
	MUST(mkdir("dev/pts", 0755) | mkdir("dev/shm", 0755) | mkdir("dev/mqueue", 0755));
	attach(new_mount("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
		OPTIONS("ptmxmode", "0666", "mode", "0620", "gid", "5")), "dev/pts");
	attach(new_mount("sysfs", NO_ALL | MOUNT_ATTR_RDONLY, OPTIONS()), "sys");
	attach(new_mount("cgroup2", NO_ALL | MOUNT_ATTR_RDONLY, OPTIONS()), "sys/fs/cgroup");
	attach(new_mount("mqueue", NO_ALL, OPTIONS()), "dev/mqueue");
	attach(new_mount("tmpfs", NO_ALL, OPTIONS("mode", "1777", "size", "67108864")), "dev/shm");
	static const char *const binds[] = { "etc/resolv.conf", "etc/hostname", "etc/hosts" };
	for (size_t i = 0; i < sizeof binds / sizeof *binds; i++)
		attach(MUST(syscall(SYS_open_tree, bundle, binds[i],
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)), binds[i]);
	close(bundle);
	make_devices();

	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */));
	MUST(chdir("/"));
}

static void restrict_paths(void)
{
	static const char *const read_only[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};
	static const char *const masked[] = {
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	};
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		if (access(read_only[i], F_OK) < 0)
			continue;
		int tree = clone_tree(read_only[i]);
		MUST(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &readonly, sizeof readonly));
		attach(tree, read_only[i]);
	}
	const char *empty = NULL; // the first masked directory: its tmpfs serves all
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) {
		struct stat st;
		if (stat(masked[i], &st) < 0)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			MUST(syscall(SYS_mount, "/dev/null", masked[i], NULL, MS_BIND, NULL));
		} else if (empty) {
			attach(clone_tree(empty), masked[i]);
		} else {
			attach(new_mount("tmpfs", MOUNT_ATTR_RDONLY, OPTIONS("nr_blocks", "1", "nr_inodes", "1")), masked[i]);
			empty = masked[i];
		}
	}
}

static void set_up_host(void)
{
	int sock = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	MUST(ioctl(sock, SIOCSIFFLAGS, &lo));
	close(sock);
	MUST(sethostname("c", 1));
}

// ------------------------------------------------------------------------- the payload, init and exec

static void set_oom_score(void)
{
	int fd = MUST(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
	MUST(write(fd, "0", 1));
	close(fd);
}

// The last capability falls after the filter is in, because loading it without no_new_privs needs
// CAP_SYS_ADMIN. The rest comes before, so that the filter does not slow it.
static void become_payload(void)
{
	MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, id));
	setsid(); // EPERM for the leader of a group: then it is one already
	for (unsigned cap = 0; cap < 64; cap++)
		if (!(DOCKER_CAPS >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break; // the kernel knows no more
	MUST(syscall(SYS_setgroups, 1, (gid_t[]){ 0 }));
	MUST(syscall(SYS_setresgid, 0, 0, 0));
	MUST(syscall(SYS_setresuid, 0, 0, 0));
	umask(022);
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &seccomp_program));
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = {
		{ .effective = (uint32_t)DOCKER_CAPS, .permitted = (uint32_t)DOCKER_CAPS },
	};
	MUST(syscall(SYS_capset, &header, caps));
}

static void exec_payload(void)
{
	MUST(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));
	MUST(execve(payload[0], payload, payload_env));
}

static void be_init(void)
{
	set_oom_score();
	build_root();
	set_up_host();
	restrict_paths();
	become_payload();
}

// ------------------------------------------------------------------------------------------ verbs

static int run(void)
{
	int init = spawn(NAMESPACES, make_cgroup());
	if (!init) {
		be_init();
		exec_payload();
	}
	int status = wait_for(init);
	remove_cgroup();
	return status;
}

static void enter_state_dir(void)
{
	MUST(chdir(root_dir));
	MUST(chdir(id));
}

static struct sockaddr_un start_address = { .sun_family = AF_UNIX, .sun_path = START_SOCKET };

static int create(void)
{
	char pid[16];
	int here = MUST(open(".", O_PATH | O_CLOEXEC)), ready[2];
	MUST(chdir(root_dir));
	MUST(mkdir(id, 0700));
	MUST(chdir(id));
	int listener = MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	MUST(bind(listener, (struct sockaddr *)&start_address, sizeof start_address));
	MUST(listen(listener, 1));
	MUST(pipe2(ready, O_CLOEXEC));

	int init = spawn(NAMESPACES, make_cgroup());
	if (!init) {
		MUST(fchdir(here));
		be_init();
		MUST(write(ready[1], "", 1));
		close(ready[0]), close(ready[1]);
		MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC)); // parked until `start`
		exec_payload();
	}
	close(ready[1]);
	if (read(ready[0], pid, 1) != 1)
		die("init ended early");
	int file = MUST(open("pid", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	MUST(write(file, pid, snprintf(pid, sizeof pid, "%d", spawned_pid)));
	return 0;
}

static int start(void)
{
	char byte;
	enter_state_dir();
	int sock = MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	MUST(connect(sock, (struct sockaddr *)&start_address, sizeof start_address));
	MUST(unlink(START_SOCKET));
	return MUST(read(sock, &byte, 1)) != 0; // end-of-file: execve closed init's end
}

static int read_pid(const char *path)
{
	char text[16] = "";
	int file = MUST(open(path, O_RDONLY | O_CLOEXEC));
	MUST(read(file, text, sizeof text - 1));
	close(file);
	return atoi(text);
}

// The pidfd of the container's init, or -1 when it is gone.
static int open_init(int pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0)) {
		close(pidfd);
		return -1; // dead, not yet waited for
	}
	return pidfd;
}

static int delete(int force)
{
	enter_state_dir();
	int init = open_init(read_pid("pid"));
	if (init >= 0 && !force) {
		errno = EBUSY;
		die("delete a running container");
	}
	if (init >= 0) {
		int file = MUST(open(cgroup_path("/cgroup.kill"), O_WRONLY | O_CLOEXEC));
		MUST(write(file, "1", 1));
		MUST(poll(&(struct pollfd){ .fd = init, .events = POLLIN }, 1, -1));
	}
	remove_cgroup();
	unlink(START_SOCKET); // there only when it was never started
	MUST(unlink("pid"));
	MUST(chdir(".."));
	MUST(rmdir(id));
	return 0;
}

static int exec(void)
{
	enter_state_dir();
	int init = MUST(syscall(SYS_pidfd_open, read_pid("pid"), 0));
	int cgroup = MUST(open(cgroup_path(""), O_PATH | O_DIRECTORY | O_CLOEXEC));
	set_oom_score();
	MUST(syscall(SYS_setns, init, NAMESPACES));
	int child = spawn(0, cgroup);
	if (!child) {
		become_payload();
		exec_payload();
	}
	return wait_for(child);
}

static void print_state(const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/pid", name);
	int pid = read_pid(path), init = open_init(pid);
	snprintf(path, sizeof path, "%s/" START_SOCKET, name);
	const char *status = init < 0 ? "stopped" : access(path, F_OK) ? "running" : "created";
	close(init);
	printf("{\"id\": \"%s\", \"pid\": %d, \"status\": \"%s\"}\n", name, pid, status);
}

static int list(void)
{
	MUST(chdir(root_dir));
	DIR *all = opendir(".");
	for (struct dirent *entry; all && (entry = readdir(all));)
		if (entry->d_name[0] != '.')
			print_state(entry->d_name);
	return fflush(stdout);
}

static int rusage(char **argv)
{
	struct rusage usage;
	int status;
	pid_t pid = vfork(); // shares this small memory: RSS of the starter counts as the child's
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	MUST(wait4(pid, &status, 0, &usage));
	printf("%ld\n", usage.ru_maxrss);
	return fflush(stdout) | status;
}

int main(int argc, char **argv)
{
	const char *verb = "";
	int force = 0;
	for (argv++; argc > 1 && *argv && !id; argv++) {
		if (!strcmp(*argv, "--root") && argv[1])
			root_dir = *++argv;
		else if (!strcmp(*argv, "--bundle") && argv[1])
			bundle_dir = *++argv;
		else if (!strcmp(*argv, "--force"))
			force = 1;
		else if (*verb)
			id = *argv;
		else if (!strcmp(*argv, "rusage") && argv[1])
			return rusage(argv + 1) ? 1 : 0;
		else
			verb = *argv;
	}
	if (*argv)
		payload = argv;
	if (!strcmp(verb, "nothing"))
		return 0;
	if (root_dir && !strcmp(verb, "list"))
		return list();
	if (!id || !root_dir || ((!strcmp(verb, "run") || !strcmp(verb, "create")) && !bundle_dir))
		die("usage: see the top of floor.c");
	if (!strcmp(verb, "start"))
		return start();
	if (!strcmp(verb, "delete"))
		return delete(force);
	if (!strcmp(verb, "state"))
		return MUST(chdir(root_dir)), print_state(id), fflush(stdout);
	seccomp_program = filter_compile();
	if (!strcmp(verb, "run"))
		return run();
	if (!strcmp(verb, "create"))
		return create();
	if (!strcmp(verb, "exec"))
		return exec();
	die("unknown verb");
}
