// The seccomp filter of the floor program: a default-deny profile of Docker's shape, kept as spans
// of system call numbers and compiled at start-up in about two microseconds.
// Runs in: the floor, before clone3. Needs no privilege.
//
// The profile is the one that the bench driver writes into config.json for the real runtimes: about
// 360 allowed names, argument rules for socket, personality and clone, ENOSYS for clone3 and for
// numbers above 466, which the profile cannot know. Default is EPERM. x32 calls use the x86_64
// table with the x32 bit cleared, and their own range 512-547 gets ENOSYS.
//
// Decisions were compared with libseccomp 2.5.4 for every number below 600, 20 argument values, and
// four architectures: the same but for numbers which that version does not know, x32, and an unknown
// architecture (it kills the thread, this the process).
//
// A span is the first number and the verdict that holds until the next span. Neighbouring numbers with
// the same verdict are merged, because the kernel runs the whole filter once for every system
// call number when it is loaded: the depth of the tree is the cost.
#ifndef FLOOR_FILTER_H
#define FLOOR_FILTER_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

enum verdict { ALLOW, DENY, NOSYS, KILL, SOCKET, PERSONALITY, CLONE, VERDICTS };

struct span {
	unsigned first;
	enum verdict verdict;
};

static const struct span spans_x86_64[] = {
	{0, ALLOW}, {41, SOCKET}, {42, ALLOW}, {56, CLONE}, {57, ALLOW}, {103, DENY}, {104, ALLOW},
	{134, DENY}, {135, PERSONALITY}, {136, DENY}, {137, ALLOW}, {139, DENY}, {140, ALLOW},
	{153, DENY}, {154, ALLOW}, {155, DENY}, {157, ALLOW}, {163, DENY}, {186, ALLOW}, {212, DENY},
	{213, ALLOW}, {227, DENY}, {228, ALLOW}, {236, DENY}, {240, ALLOW}, {246, DENY},
	{247, ALLOW}, {248, DENY}, {251, ALLOW}, {256, DENY}, {257, ALLOW}, {272, DENY},
	{273, ALLOW}, {279, DENY}, {280, ALLOW}, {298, DENY}, {299, ALLOW}, {300, DENY},
	{301, ALLOW}, {304, DENY}, {305, ALLOW}, {308, DENY}, {309, ALLOW}, {312, DENY},
	{314, ALLOW}, {320, DENY}, {322, ALLOW}, {323, DENY}, {324, ALLOW}, {336, DENY},
	{424, ALLOW}, {425, DENY}, {434, ALLOW}, {435, NOSYS}, {436, ALLOW}, {438, DENY},
	{439, ALLOW}, {440, DENY}, {441, ALLOW}, {442, DENY}, {444, ALLOW}, {450, DENY},
	{451, ALLOW}, {459, DENY}, {462, ALLOW}, {467, NOSYS},
};
static const struct span spans_i386[] = {
	{0, ALLOW}, {17, DENY}, {19, ALLOW}, {21, DENY}, {23, ALLOW}, {25, DENY}, {26, ALLOW},
	{28, DENY}, {29, ALLOW}, {31, DENY}, {33, ALLOW}, {34, DENY}, {36, ALLOW}, {44, DENY},
	{45, ALLOW}, {48, DENY}, {49, ALLOW}, {51, DENY}, {54, ALLOW}, {56, DENY}, {57, ALLOW},
	{58, DENY}, {60, ALLOW}, {62, DENY}, {63, ALLOW}, {67, DENY}, {70, ALLOW}, {72, DENY},
	{75, ALLOW}, {79, DENY}, {80, ALLOW}, {84, DENY}, {85, ALLOW}, {86, DENY}, {90, ALLOW},
	{98, DENY}, {99, ALLOW}, {101, DENY}, {102, ALLOW}, {103, DENY}, {104, ALLOW}, {109, DENY},
	{114, ALLOW}, {115, DENY}, {116, ALLOW}, {120, CLONE}, {121, DENY}, {122, ALLOW},
	{127, DENY}, {132, ALLOW}, {134, DENY}, {136, PERSONALITY}, {137, DENY}, {138, ALLOW},
	{149, DENY}, {150, ALLOW}, {166, DENY}, {168, ALLOW}, {169, DENY}, {170, ALLOW}, {188, DENY},
	{190, ALLOW}, {217, DENY}, {218, ALLOW}, {222, DENY}, {224, ALLOW}, {251, DENY},
	{252, ALLOW}, {253, DENY}, {254, ALLOW}, {264, DENY}, {265, ALLOW}, {273, DENY},
	{277, ALLOW}, {283, DENY}, {284, ALLOW}, {285, DENY}, {289, ALLOW}, {294, DENY},
	{295, ALLOW}, {310, DENY}, {311, ALLOW}, {317, DENY}, {318, ALLOW}, {336, DENY},
	{337, ALLOW}, {338, DENY}, {339, ALLOW}, {342, DENY}, {343, ALLOW}, {346, DENY},
	{347, ALLOW}, {349, DENY}, {351, ALLOW}, {357, DENY}, {358, ALLOW}, {359, SOCKET},
	{360, ALLOW}, {374, DENY}, {375, ALLOW}, {387, DENY}, {393, ALLOW}, {404, DENY},
	{405, ALLOW}, {415, DENY}, {416, ALLOW}, {425, DENY}, {434, ALLOW}, {435, NOSYS},
	{436, ALLOW}, {438, DENY}, {439, ALLOW}, {440, DENY}, {441, ALLOW}, {442, DENY},
	{444, ALLOW}, {450, DENY}, {451, ALLOW}, {459, DENY}, {462, ALLOW}, {467, NOSYS},
};

#define X32_BIT 0x40000000u
#define CLONE_NEW_ANY 0x7e020000u // all CLONE_NEW* flags that clone(2) takes, except CLONE_NEWTIME
#define FILTER_MAX 512
#define LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4)

// The program is written from its end to its start: every jump of BPF goes forward, so targets are
// always known, and two verdicts can share one return as long as it is within reach.
static struct sock_filter filter[FILTER_MAX];
static int filter_first = FILTER_MAX;
static int filter_shared[VERDICTS]; // last place of each verdict, 0 = none yet

static int filter_put(unsigned short code, unsigned k, int jt, int jf)
{
	// jt and jf are absolute places here; 0 stands for "the next instruction".
	int here = --filter_first;
	int yes = jt ? jt - here - 1 : 0, no = jf ? jf - here - 1 : 0;
	if (here <= 0 || yes > 255 || no > 255)
		die("the seccomp filter outgrew its jumps");
	filter[here] = (struct sock_filter)BPF_JUMP(code, k, yes, no);
	return here;
}

static int filter_return(unsigned value)
{
	return filter_put(BPF_RET | BPF_K, value, 0, 0);
}

static int filter_verdict(enum verdict v)
{
	int at = filter_shared[v], allow, deny;
	if (at && at - filter_first < 240)
		return at;
	switch (v) {
	case ALLOW: at = filter_return(SECCOMP_RET_ALLOW); break;
	case DENY: at = filter_return(SECCOMP_RET_ERRNO | EPERM); break;
	case NOSYS: at = filter_return(SECCOMP_RET_ERRNO | ENOSYS); break;
	case KILL: at = filter_return(SECCOMP_RET_KILL_PROCESS); break;
	case SOCKET: // every domain but 38 (AF_ALG) and 40 (AF_VSOCK)
		allow = filter_verdict(ALLOW), deny = filter_verdict(DENY);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 40, deny, allow);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 38, deny, 0);
		filter_put(BPF_LD | BPF_W | BPF_ABS, LOW(0), 0, 0);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, allow);
		at = filter_put(BPF_LD | BPF_W | BPF_ABS, HIGH(0), 0, 0);
		break;
	case PERSONALITY: // 0, PER_LINUX32, UNAME26, both, and "tell me"
		allow = filter_verdict(ALLOW), deny = filter_verdict(DENY);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, allow, deny);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0x20008, allow, 0);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0x20000, allow, 0);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 8, allow, 0);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0, allow, 0);
		filter_put(BPF_LD | BPF_W | BPF_ABS, LOW(0), 0, 0);
		filter_put(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, deny);
		at = filter_put(BPF_LD | BPF_W | BPF_ABS, HIGH(0), 0, 0);
		break;
	case CLONE: // no new namespaces
		allow = filter_verdict(ALLOW), deny = filter_verdict(DENY);
		filter_put(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEW_ANY, deny, allow);
		at = filter_put(BPF_LD | BPF_W | BPF_ABS, LOW(0), 0, 0);
		break;
	case VERDICTS: die("not a verdict");
	}
	return filter_shared[v] = at;
}

// Writes a binary tree over spans[0..count) and returns its first instruction.
static int filter_tree(const struct span *spans, int count)
{
	if (count == 1)
		return filter_verdict(spans[0].verdict);
	int half = count / 2;
	int above = filter_tree(spans + half, count - half);
	int below = filter_tree(spans, half);
	if (above - filter_first > 250)
		above = filter_put(BPF_JMP | BPF_JA, above - filter_first, 0, 0);
	return filter_put(BPF_JMP | BPF_JGE | BPF_K, spans[half].first, above, below);
}

static struct sock_fprog filter_compile(void)
{
	int i386 = filter_tree(spans_i386, sizeof spans_i386 / sizeof *spans_i386);
	i386 = filter_put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	for (int v = 0; v < VERDICTS; v++)
		filter_shared[v] = 0; // out of reach from here
	int native = filter_tree(spans_x86_64, sizeof spans_x86_64 / sizeof *spans_x86_64);
	if (native != filter_first)
		die("the tree does not begin where the filter falls into it");
	filter_put(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT, 0, 0);
	native = filter_put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	int kill = filter_verdict(KILL);
	i386 = filter_put(BPF_JMP | BPF_JA, i386 - filter_first, 0, 0);
	i386 = filter_put(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, i386, kill);
	filter_put(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, native, i386);
	filter_put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	return (struct sock_fprog){ FILTER_MAX - filter_first, filter + filter_first };
}

#endif
