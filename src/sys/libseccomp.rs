//! libseccomp as an oracle for tests: opened at run time, so nothing needs it to build.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io::{Read as _, Seek as _};
use std::os::fd::AsRawFd as _;

/// `struct scmp_arg_cmp` of seccomp.h.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgCmp {
    pub(crate) arg: c_uint,
    /// `SCMP_CMP_NE` = 1, LT, LE, EQ, GE, GT, `MASKED_EQ` = 7
    pub(crate) op: c_int,
    pub(crate) a: u64,
    pub(crate) b: u64,
}

/// One call of `seccomp_rule_add_array(3)`.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) action: u32,
    pub(crate) args: Vec<ArgCmp>,
}

type Init = unsafe extern "C" fn(u32) -> *mut c_void;
type Release = unsafe extern "C" fn(*mut c_void);
type Arch = unsafe extern "C" fn(*mut c_void, u32) -> c_int;
type NativeArch = unsafe extern "C" fn() -> u32;
type Resolve = unsafe extern "C" fn(*const c_char) -> c_int;
type ResolveArch = unsafe extern "C" fn(u32, *const c_char) -> c_int;
type Add = unsafe extern "C" fn(*mut c_void, u32, c_int, c_uint, *const ArgCmp) -> c_int;
type Export = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

pub(crate) struct Library(*mut c_void);

/// An instruction as (code, jt, jf, k).
pub(crate) type Words = (u16, u8, u8, u32);

impl Library {
    /// `None` without the shared library, or in a static program, which cannot open one.
    pub(crate) fn open() -> Option<Self> {
        // SAFETY: the name is a C string; the library's constructors have no preconditions.
        let handle = unsafe { libc::dlopen(c"libseccomp.so.2".as_ptr(), libc::RTLD_NOW) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// # Safety
    /// `F` must be the type of the C function `name`.
    unsafe fn function<F: Copy>(&self, name: &CStr) -> F {
        // SAFETY: the handle stays open for the life of the process.
        let symbol = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!symbol.is_null(), "libseccomp has no {name:?}");
        assert_eq!(size_of::<F>(), size_of_val(&symbol));
        // SAFETY: a function pointer has the size of `symbol`, and the caller vouches for its type.
        unsafe { std::mem::transmute_copy(&symbol) }
    }

    /// Number of `name` on `arch` (an `SCMP_ARCH_*` token); negative when it has none.
    pub(crate) fn resolve(&self, arch: u32, name: &str) -> i32 {
        let name = CString::new(name).unwrap();
        // SAFETY: the type is that of seccomp.h.
        let resolve: ResolveArch = unsafe { self.function(c"seccomp_syscall_resolve_name_arch") };
        // SAFETY: `name` is a C string.
        unsafe { resolve(arch, name.as_ptr()) }
    }

    /// The program for exactly `archs`; `Err` with the index of a rule libseccomp refuses.
    pub(crate) fn compile(
        &self,
        default: u32,
        archs: &[u32],
        rules: &[Rule],
    ) -> Result<Vec<Words>, (usize, i32)> {
        // SAFETY: the types of this and the next six lines are those of seccomp.h.
        let init: Init = unsafe { self.function(c"seccomp_init") };
        // SAFETY: see above.
        let release: Release = unsafe { self.function(c"seccomp_release") };
        // SAFETY: see above.
        let arch_add: Arch = unsafe { self.function(c"seccomp_arch_add") };
        // SAFETY: see above.
        let arch_remove: Arch = unsafe { self.function(c"seccomp_arch_remove") };
        // SAFETY: see above.
        let arch_native: NativeArch = unsafe { self.function(c"seccomp_arch_native") };
        // SAFETY: see above.
        let resolve: Resolve = unsafe { self.function(c"seccomp_syscall_resolve_name") };
        // SAFETY: see above.
        let add: Add = unsafe { self.function(c"seccomp_rule_add_array") };
        // SAFETY: see above.
        let export: Export = unsafe { self.function(c"seccomp_export_bpf") };

        // SAFETY: no preconditions.
        let native = unsafe { arch_native() };
        // SAFETY: the action is a valid SCMP_ACT_*.
        let filter = unsafe { init(default) };
        assert!(!filter.is_null());
        // A filter cannot mix byte orders, so the native architecture goes first.
        let foreign = !archs.contains(&native);
        if foreign {
            // SAFETY: `filter` came from seccomp_init.
            assert_eq!(unsafe { arch_remove(filter, native) }, 0);
        }
        for &arch in archs.iter().filter(|arch| **arch != native) {
            // SAFETY: `filter` came from seccomp_init.
            assert_eq!(unsafe { arch_add(filter, arch) }, 0, "seccomp_arch_add {arch:#x}");
        }
        for (index, rule) in rules.iter().enumerate() {
            let name = CString::new(rule.name.as_str()).unwrap();
            // SAFETY: `name` is a C string.
            let number = unsafe { resolve(name.as_ptr()) };
            if number == -1 {
                continue; // __NR_SCMP_ERROR: older than the call
            }
            let count = c_uint::try_from(rule.args.len()).unwrap();
            // SAFETY: `args` holds `count` comparisons.
            let ret = unsafe { add(filter, rule.action, number, count, rule.args.as_ptr()) };
            if ret != 0 {
                // SAFETY: `filter` came from seccomp_init and is not used again.
                unsafe { release(filter) };
                return Err((index, ret));
            }
        }
        let mut file = tempfile();
        // SAFETY: both are open.
        assert_eq!(unsafe { export(filter, file.as_raw_fd()) }, 0);
        // SAFETY: `filter` came from seccomp_init and is not used again.
        unsafe { release(filter) };
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        Ok(bytes
            .chunks_exact(8)
            .map(|b| {
                let code = u16::from_ne_bytes([b[0], b[1]]);
                (code, b[2], b[3], u32::from_ne_bytes([b[4], b[5], b[6], b[7]]))
            })
            .collect())
    }
}

fn tempfile() -> std::fs::File {
    use std::os::fd::FromRawFd as _;
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: memfd_create made the descriptor; nobody else owns it.
    unsafe { std::fs::File::from_raw_fd(fd) }
}
