//! linux.sysctl: kernel parameters of the container's own namespaces only.
//!
//! Runs in: parent. Pure. See sysctl(8), namespaces(7).

use super::{Kind, Namespaces};
use anyhow::{Result, bail, ensure};

/// A value for a file below /proc/sys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    /// `linux.sysctl.net.ipv4.ip_forward`
    pub(crate) field: String,
    /// `net/ipv4/ip_forward`
    pub(crate) path: String,
    pub(crate) value: String,
}

/// Parameters of the ipc namespace outside `fs.mqueue.`, see `ipc_namespaces(7)`.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

pub(crate) fn plan<'a>(
    values: impl Iterator<Item = (&'a String, &'a String)>,
    namespaces: &Namespaces,
) -> Result<Vec<Sysctl>> {
    let mut plan = Vec::new();
    for (key, value) in values {
        let field = format!("linux.sysctl.{key}");
        super::no_nul(&field, key.as_bytes())?;
        super::no_nul(&field, value.as_bytes())?;
        let path = path(key);
        ensure!(
            path.split('/').all(|part| !part.is_empty() && part != ".." && part != "."),
            "{field}: not a parameter name"
        );
        check(&field, &path.replace('/', "."), namespaces)?;
        plan.push(Sysctl { field, path, value: value.clone() });
    }
    plan.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

/// sysctl(8): the first separator decides, so `net/ipv4/conf/eth0.1/forwarding` keeps its dot,
/// and `net.ipv4.conf.eth0/1.forwarding` means the same.
fn path(key: &str) -> String {
    match key.find(['.', '/']).map(|at| key.as_bytes().get(at)) {
        Some(Some(b'.')) => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        _ => key.to_string(),
    }
}

fn check(field: &str, name: &str, namespaces: &Namespaces) -> Result<()> {
    let needs = if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        Kind::Ipc
    } else if name.starts_with("net.") {
        Kind::Network
    } else if name.starts_with("user.") {
        Kind::User
    } else if name == "kernel.domainname" {
        Kind::Uts
    } else if name == "kernel.hostname" {
        bail!("{field}: set \"hostname\" of the config instead");
    } else {
        bail!("{field}: not a parameter of a namespace, it would change the host");
    };
    ensure!(
        namespaces.has(needs),
        "{field}: needs a {:?} entry in linux.namespaces, or it would change the host",
        needs.name()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, kinds: &[Kind]) -> Result<Vec<Sysctl>> {
        let namespaces = Namespaces { create: kinds.to_vec(), ..Namespaces::default() };
        plan([(&key.to_string(), &"1".to_string())].into_iter(), &namespaces)
    }

    #[test]
    fn separators_follow_sysctl_8() {
        assert_eq!(path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }

    #[test]
    fn only_parameters_of_own_namespaces_pass() {
        assert!(one("net.ipv4.ip_forward", &[Kind::Network]).is_ok());
        assert!(one("kernel.shmmax", &[Kind::Ipc]).is_ok());
        let text = |key, kinds: &[Kind]| one(key, kinds).unwrap_err().to_string();
        assert_eq!(
            text("net.ipv4.ip_forward", &[]),
            "linux.sysctl.net.ipv4.ip_forward: needs a \"network\" entry in linux.namespaces, or it would change the host"
        );
        assert_eq!(
            text("vm.swappiness", &[]),
            "linux.sysctl.vm.swappiness: not a parameter of a namespace, it would change the host"
        );
        assert_eq!(
            text("net/../vm", &[Kind::Network]),
            "linux.sysctl.net/../vm: not a parameter name"
        );
    }
}
