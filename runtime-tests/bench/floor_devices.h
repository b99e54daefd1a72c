// The device rules of the floor program: what runc and crun make of Docker's rules, as 22 eBPF
// instructions. Runs in: the floor, before clone3. Privilege: CAP_BPF or CAP_SYS_ADMIN.
#ifndef FLOOR_DEVICES_H
#define FLOOR_DEVICES_H

#include <linux/bpf.h>

#define LOAD(reg, at) { .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = reg, .src_reg = BPF_REG_1, .off = at }
#define IF(op, reg, value, to) { .code = BPF_JMP | (op) | BPF_K, .dst_reg = reg, .imm = value, .off = to }
#define ALU(op, reg, value) { .code = BPF_ALU | (op) | BPF_K, .dst_reg = reg, .imm = value }
#define EXIT { .code = BPF_JMP | BPF_EXIT }

// Attaches the device rules: mknod of anything; null, zero, full, random, urandom, tty, console,
// ptmx and the pts of devpts in full; nothing else.
static void limit_devices(int cgroup)
{
	enum { TYPE = BPF_REG_2, ACCESS, MAJOR, MINOR };
	struct bpf_insn rules[] = {
		LOAD(TYPE, 0), LOAD(ACCESS, 0), LOAD(MAJOR, 4), LOAD(MINOR, 8),
		ALU(BPF_RSH, ACCESS, 16), IF(BPF_JEQ, ACCESS, BPF_DEVCG_ACC_MKNOD, 14),
		ALU(BPF_AND, TYPE, 0xffff), IF(BPF_JNE, TYPE, BPF_DEVCG_DEV_CHAR, 10),
		IF(BPF_JEQ, MAJOR, 136, 11), IF(BPF_JEQ, MAJOR, 5, 7), IF(BPF_JNE, MAJOR, 1, 7),
		IF(BPF_JEQ, MINOR, 3, 8), IF(BPF_JEQ, MINOR, 5, 7), IF(BPF_JEQ, MINOR, 7, 6),
		IF(BPF_JEQ, MINOR, 8, 5), IF(BPF_JEQ, MINOR, 9, 4), IF(BPF_JA, 0, 0, 1),
		IF(BPF_JLE, MINOR, 2, 2),
		ALU(BPF_MOV, BPF_REG_0, 0), EXIT, // deny
		ALU(BPF_MOV, BPF_REG_0, 1), EXIT, // allow
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (uintptr_t)rules,
		.insn_cnt = sizeof rules / sizeof *rules, .license = (uintptr_t)"Apache-2.0",
	};
	int program = MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
	union bpf_attr attach = {
		.target_fd = cgroup, .attach_bpf_fd = program,
		.attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI,
	};
	MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
	close(program);
}

#endif
