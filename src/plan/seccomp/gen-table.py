#!/usr/bin/env python3
"""Writes numbers.rs: the number of every Linux system call on every ABI rt can filter.

Usage: gen-table.py RAW_SYS HEADERS > numbers.rs

RAW_SYS  unpacked source of the crate linux-raw-sys 0.12.1 (bindings of the Linux 6.17 headers)
HEADERS  directory with unistd_n32.h (package linux-libc-dev-mips-cross) and s390's unistd_32.h
         (linux-libc-dev-s390x-cross), Linux 6.1; the crate has neither ABI. Since 5.1 a new call
         gets one number everywhere, so newer numbers of the two follow from mips64 and s390x.

LATER and ARM_PRIVATE are what those sources lack; they were read from arch/*/syscall*.tbl of
Linux 6.18 and from arch/arm/include/uapi/asm/unistd.h.
"""

import pathlib
import re
import sys

# Columns in the order of abi::Column.
CRATE = {
    "x86_64": "x86_64",
    "x32": "x32",
    "x86": "x86",
    "aarch64": "aarch64",
    "arm": "arm",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
    "ppc64": "powerpc64",
    "s390x": "s390x",
    "s390": None,
    "mips": "mips",
    "mips64": "mips64",
    "mips64n32": None,
}
LATER = {"x86_64": {"uprobe": 336}, "x32": {"uprobe": 336}}
# 0xf0000 + n does not fit 16 bits: abi::number says how it is stored.
ARM_PRIVATE = {"breakpoint": 1, "cacheflush": 2, "usr26": 3, "usr32": 4, "set_tls": 5}
# Constants of the headers which are not calls.
NOT_CALLS = {"Linux", "N32_Linux", "O32_Linux", "64_Linux", "SYSCALL_BASE", "OABI_SYSCALL_BASE",
             "SYSCALL_MASK"}
# From here on a call has one number on every ABI, apart from the base of mips.
UNIFIED_FROM = 424


def crate(raw_sys, name):
    text = (raw_sys / "src" / name / "general.rs").read_text()
    return {n: int(v) for n, v in re.findall(r"pub const __NR_(\w+): u32 = (\d+);", text)}


def header(path, base):
    text = path.read_text()
    found = re.findall(r"#define __NR_(\w+)\s+\(?(?:__NR_Linux\s*\+\s*)?(\d+)\)?", text)
    return {n: base + int(v) for n, v in found}


def main():
    raw_sys, headers = map(pathlib.Path, sys.argv[1:])
    columns = {k: crate(raw_sys, v) for k, v in CRATE.items() if v}
    columns["x32"] = {n: v & ~0x40000000 for n, v in columns["x32"].items()}
    columns["s390"] = header(headers / "unistd_32.h", 0)
    columns["mips64n32"] = header(headers / "unistd_n32.h", 6000)
    for column, model, base, own_base in (("s390", "s390x", 0, 0), ("mips64n32", "mips64", 5000, 6000)):
        for name, number in columns[model].items():
            if number - base >= UNIFIED_FROM:
                columns[column].setdefault(name, number - base + own_base)
    for column, calls in LATER.items():
        columns[column].update(calls)
    columns["arm"].update({name: 0xF000 + n for name, n in ARM_PRIVATE.items()})

    names = sorted({n for c in columns.values() for n in c} - NOT_CALLS)
    print("//! Numbers of the system calls of Linux 6.18. Written by gen-table.py: do not edit.\n")
    print("/// The ABI lacks the call.")
    print("pub(super) const NONE: u16 = u16::MAX;\n")
    print("/// Sorted by name. Read while compiling only, so no binary holds it; columns in")
    print("/// the order of [`super::abi::Column`].")
    print("#[rustfmt::skip]")
    print(f"pub(super) static ROWS: [(&str, [u16; {len(CRATE)}]); {len(names)}] = [")
    for name in names:
        cells = [columns[c].get(name, "NONE") for c in CRATE]
        assert all(cell == "NONE" or cell < 0xFFFF for cell in cells), name
        print(f'    ("{name}", [{", ".join(map(str, cells))}]),')
    print("];")


main()
