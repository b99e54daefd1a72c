//! The program inside the container: says what it sees, one verb at a time.
//!
//! Runs in: the container, as its payload. `probe VERB ARGS [-- VERB ARGS]...` prints one answer per
//! verb; a system call that fails prints the errno's name and makes the exit code 1.
#![expect(unsafe_code, reason = "asks the kernel directly, so that no library hides an answer")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "printing is its purpose; the arguments are written by the tests next door"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::time::Duration;

use nix::errno::Errno;

#[path = "../attack.rs"]
mod attack;
#[path = "../rights.rs"]
mod rights;
#[path = "../service.rs"]
mod service;

/// Text to print, or the errno of the call that failed.
type Answer = Result<String, Errno>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut failed = false;
    for verb in args.split(|a| a == "--") {
        let answer = match verb {
            [] => {
                eprintln!("probe: no verb");
                std::process::exit(64);
            }
            [name, rest @ ..] => {
                let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
                answer(name, &rest)
            }
        };
        match answer {
            Ok(text) => {
                print!("{text}{}", if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
            }
            Err(errno) => {
                println!("{errno:?}");
                failed = true;
            }
        }
        // Not flushed, the text would be lost when the next verb ends in a signal.
        if io::stdout().flush().is_err() {
            failed = true;
        }
    }
    std::process::exit(i32::from(failed));
}

fn answer(verb: &str, args: &[&str]) -> Answer {
    match verb {
        "true" => Ok(String::new()),
        "attack" => attack::run(args),
        "sd-notify" | "sd-with-fd" | "sd-barrier" => service::run(verb, args),
        "bind" | "execute" | "without-landlock" => rights::run(verb, args),
        "echo" => Ok(args.join(" ") + "\n"),
        "exit" => std::process::exit(number(args[0]) as i32),
        "cat" | "write" | "append" | "open" | "ls" | "stat" | "lstat" | "readlink" | "mkdir"
        | "mknod" | "rm" | "chown" | "access" | "statfs" => files(verb, args),
        "id" | "caps" | "env" | "args" | "cwd" | "umask" | "rlimits" | "ns" | "mounts"
        | "status" | "fds" | "oom" | "cgroup" | "keyring" => about_self(verb, args),
        "hostname" | "domainname" | "sethostname" | "isatty" | "winsize" | "sid"
        | "personality" | "clock" | "priority" | "affinity" => system(verb, args),
        "prctl" | "syscall" | "syscall32" | "mount" | "umount" | "unshare" | "raise" => {
            calls(verb, args)
        }
        "sleep" | "spin" | "alloc" | "fork" | "stdin" | "signals" | "orphan" | "leave-main"
        | "write-fd" | "winch" | "connect" => activity(verb, args),
        other => {
            eprintln!("probe: unknown verb {other}");
            std::process::exit(64)
        }
    }
}

fn files(verb: &str, args: &[&str]) -> Answer {
    let path = args[0];
    match verb {
        "cat" => fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).map_err(errno),
        "write" => fs::write(path, args[1]).map(|()| String::new()).map_err(errno),
        "append" => fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut f| f.write_all(args[1].as_bytes()))
            .map(|()| String::new())
            .map_err(errno),
        // Modes r w rw; O_NOCTTY keeps a tty from becoming ours by accident.
        "open" => fs::OpenOptions::new()
            .read(args[1].contains('r'))
            .write(args[1].contains('w'))
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(path)
            .map(|_| "ok".to_owned())
            .map_err(errno),
        "ls" => {
            let mut names: Vec<String> = fs::read_dir(path)
                .and_then(|d| {
                    d.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned())).collect()
                })
                .map_err(errno)?;
            names.sort();
            Ok(names.iter().map(|n| format!("{n}\n")).collect())
        }
        "stat" => fs::metadata(path).map(|m| stat_line(&m)).map_err(errno),
        "lstat" => fs::symlink_metadata(path).map(|m| stat_line(&m)).map_err(errno),
        "readlink" => fs::read_link(path).map(|p| p.display().to_string()).map_err(errno),
        "mkdir" => fs::create_dir(path).map(|()| String::new()).map_err(errno),
        "rm" => fs::remove_file(path).map(|()| String::new()).map_err(errno),
        "chown" => std::os::unix::fs::chown(
            path,
            Some(number(args[1]) as u32),
            Some(number(args[2]) as u32),
        )
        .map(|()| String::new())
        .map_err(errno),
        "access" => {
            let mut mode = nix::unistd::AccessFlags::F_OK;
            for (letter, flag) in [
                ('r', nix::unistd::AccessFlags::R_OK),
                ('w', nix::unistd::AccessFlags::W_OK),
                ('x', nix::unistd::AccessFlags::X_OK),
            ] {
                if args[1].contains(letter) {
                    mode |= flag;
                }
            }
            nix::unistd::access(path, mode).map(|()| "ok".to_owned())
        }
        "statfs" => nix::sys::statfs::statfs(path).map(|s| format!("{:#x}", s.filesystem_type().0)),
        _ => {
            let kind = match args[1] {
                "c" => nix::sys::stat::SFlag::S_IFCHR,
                "b" => nix::sys::stat::SFlag::S_IFBLK,
                _ => nix::sys::stat::SFlag::S_IFIFO,
            };
            let dev = libc::makedev(number(args[2]) as u32, number(args[3]) as u32);
            nix::sys::stat::mknod(path, kind, nix::sys::stat::Mode::from_bits_truncate(0o666), dev)
                .map(|()| "ok".to_owned())
        }
    }
}

/// `type mode uid gid major:minor size`, mode in octal without the type.
fn stat_line(m: &fs::Metadata) -> String {
    let t = m.file_type();
    let kind = if t.is_dir() {
        "dir"
    } else if t.is_symlink() {
        "link"
    } else if t.is_char_device() {
        "char"
    } else if t.is_block_device() {
        "block"
    } else if t.is_fifo() {
        "fifo"
    } else if t.is_socket() {
        "socket"
    } else {
        "file"
    };
    let (major, minor) = (libc::major(m.rdev()), libc::minor(m.rdev()));
    format!("{kind} {:o} {} {} {major}:{minor} {}", m.mode() & 0o7777, m.uid(), m.gid(), m.size())
}

fn about_self(verb: &str, args: &[&str]) -> Answer {
    let read = |p: &str| fs::read_to_string(p).map_err(errno);
    match verb {
        "env" => Ok(std::env::vars_os()
            .map(|(k, v)| format!("{}={}\n", k.to_string_lossy(), v.to_string_lossy()))
            .collect()),
        "args" => Ok(std::env::args().map(|a| a + "\n").collect()),
        "cwd" => nix::unistd::getcwd().map(|p| p.display().to_string()),
        "umask" => {
            let old = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
            Ok(format!("{:04o}", old.bits()))
        }
        "id" => {
            let uid = nix::unistd::getresuid()?;
            let gid = nix::unistd::getresgid()?;
            let groups: Vec<String> =
                nix::unistd::getgroups()?.iter().map(ToString::to_string).collect();
            Ok(format!(
                "uid={},{},{} gid={},{},{} groups={}",
                uid.real,
                uid.effective,
                uid.saved,
                gid.real,
                gid.effective,
                gid.saved,
                groups.join(",")
            ))
        }
        "caps" => Ok(grep(
            &read("/proc/self/status")?,
            &["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"],
        )),
        "status" => Ok(grep(&read("/proc/self/status")?, args)),
        "rlimits" => read("/proc/self/limits"),
        "mounts" => {
            let all = read("/proc/self/mountinfo")?;
            Ok(all
                .lines()
                .filter(|l| {
                    args.is_empty() || l.split(' ').nth(4).is_some_and(|at| args.contains(&at))
                })
                .map(|l| format!("{l}\n"))
                .collect())
        }
        "cgroup" => read("/proc/self/cgroup"),
        "keyring" => read("/proc/keys"),
        "oom" => read("/proc/self/oom_score_adj"),
        "ns" => Ok(["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
            .iter()
            .map(|n| {
                let link = fs::read_link(format!("/proc/self/ns/{n}"));
                format!("{n} {}\n", link.map_or_else(|_| "-".into(), |l| l.display().to_string()))
            })
            .collect()),
        _ => {
            let dir = fs::read_dir("/proc/self/fd").map_err(errno)?;
            let mut fds = Vec::new();
            for entry in dir.flatten() {
                let link = fs::read_link(entry.path()).map_err(errno)?;
                let fd = number(&entry.file_name().to_string_lossy());
                // The descriptor of the listing itself says nothing about the runtime.
                if !link.to_string_lossy().ends_with(&format!("/{}/fd", std::process::id())) {
                    fds.push((fd, link));
                }
            }
            fds.sort();
            Ok(fds.iter().fold(String::new(), |mut all, (fd, link)| {
                let _infallible = writeln!(all, "{fd} {}", link.display());
                all
            }))
        }
    }
}

fn grep(text: &str, keys: &[&str]) -> String {
    text.lines()
        .filter_map(|l| l.split_once(':'))
        .filter(|(k, _)| keys.contains(k))
        .map(|(k, v)| format!("{k} {}\n", v.trim()))
        .collect()
}

fn system(verb: &str, args: &[&str]) -> Answer {
    match verb {
        "hostname" => Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned()),
        "domainname" => fs::read_to_string("/proc/sys/kernel/domainname").map_err(errno),
        "sethostname" => nix::unistd::sethostname(args[0]).map(|()| "ok".to_owned()),
        "isatty" => Ok((0..3)
            // SAFETY: isatty(3) only looks at a number.
            .map(|fd| if unsafe { libc::isatty(fd) } == 1 { "tty" } else { "no" })
            .collect::<Vec<_>>()
            .join(" ")),
        "winsize" => winsize().map(|w| format!("{}x{}", w.ws_row, w.ws_col)),
        "sid" => Ok(format!(
            "pid={} sid={} pgid={}",
            std::process::id(),
            nix::unistd::getsid(None)?,
            nix::unistd::getpgrp()
        )),
        // SAFETY: 0xffffffff asks and changes nothing, personality(2).
        "personality" => Ok(format!("{:#x}", unsafe { libc::personality(0xffff_ffff) })),
        "clock" => {
            let id =
                if args[0] == "boottime" { libc::CLOCK_BOOTTIME } else { libc::CLOCK_MONOTONIC };
            let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: at is a timespec that outlives the call.
            Errno::result(unsafe { libc::clock_gettime(id, &raw mut at) })?;
            Ok(at.tv_sec.to_string())
        }
        "priority" => Ok(format!(
            "nice={} policy={} ioprio={}",
            // SAFETY: getpriority(2) and the two below read attributes of this process.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) },
            // SAFETY: as above; 1 is IOPRIO_WHO_PROCESS.
            unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }
        )),
        _ => fs::read_to_string("/proc/self/status")
            .map(|s| grep(&s, &["Cpus_allowed_list"]))
            .map_err(errno),
    }
}

fn winsize() -> Result<libc::winsize, Errno> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize.
    Errno::result(unsafe { libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

fn calls(verb: &str, args: &[&str]) -> Answer {
    match verb {
        "prctl" => {
            let option = match args[0] {
                "nnp" => libc::PR_GET_NO_NEW_PRIVS,
                "dumpable" => libc::PR_GET_DUMPABLE,
                "securebits" => libc::PR_GET_SECUREBITS,
                "seccomp" => libc::PR_GET_SECCOMP,
                "keepcaps" => libc::PR_GET_KEEPCAPS,
                "subreaper" | "pdeathsig" => {
                    let option = if args[0] == "subreaper" {
                        libc::PR_GET_CHILD_SUBREAPER
                    } else {
                        libc::PR_GET_PDEATHSIG
                    };
                    let mut value: libc::c_int = 0;
                    // SAFETY: both options write one int.
                    Errno::result(unsafe { libc::prctl(option, &raw mut value) })?;
                    return Ok(value.to_string());
                }
                other => number(other) as i32,
            };
            // SAFETY: the options above read a flag of this process.
            Errno::result(unsafe { libc::prctl(option, 0, 0, 0, 0) }).map(|v| v.to_string())
        }
        "syscall" => {
            let mut a = [0i64; 7];
            for (slot, text) in a.iter_mut().zip(args) {
                *slot = number(text);
            }
            // SAFETY: the tests pass numbers whose calls fail or are harmless here; a filter's answer
            // does not depend on what pointers point to.
            let ret = unsafe { libc::syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]) };
            // clone(2) and the like: the child must not print a second answer.
            if ret == 0 && [libc::SYS_clone, libc::SYS_clone3].contains(&a[0]) {
                std::process::exit(0);
            }
            Errno::result(ret).map(|r| format!("ok {r}"))
        }
        #[cfg(target_arch = "x86_64")]
        "syscall32" => {
            let number = number(args[0]) as u32;
            let first = args.get(1).map_or(0, |a| self::number(a)) as u32;
            let ret: i64;
            // SAFETY: int 0x80 enters the kernel by the i386 table also from 64-bit code; ebx is
            // saved by hand since the compiler keeps rbx for itself. The tests pass harmless calls.
            unsafe {
                std::arch::asm!(
                    "push rbx", "mov ebx, {first:e}", "int 0x80", "pop rbx",
                    first = in(reg) first, inlateout("rax") u64::from(number) => ret,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                    in("rcx") 0u64, in("rdx") 0u64, in("rsi") 0u64, in("rdi") 0u64,
                );
            }
            // The i386 result is 32 bits wide.
            match ret as i32 {
                error @ -4095..=-1 => Err(Errno::from_raw(-error)),
                value => Ok(format!("ok {value}")),
            }
        }
        "mount" => nix::mount::mount(
            Some(args[0]),
            args[1],
            Some(args[2]),
            nix::mount::MsFlags::from_bits_truncate(
                args.get(3).map_or(0, |f| number(f) as libc::c_ulong),
            ),
            None::<&str>,
        )
        .map(|()| "ok".to_owned()),
        "umount" => nix::mount::umount(args[0]).map(|()| "ok".to_owned()),
        "unshare" => {
            nix::sched::unshare(nix::sched::CloneFlags::from_bits_truncate(number(args[0]) as i32))
                .map(|()| "ok".to_owned())
        }
        _ => {
            let pid = std::process::id().cast_signed();
            // SAFETY: pid 1 is deaf to its own default signals, which is the test's concern.
            Errno::result(unsafe { libc::kill(pid, number(args[0]) as i32) }).map(|_| String::new())
        }
    }
}

fn activity(verb: &str, args: &[&str]) -> Answer {
    match verb {
        "sleep" => {
            std::thread::sleep(Duration::from_millis(
                (args[0].parse::<f64>().unwrap_or(1.0) * 1000.0) as u64,
            ));
            Ok(String::new())
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "alloc" => {
            let mut memory = vec![0u8; number(args[0]) as usize * 1024 * 1024];
            for byte in memory.iter_mut().step_by(4096) {
                *byte = 1;
            }
            std::hint::black_box(&memory);
            Ok("ok".to_owned())
        }
        "fork" => fork_many(number(args[0])),
        "stdin" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(errno)?;
            Ok(text)
        }
        "signals" => wait_for_signals(number(args[0])),
        "winch" => wait_for_winch(args[0]),
        "orphan" => {
            // A grandchild that outlives its parent: only the pid namespace or the cgroup ends it.
            // SAFETY: one thread; the child sleeps and exits.
            if Errno::result(unsafe { libc::fork() })? == 0 {
                std::thread::sleep(Duration::from_secs(number(args[0]) as u64));
                std::process::exit(0);
            }
            Ok("ok".to_owned())
        }
        "leave-main" => {
            // The first thread ends, the process goes on: it is a zombie by its state letter.
            let seconds = number(args[0]) as u64;
            std::thread::spawn(move || {
                println!("ready");
                std::thread::sleep(Duration::from_secs(seconds));
                std::process::exit(0);
            });
            // SAFETY: exit(2), not exit_group(2); nothing of this stack is used by the other thread.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            Ok(String::new())
        }
        "write-fd" => {
            let text = args[1].as_bytes();
            // SAFETY: text is readable for its length.
            Errno::result(unsafe {
                libc::write(number(args[0]) as i32, text.as_ptr().cast(), text.len())
            })
            .map(|n| n.to_string())
        }
        "connect" => std::net::TcpStream::connect(args[0]).map(|_| "ok".to_owned()).map_err(errno),
        _ => Ok(String::new()),
    }
}

/// Starts children until the limit is reached; prints how many there were and why it ended.
fn fork_many(wanted: i64) -> Answer {
    let mut children = Vec::new();
    let mut why = "ok".to_owned();
    for _ in 0..wanted {
        // SAFETY: one thread; the child only waits to be killed.
        match Errno::result(unsafe { libc::fork() }) {
            Ok(0) => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            Ok(pid) => children.push(nix::unistd::Pid::from_raw(pid)),
            Err(errno) => {
                why = format!("{errno:?}");
                break;
            }
        }
    }
    for child in &children {
        nix::sys::signal::kill(*child, nix::sys::signal::Signal::SIGKILL)?;
        nix::sys::wait::waitpid(*child, None)?;
    }
    Ok(format!("{} {why}", children.len()))
}

/// Prints `ready`, then the name of each of `count` signals.
fn wait_for_signals(count: i64) -> Answer {
    let mut set = nix::sys::signal::SigSet::all();
    set.remove(nix::sys::signal::Signal::SIGCHLD);
    // A runtime written in Go gets these from its own scheduler and forwards them.
    set.remove(nix::sys::signal::Signal::SIGURG);
    set.thread_block()?;
    say("ready")?;
    for _ in 0..count {
        let signal = set.wait()?;
        say(signal.as_str())?;
    }
    Ok(String::new())
}

/// Prints the window size now and at each SIGWINCH, until it is `wanted` (`ROWSxCOLUMNS`).
fn wait_for_winch(wanted: &str) -> Answer {
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(nix::sys::signal::Signal::SIGWINCH);
    set.thread_block()?;
    loop {
        let size = winsize()?;
        let size = format!("{}x{}", size.ws_row, size.ws_col);
        say(&size)?;
        if size == wanted {
            return Ok(String::new());
        }
        set.wait()?;
    }
}

fn say(line: &str) -> Result<(), Errno> {
    println!("{line}");
    io::stdout().flush().map_err(errno)
}

/// Decimal, or hexadecimal with 0x.
fn number(text: &str) -> i64 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).map(u64::cast_signed),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| {
        eprintln!("probe: not a number: {text}");
        std::process::exit(64)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(errno)")]
fn errno(err: io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(0))
}
