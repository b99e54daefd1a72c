//! The system call ABIs a filter can meet, and the numbers of the calls on each.
//!
//! A running kernel knows one family: its own ABI and the older or narrower ones it emulates.

use super::numbers::{NONE, ROWS};
use oci_spec::runtime::Arch;

/// Column of the table of numbers, in the order gen-table.py writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    X86_64,
    X32,
    X86,
    Aarch64,
    Arm,
    Riscv64,
    Loongarch64,
    Ppc64,
    S390x,
    S390,
    Mips,
    Mips64,
    Mips64n32,
}

const COLUMNS: usize = 13;

/// Width in bits of the arguments a comparison looks at: that of the ABI's `long`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

/// One way to call the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abi {
    pub(super) arch: Arch,
    pub(super) column: Column,
    /// `AUDIT_ARCH_*` of linux/audit.h, what `seccomp_data.arch` holds.
    pub(super) audit: u32,
    pub(super) width: Width,
}

/// The ABIs of one kernel; the first is its own.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) abis: &'static [Abi],
    pub(super) big_endian: bool,
}

/// Set in the number of every x32 call: linux/seccomp sees x32 as x86-64 with this bit.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Calls private to ARM start here; the kernel never adds ordinary calls above.
pub(super) const ARM_PRIVATE: u32 = 0xf_0000;
/// How the table stores `ARM_PRIVATE + n`, which does not fit 16 bits.
const ARM_PRIVATE_STORED: u16 = 0xf000;

const fn abi(arch: Arch, column: Column, audit: u32, width: Width) -> Abi {
    Abi { arch, column, audit, width }
}

/// Every family of which the table has numbers.
pub(super) static FAMILIES: [Family; 8] = [
    Family {
        abis: &[
            abi(Arch::ScmpArchX86_64, Column::X86_64, 0xc000_003e, Width::Bits64),
            abi(Arch::ScmpArchX32, Column::X32, 0xc000_003e, Width::Bits32),
            abi(Arch::ScmpArchX86, Column::X86, 0x4000_0003, Width::Bits32),
        ],
        big_endian: false,
    },
    Family {
        abis: &[
            abi(Arch::ScmpArchAarch64, Column::Aarch64, 0xc000_00b7, Width::Bits64),
            abi(Arch::ScmpArchArm, Column::Arm, 0x4000_0028, Width::Bits32),
        ],
        big_endian: false,
    },
    Family {
        abis: &[abi(Arch::ScmpArchRiscv64, Column::Riscv64, 0xc000_00f3, Width::Bits64)],
        big_endian: false,
    },
    Family {
        abis: &[abi(Arch::ScmpArchLoongarch64, Column::Loongarch64, 0xc000_0102, Width::Bits64)],
        big_endian: false,
    },
    Family {
        abis: &[abi(Arch::ScmpArchPpc64le, Column::Ppc64, 0xc000_0015, Width::Bits64)],
        big_endian: false,
    },
    Family {
        abis: &[
            abi(Arch::ScmpArchS390x, Column::S390x, 0x8000_0016, Width::Bits64),
            abi(Arch::ScmpArchS390, Column::S390, 0x0000_0016, Width::Bits32),
        ],
        big_endian: true,
    },
    Family {
        abis: &[
            abi(Arch::ScmpArchMipsel64, Column::Mips64, 0xc000_0008, Width::Bits64),
            abi(Arch::ScmpArchMipsel64n32, Column::Mips64n32, 0xe000_0008, Width::Bits32),
            abi(Arch::ScmpArchMipsel, Column::Mips, 0x4000_0008, Width::Bits32),
        ],
        big_endian: false,
    },
    Family {
        abis: &[
            abi(Arch::ScmpArchMips64, Column::Mips64, 0x8000_0008, Width::Bits64),
            abi(Arch::ScmpArchMips64n32, Column::Mips64n32, 0xa000_0008, Width::Bits32),
            abi(Arch::ScmpArchMips, Column::Mips, 0x0000_0008, Width::Bits32),
        ],
        big_endian: true,
    },
];

/// The family of the machine this program was built for.
pub(super) static NATIVE: &Family = &FAMILIES[if cfg!(target_arch = "x86_64") {
    0
} else if cfg!(target_arch = "aarch64") {
    1
} else if cfg!(target_arch = "riscv64") {
    2
} else if cfg!(target_arch = "loongarch64") {
    3
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    4
} else if cfg!(target_arch = "s390x") {
    5
} else if cfg!(all(target_arch = "mips64", target_endian = "little")) {
    6
} else if cfg!(target_arch = "mips64") {
    7
} else {
    panic!("plan/seccomp has no table of system calls for this architecture")
}];

/// Length of all names in bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; iterators are not const")]
const TEXT_LEN: usize = {
    let (mut len, mut row) = (0, 0);
    while row < ROWS.len() {
        len += ROWS[row].0.len();
        row += 1;
    }
    len
};

/// The table without one pointer: a `&str` per name would cost 24 bytes of relocation each, and a
/// static-PIE program applies all of them at every start.
struct Table {
    text: [u8; TEXT_LEN],
    /// Where each name starts in `text`; one more for the end.
    starts: [u16; ROWS.len() + 1],
    numbers: [[u16; COLUMNS]; ROWS.len()],
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; iterators are not const")]
static TABLE: Table = {
    let mut table = Table {
        text: [0; TEXT_LEN],
        starts: [0; ROWS.len() + 1],
        numbers: [[NONE; COLUMNS]; ROWS.len()],
    };
    let (mut at, mut row) = (0, 0);
    while row < ROWS.len() {
        let name = ROWS[row].0.as_bytes();
        let mut byte = 0;
        while byte < name.len() {
            table.text[at] = name[byte];
            at += 1;
            byte += 1;
        }
        row += 1;
        assert!(at < u16::MAX as usize);
        #[expect(clippy::cast_possible_truncation, reason = "asserted in the line above")]
        let end = at as u16;
        table.starts[row] = end;
        table.numbers[row - 1] = ROWS[row - 1].1;
    }
    table
};

/// One system call: its numbers on all ABIs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call(&'static [u16; COLUMNS]);

/// The call of this name, if any ABI has it.
pub(super) fn call(name: &str) -> Option<Call> {
    let (mut low, mut high) = (0, TABLE.numbers.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start = usize::from(*TABLE.starts.get(middle)?);
        let end = usize::from(*TABLE.starts.get(middle + 1)?);
        match TABLE.text.get(start..end)?.cmp(name.as_bytes()) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return TABLE.numbers.get(middle).map(Call),
        }
    }
    None
}

/// The number of `call` on `abi`, as `seccomp_data.nr` holds it.
pub(super) fn number(call: Call, abi: &Abi) -> Option<u32> {
    let stored = *call.0.get(abi.column as usize)?;
    if stored == NONE {
        None
    } else if abi.column == Column::X32 {
        Some(u32::from(stored) | X32_BIT)
    } else if stored >= ARM_PRIVATE_STORED {
        Some(ARM_PRIVATE + u32::from(stored - ARM_PRIVATE_STORED))
    } else {
        Some(u32::from(stored))
    }
}

/// A call that old ABIs also reach through one common call, which takes its number first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Multiplexed {
    pub(super) through: Multiplexer,
    /// First argument which selects the call.
    pub(super) selector: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiplexer {
    Socketcall,
    Ipc,
}

impl Multiplexer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Socketcall => "socketcall",
            Self::Ipc => "ipc",
        }
    }

    /// Bits of the first argument which select: `socketcall(2)` takes an `int`, `ipc(2)` keeps a
    /// version in the upper half of its own.
    pub(super) fn mask(self) -> u32 {
        match self {
            Self::Socketcall => u32::MAX,
            Self::Ipc => 0xffff,
        }
    }
}

/// `SYS_*` of linux/net.h and the call numbers of linux/ipc.h, sorted by name.
const MULTIPLEXED: [(&str, Multiplexer, u32); 32] = [
    ("accept", Multiplexer::Socketcall, 5),
    ("accept4", Multiplexer::Socketcall, 18),
    ("bind", Multiplexer::Socketcall, 2),
    ("connect", Multiplexer::Socketcall, 3),
    ("getpeername", Multiplexer::Socketcall, 7),
    ("getsockname", Multiplexer::Socketcall, 6),
    ("getsockopt", Multiplexer::Socketcall, 15),
    ("listen", Multiplexer::Socketcall, 4),
    ("msgctl", Multiplexer::Ipc, 14),
    ("msgget", Multiplexer::Ipc, 13),
    ("msgrcv", Multiplexer::Ipc, 12),
    ("msgsnd", Multiplexer::Ipc, 11),
    ("recv", Multiplexer::Socketcall, 10),
    ("recvfrom", Multiplexer::Socketcall, 12),
    ("recvmmsg", Multiplexer::Socketcall, 19),
    ("recvmsg", Multiplexer::Socketcall, 17),
    ("semctl", Multiplexer::Ipc, 3),
    ("semget", Multiplexer::Ipc, 2),
    ("semop", Multiplexer::Ipc, 1),
    ("semtimedop", Multiplexer::Ipc, 4),
    ("send", Multiplexer::Socketcall, 9),
    ("sendmmsg", Multiplexer::Socketcall, 20),
    ("sendmsg", Multiplexer::Socketcall, 16),
    ("sendto", Multiplexer::Socketcall, 11),
    ("setsockopt", Multiplexer::Socketcall, 14),
    ("shmat", Multiplexer::Ipc, 21),
    ("shmctl", Multiplexer::Ipc, 24),
    ("shmdt", Multiplexer::Ipc, 22),
    ("shmget", Multiplexer::Ipc, 23),
    ("shutdown", Multiplexer::Socketcall, 13),
    ("socket", Multiplexer::Socketcall, 1),
    ("socketpair", Multiplexer::Socketcall, 8),
];

/// How `name` is reached through `socketcall` or `ipc`.
pub(super) fn multiplexed(name: &str) -> Option<Multiplexed> {
    let found = MULTIPLEXED.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    MULTIPLEXED.get(found).map(|&(_, through, selector)| Multiplexed { through, selector })
}
