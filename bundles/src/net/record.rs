//! What is kept of networks: `networks/<name>/network.json`, and who is on them: `endpoints.json`.
//!
//! Runs in: an ordinary process. Privilege: none; the files are the caller's.

use super::ipam::{Pool, Used};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::fmt;
use crate::home::{self, Home, Lock};
use crate::ids;
use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    Bridge,
    Macvlan,
    Host,
    Null,
}

impl Driver {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) name: String,
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// RFC 3339.
    pub(crate) created: String,
    pub(crate) driver: Driver,
    pub(crate) pools: Vec<Pool>,
    pub(crate) internal: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
}

impl Network {
    /// With an id of its own, and without addresses.
    pub(crate) fn new(name: &str, driver: Driver) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            id: ids::made_up()?,
            created: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
            driver,
            pools: vec![],
            internal: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        })
    }

    /// The name of its bridge: as long as a link's name can be, 15 characters.
    pub(crate) fn bridge(&self) -> String {
        format!("br-{}", fmt::short_id(&self.id))
    }

    pub(crate) fn event(&self, action: &str) -> Event {
        Event::network(&self.id, action, (&self.name, self.driver.name()))
    }

    /// Made by us, and not to be removed.
    pub(crate) fn is_predefined(&self) -> bool {
        PREDEFINED.contains(&self.name.as_str())
    }
}

pub(crate) const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// A container on a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    /// The container's id, or `netns:PATH`.
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    /// What this container alone knows by name.
    pub(crate) hosts_added: Vec<(String, IpAddr)>,
    /// The file that is its /etc/hosts.
    pub(crate) hosts: Option<PathBuf>,
    pub(crate) netns: PathBuf,
    /// Device and inode of the namespace: the path may lead elsewhere one day.
    pub(crate) namespace: (u64, u64),
    pub(crate) interface: String,
    /// The end of the pair which stays on the host. It goes when the namespace does.
    pub(crate) link: Option<String>,
    pub(crate) mac: String,
    pub(crate) leases: Vec<Lease>,
    /// Its own name for itself.
    #[serde(default)]
    pub(crate) hostname: String,
    /// Names that it alone has for other containers, by their ids.
    #[serde(default)]
    pub(crate) links: Vec<(String, String)>,
    /// False while it is made or removed: whoever finds that so, under the lock, takes it away.
    pub(crate) settled: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) address: IpAddr,
    /// In bits.
    pub(crate) prefix: u8,
    /// None on a network without a way out.
    pub(crate) gateway: Option<IpAddr>,
}

/// All networks, nobody else changing them.
#[derive(Debug)]
pub(crate) struct Networks<'a> {
    pub(crate) home: &'a Home,
    pub(crate) directory: PathBuf,
    pub(crate) lock: Lock,
}

impl<'a> Networks<'a> {
    /// Waits for those who change networks.
    pub(crate) fn lock(home: &'a Home) -> Result<Self> {
        let lock = home.lock("networks")?;
        Ok(Self { home, directory: home.directory("networks")?, lock })
    }

    /// Sorted by name.
    pub(crate) fn all(&self) -> Result<Vec<Network>> {
        read_all(&self.directory)
    }

    /// By name, by id, or by the beginning of an id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Network> {
        let mut all = self.all()?;
        let exact = all.iter().position(|network| network.name == wanted || network.id == wanted);
        if let Some(at) = exact {
            return Ok(all.swap_remove(at));
        }
        all.retain(|network| !wanted.is_empty() && network.id.starts_with(wanted));
        match (all.pop(), all.is_empty()) {
            (Some(network), true) => Ok(network),
            (Some(_), false) => bail!("network {wanted}: several ids begin so"),
            (None, _) => Err(anyhow!("network {wanted} not found")).hint(format!(
                "see `bundles network ls`, or make it: bundles network create {wanted}"
            )),
        }
    }

    /// Nothing of it is seen before all is there.
    pub(crate) fn add(&self, network: &Network) -> Result<()> {
        let scratch = self.home.scratch()?;
        let whole = scratch.path().join("whole");
        fs::create_dir(&whole).with_context(|| whole.display().to_string())?;
        let text = serde_json::to_vec_pretty(network).context("network.json")?;
        home::replace(&whole.join("network.json"), &text)?;
        let path = self.directory.join(&network.name);
        fs::rename(&whole, &path).with_context(|| path.display().to_string())
    }

    /// Needs no space on the disk.
    pub(crate) fn forget(&self, network: &Network) -> Result<()> {
        let discarded = self.home.discard(&self.directory.join(&network.name))?;
        events::note(self.home, network.event("destroy"));
        drop(discarded);
        Ok(())
    }

    pub(crate) fn endpoints(&self, network: &Network) -> Result<Vec<Endpoint>> {
        read_endpoints(&self.directory, network)
    }

    /// Without any there is no file, as at first; so the last one can go from a full disk.
    pub(crate) fn set_endpoints(&self, network: &Network, endpoints: &[Endpoint]) -> Result<()> {
        let directory = self.directory.join(&network.name);
        if endpoints.is_empty() {
            return forget(&directory, "endpoints.json");
        }
        let text = serde_json::to_vec_pretty(endpoints).context("endpoints.json")?;
        put(&directory, "endpoints.json", &text)
    }

    /// The subnets of all networks.
    pub(crate) fn used(&self) -> Result<Vec<Used>> {
        let used = |network: &Network| -> Vec<Used> {
            let by = format!("network {}", network.name);
            let pools = network.pools.iter();
            pools.map(|pool| Used { subnet: pool.subnet, by: by.clone() }).collect()
        };
        Ok(self.all()?.iter().flat_map(used).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path_of(name).exists()
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.directory.join(name).join("network.json")
    }
}

/// By its whole name, for questions only: nobody is waited for.
pub(crate) fn named(home: &Home, name: &str) -> Option<Network> {
    let path = home.path().join("networks").join(name).join("network.json");
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn read_all(directory: &Path) -> Result<Vec<Network>> {
    let mut all = vec![];
    for entry in fs::read_dir(directory).context("networks")? {
        let path = entry.context("networks")?.path().join("network.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // The files of rules are beside the directories; or it has just been removed.
            Err(err)
                if matches!(err.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) =>
            {
                continue;
            }
            Err(err) => return Err(err).with_context(|| path.display().to_string()),
        };
        let network: Network =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        all.push(network);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

fn read_endpoints(directory: &Path, network: &Network) -> Result<Vec<Endpoint>> {
    let path = directory.join(&network.name).join("endpoints.json");
    match fs::read_to_string(&path) {
        // Not synced to disk: after a power failure it may be empty, and so are the links gone.
        Ok(text) if text.is_empty() => Ok(vec![]),
        Ok(text) => serde_json::from_str(&text).with_context(|| path.display().to_string()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

/// Who is on which network, for questions only: nobody is waited for.
pub(crate) fn everybody(home: &Home) -> Result<Vec<(Network, Endpoint)>> {
    let directory = home.directory("networks")?;
    let mut all = vec![];
    for network in read_all(&directory)? {
        let endpoints = read_endpoints(&directory, &network)?;
        all.extend(endpoints.into_iter().map(|endpoint| (network.clone(), endpoint)));
    }
    Ok(all)
}

/// Gives a file new content at once. It is not synced to disk: what it tells of does not outlast a
/// power failure either.
pub(super) fn put(directory: &Path, name: &str, text: &[u8]) -> Result<()> {
    let (path, new) = (directory.join(name), directory.join(format!(".{name}")));
    let written = home::write(&new, text).and_then(|_unsynced| fs::rename(&new, &path));
    if written.is_err() {
        fs::remove_file(&new).ok(); // the disk may be full
    }
    written.with_context(|| format!("write {}", path.display()))
}

/// Removes what [`put`] has written, if anything, and what it had begun when it was killed.
pub(super) fn forget(directory: &Path, name: &str) -> Result<()> {
    for path in [directory.join(name), directory.join(format!(".{name}"))] {
        match fs::remove_file(&path) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                return Err(err).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A network's name is that of a directory.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 200 {
        return Ok(());
    }
    Err(anyhow!("network name {name:?}: only letters, digits and _ . - are possible"))
        .hint("choose a name that begins with a letter or a digit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn link_names_fit() {
        let network = Network::new("some-very-long-name-of-a-network", Driver::Bridge).unwrap();
        assert_eq!(network.bridge().len(), 15);
        assert_eq!(network.id.len(), 64);
    }

    #[test]
    fn names_stay_in_their_directory() {
        for good in ["a", "my_net-1.x", "0"] {
            check_name(good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "-a", "a b", "é", &"x".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks_are_found_by_name_and_by_id() {
        let scratch = Scratch::new();
        let home = Home::open(Some(&scratch.0)).unwrap();
        let networks = Networks::lock(&home).unwrap();
        for (name, id) in [("a", "aa11"), ("b", "aa22"), ("aa2", "bb33")] {
            let mut network = Network::new(name, Driver::Bridge).unwrap();
            network.id = id.to_owned();
            networks.add(&network).unwrap();
        }
        let find = |wanted: &str| networks.find(wanted).map(|network| network.id);
        assert_eq!(find("a").unwrap(), "aa11");
        assert_eq!(find("aa2").unwrap(), "bb33", "a name comes before an id");
        assert_eq!(find("aa22").unwrap(), "aa22");
        assert_eq!(find("bb").unwrap(), "bb33");
        assert_eq!(find("aa").unwrap_err().to_string(), "network aa: several ids begin so");
        assert!(crate::error::chain(&find("x").unwrap_err()).contains("network x not found"));
        networks.forget(&networks.find("b").unwrap()).unwrap();
        assert!(find("b").is_ok_and(|id| id == "bb33"));
    }

    #[test]
    fn endpoints_cut_off_by_a_power_failure_are_none() {
        let scratch = Scratch::new();
        let home = Home::open(Some(&scratch.0)).unwrap();
        let networks = Networks::lock(&home).unwrap();
        let network = Network::new("n", Driver::Bridge).unwrap();
        networks.add(&network).unwrap();
        assert!(networks.endpoints(&network).unwrap().is_empty());
        scratch.file("networks/n/endpoints.json", b"");
        assert!(networks.endpoints(&network).unwrap().is_empty());
    }
}
