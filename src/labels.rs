//! Labels of Linux security modules, written to /proc/self/attr.
//!
//! Runs in: init and doorkeeper, through the host's procfs, so that no mount of the container can
//! redirect a write (CVE-2019-16884, CVE-2025-52881); `check` in the parent. See `selinux(8)`,
//! `proc_pid_attr(5)`, `aa_change_onexec(2)`.

use crate::error::OrHint as _;
use crate::fds::Procfs;
use crate::plan::Process;
use crate::sys;
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::io::Read as _;

/// Is `SELinux` active? Its file system is mounted only then.
pub(crate) fn selinux_is_active() -> bool {
    access(c"/sys/fs/selinux/status", AccessFlags::F_OK).is_ok()
}

/// Is `AppArmor` active? It may be compiled in and switched off.
pub(crate) fn apparmor_is_active() -> bool {
    let mut first = [0];
    std::fs::File::open("/sys/module/apparmor/parameters/enabled")
        .and_then(|mut file| file.read_exact(&mut first))
        .is_ok_and(|()| first == *b"Y")
}

/// The profile that every process has where there is no other.
const UNCONFINED: &[u8] = b"unconfined";

/// A container that asks for protection which this host does not have must not run without. Before
/// anything is made. (`linux.mountLabel` protects from others, which have labels only then, too.)
pub(crate) fn check(process: &Process) -> Result<()> {
    if process.selinux_label.is_some() && !selinux_is_active() {
        return Err(anyhow!("{}.selinuxLabel: SELinux is not active on this host", process.field))
            .hint("remove the label; engines set one only where SELinux is active");
    }
    let wants = process.apparmor_profile.as_ref().is_some_and(|name| name.as_bytes() != UNCONFINED);
    if wants && !apparmor_is_active() {
        return Err(anyhow!(
            "{}.apparmorProfile: AppArmor is not active on this host",
            process.field
        ))
        .hint("remove the profile; engines set one only where AppArmor is active");
    }
    Ok(())
}

/// Both take effect at the next execve(2).
pub(crate) fn set(proc: &Procfs, process: &Process) -> Result<()> {
    let is_set = process.selinux_label.is_some() || process.apparmor_profile.is_some();
    if !is_set {
        return Ok(());
    }
    let apparmor = apparmor_is_there(proc);
    write_all(process, apparmor, |file, value| proc.write(file, value))
}

/// After the host's /sys has gone, procfs still tells: since Linux 5.8 by a directory, and before by
/// a file that any module may own.
fn apparmor_is_there(proc: &Procfs) -> bool {
    proc.open_file("thread-self/attr", nix::fcntl::OFlag::O_PATH).is_ok_and(|dir| {
        nix::unistd::faccessat(&dir, c"apparmor", AccessFlags::F_OK, nix::fcntl::AtFlags::empty())
            .is_ok()
    })
}

fn write_all(
    process: &Process,
    apparmor_directory: bool,
    mut write: impl FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    if let Some(label) = &process.selinux_label {
        write("thread-self/attr/exec", label.as_bytes())
            .with_context(|| format!("{}.selinuxLabel", process.field))
            .or_else(|err| {
                Err(err).hint("choose a label that the host's policy has; see ausearch -m AVC")
            })?;
    }
    if let Some(profile) = &process.apparmor_profile {
        if profile.as_bytes() == UNCONFINED && !apparmor_directory {
            return Ok(());
        }
        let value = [b"exec ", profile.as_bytes()].concat();
        let file = if apparmor_directory {
            "thread-self/attr/apparmor/exec"
        } else {
            // Before Linux 5.8; where SELinux is active as well, the file is its own.
            "thread-self/attr/exec"
        };
        write(file, &value).with_context(|| format!("{}.apparmorProfile", process.field)).or_else(
            |err| Err(err).hint("load the profile with apparmor_parser(8); see aa-status(8)"),
        )?;
    }
    Ok(())
}

/// Keys and keyrings that `make` makes get the label of the process, as its policy expects.
pub(crate) fn with_key_label<T>(
    proc: Option<&Procfs>,
    process: &Process,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    const FILE: &str = "thread-self/attr/keycreate";
    let (Some(proc), Some(label)) = (proc, &process.selinux_label) else { return make() };
    let field = || format!("{}.selinuxLabel", process.field);
    match proc.write(FILE, label.as_bytes()) {
        // A kernel without keys.
        Err(err) if is_enoent(&err) => return make(),
        other => other.with_context(field)?,
    }
    let made = make();
    // A line break alone takes the label back: what is made later has that of its maker.
    proc.write(FILE, b"\n").with_context(field)?;
    made
}

fn is_enoent(err: &anyhow::Error) -> bool {
    err.downcast_ref::<sys::Error>().is_some_and(|err| err.errno == Errno::ENOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(json: &str) -> Process {
        let json = format!(r#"{{"user":{{}},"args":["a"],"cwd":"/",{json}}}"#);
        Process::new(&serde_json::from_str(&json).unwrap(), "process").unwrap()
    }

    /// What would be written, in order.
    fn writes(json: &str, apparmor_directory: bool) -> Vec<(String, String)> {
        let mut all = Vec::new();
        write_all(&process(json), apparmor_directory, |file, value| {
            all.push((file.to_string(), String::from_utf8_lossy(value).into_owned()));
            Ok(())
        })
        .unwrap();
        all
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (format!("thread-self/attr/{file}"), value.to_string())
    }

    #[test]
    fn each_label_goes_to_the_file_of_its_module() {
        let both = r#""selinuxLabel":"u:r:t:s0","apparmorProfile":"web""#;
        assert_eq!(
            writes(both, true),
            [pair("exec", "u:r:t:s0"), pair("apparmor/exec", "exec web")]
        );
        assert_eq!(writes(r#""apparmorProfile":"web""#, false), [pair("exec", "exec web")]);
        assert_eq!(writes(r#""apparmorProfile":"","selinuxLabel":"""#, true), []);
    }

    #[test]
    fn unconfined_needs_nothing_where_there_is_no_apparmor() {
        let unconfined = r#""apparmorProfile":"unconfined""#;
        assert_eq!(writes(unconfined, false), []);
        assert_eq!(writes(unconfined, true), [pair("apparmor/exec", "exec unconfined")]);
        assert!(check(&process(unconfined)).is_ok());
    }

    #[test]
    fn errors_name_the_field_and_the_file() {
        let refuse = |file: &str, _value: &[u8]| {
            Err(sys::Error::new(format!("write(/proc/{file})"), Errno::EINVAL).into())
        };
        let err = write_all(&process(r#""apparmorProfile":"web""#), true, refuse).unwrap_err();
        assert_eq!(
            crate::error::chain(&err),
            "process.apparmorProfile: write(/proc/thread-self/attr/apparmor/exec): invalid \
             argument (EINVAL)"
        );
        let err = write_all(&process(r#""selinuxLabel":"x""#), true, refuse).unwrap_err();
        assert!(crate::error::chain(&err).starts_with("process.selinuxLabel: write("));
    }
}
