//! The private place that the benchmark runs in: own pid, mount, network, ipc, uts and cgroup
//! namespaces, cgroup2 at /sys/fs/cgroup, a tmpfs for bundles and state.
//! Runs in: three processes. *outer* stays on the host and removes what the host can see; *pid 1* reaps
//! the containers that runtimes leave to it, at once, as a real init does; the *driver* measures.
//! When pid 1 ends the kernel kills everything that was started, whatever went wrong before.
#![expect(
    unsafe_code,
    reason = "fork, unshare, mount and signal masks, once each, before any thread"
)]

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const PREFIX: &str = "rt-bench-";

/// Runs `driver` inside a new place and returns its exit code after everything is removed again.
/// The argument of `driver` is an empty tmpfs.
///
/// # Errors
/// The caller is not root, or the kernel refuses a namespace or a mount.
pub(crate) fn run_inside(driver: impl FnOnce(&Path) -> u8) -> Result<ExitCode> {
    // SAFETY: geteuid has no preconditions.
    ensure!(unsafe { libc::geteuid() } == 0, "the benchmark needs root");
    let unified = find_cgroup2()?;
    remove_leftovers(&unified);
    let name = format!("{PREFIX}{}", std::process::id());
    let cgroup = unified.join(&name);
    let work = std::env::temp_dir().join(&name);
    fs::create_dir(&work).with_context(|| format!("mkdir {}", work.display()))?;
    let made = fs::create_dir(&cgroup).with_context(|| format!("mkdir {}", cgroup.display()));
    let result = made.and_then(|()| supervise(&cgroup, &work, driver));
    remove_cgroups(&cgroup);
    fs::remove_dir(&work).with_context(|| format!("rmdir {}", work.display()))?;
    result
}

/// The first cgroup2 mount whose root is the hierarchy's, as mountinfo shows it (`proc_pid_mountinfo(5)`).
fn find_cgroup2() -> Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    text.lines()
        .filter(|line| line.contains(" - cgroup2 "))
        .filter(|line| line.split(' ').nth(3) == Some("/"))
        .find_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .context("no cgroup2 mount on this host")
}

/// Removes what a benchmark left that was killed by SIGKILL: its own children died with it.
fn remove_leftovers(unified: &Path) {
    let entries = [fs::read_dir(unified), fs::read_dir(std::env::temp_dir())];
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some(pid) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if Path::new(&format!("/proc/{pid}")).exists() {
            continue;
        }
        if entry.path().starts_with(unified) {
            remove_cgroups(&entry.path());
        } else {
            fs::remove_dir(entry.path()).ok(); // an empty mount point, or not ours
        }
    }
}

/// Removes a cgroup and those below it. Dying processes keep one busy for some milliseconds.
fn remove_cgroups(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    for _ in 0..200 {
        match fs::remove_dir(cgroup) {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => sleep(Duration::from_millis(10)),
            Ok(()) | Err(_) => return,
        }
    }
}

fn supervise(cgroup: &Path, work: &Path, driver: impl FnOnce(&Path) -> u8) -> Result<ExitCode> {
    let signals = block_signals()?;
    // SAFETY: changes what later children are, nothing of this process.
    checked(unsafe { libc::unshare(libc::CLONE_NEWPID) }, "unshare(CLONE_NEWPID)")?;
    // SAFETY: the process has one thread, so the child may do anything.
    let first = checked(unsafe { libc::fork() }, "fork")?;
    if first == 0 {
        let code = be_pid_1(cgroup, work, driver).unwrap_or_else(|e| {
            eprintln!("bench: {e:#}");
            2
        });
        // SAFETY: _exit has no preconditions; nothing here wants a destructor.
        unsafe { libc::_exit(i32::from(code)) }
    }
    loop {
        // SAFETY: the set was filled by block_signals; a null info is allowed.
        let signal = unsafe { libc::sigwaitinfo(&raw const signals, std::ptr::null_mut()) };
        if [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].contains(&signal) {
            // SAFETY: pid 1 is our child and not waited for yet.
            unsafe { libc::kill(first, libc::SIGKILL) };
        }
        let mut status = 0;
        // SAFETY: status outlives the call.
        if unsafe { libc::waitpid(first, &raw mut status, libc::WNOHANG) } == first {
            return Ok(ExitCode::from(code_of(status)));
        }
    }
}

fn block_signals() -> Result<libc::sigset_t> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the set was initialised above.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is initialised, and a null old mask is allowed.
    let code = unsafe { libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
    checked(code, "sigprocmask")?;
    // SAFETY: initialised above.
    Ok(unsafe { set.assume_init() })
}

fn unblock_signals(set: &libc::sigset_t) -> Result<()> {
    // SAFETY: the set is initialised, and a null old mask is allowed.
    let code = unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, set, std::ptr::null_mut()) };
    checked(code, "sigprocmask").map(drop)
}

fn be_pid_1(cgroup: &Path, work: &Path, driver: impl FnOnce(&Path) -> u8) -> Result<u8> {
    // SAFETY: prctl with plain integers. When outer is killed, all of this goes too.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, "PR_SET_PDEATHSIG")?;
    // Before the cgroup namespace: its root is the cgroup that this process is in.
    fs::write(cgroup.join("cgroup.procs"), "0").context("enter the private cgroup")?;
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // SAFETY: the process has one thread and shares nothing that unshare could pull away.
    checked(unsafe { libc::unshare(namespaces) }, "unshare")?;
    mount("none", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE)?;
    mount("proc", Path::new("/proc"), "proc", 0)?;
    mount("cgroup2", Path::new("/sys/fs/cgroup"), "cgroup2", 0)?;
    mount("tmpfs", work, "tmpfs", 0)?;
    // Out of the root, where processes would keep runtimes from turning controllers on.
    fs::create_dir("/sys/fs/cgroup/driver")?;
    fs::write("/sys/fs/cgroup/driver/cgroup.procs", "0").context("enter the driver's cgroup")?;

    let signals = block_signals()?;
    // SAFETY: the process has one thread, so the child may do anything.
    let child = checked(unsafe { libc::fork() }, "fork")?;
    if child == 0 {
        unblock_signals(&signals)?;
        return Ok(driver(work));
    }
    loop {
        let mut status = 0;
        // SAFETY: status outlives the call.
        let pid = checked(unsafe { libc::waitpid(-1, &raw mut status, 0) }, "waitpid")?;
        if pid == child {
            return Ok(code_of(status));
        }
    }
}

fn code_of(status: i32) -> u8 {
    if libc::WIFEXITED(status) {
        return u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(2);
    }
    128 + u8::try_from(libc::WTERMSIG(status)).unwrap_or(0)
}

fn mount(source: &str, target: &Path, kind: &str, flags: libc::c_ulong) -> Result<()> {
    let source = CString::new(source)?;
    let path = CString::new(target.as_os_str().as_encoded_bytes())?;
    let kind = CString::new(kind)?;
    // SAFETY: all strings end with NUL and outlive the call; null data is allowed.
    let code = unsafe {
        libc::mount(source.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
    };
    checked(code, "mount").with_context(|| target.display().to_string()).map(drop)
}

fn checked(result: i32, call: &str) -> Result<i32> {
    ensure!(result >= 0, "{call}: {}", std::io::Error::last_os_error());
    Ok(result)
}
