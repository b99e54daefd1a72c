//! The rules of the host's firewall: one table of our own, always replaced as a whole.
//!
//! Runs in: an ordinary process. Privilege: `CAP_NET_ADMIN`, for nft(8).
//!
//! The text follows from the records alone, so that a rule cannot be left behind. It is kept in
//! `networks/rules.nft`; while the kernel may have another, `rules.nft.new` is there.

use super::record::{Driver, Network, Networks};
use super::subnet::Subnet;
use crate::error::OrHint as _;
use crate::home::{self, Lock};
use crate::host::Host;
use anyhow::{Context as _, Result, anyhow};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A bridge with containers on it.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) link: String,
    pub(crate) subnets: Vec<Subnet>,
    /// Without a way out.
    pub(crate) internal: bool,
}

impl Bridge {
    fn of(network: &Network) -> Self {
        let subnets = network.pools.iter().map(|pool| pool.subnet).collect();
        Self { link: network.bridge(), subnets, internal: network.internal }
    }
}

/// The name of the table: each home has its own, since each knows only its networks.
pub(crate) fn table(home: &Path) -> String {
    if home == Path::new("/var/lib/bundles") {
        return "bundles".to_owned();
    }
    // FNV-1a: the same in every version of this program.
    let hash =
        home.as_os_str().as_encoded_bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
    format!("bundles_{hash:08x}")
}

/// What nft(8) is told, whatever there was before: without bridges there is no table.
fn replacing(table: &str, bridges: &[Bridge]) -> String {
    // Deleting what is not there would be an error, so it is made first.
    format!("add table inet {table}\ndelete table inet {table}\n{}", text(table, bridges))
}

/// An error when there is a table. The kernel need not wait until nobody uses the old rules any
/// more: a third of the time.
fn first(table: &str, bridges: &[Bridge]) -> String {
    format!("create table inet {table}\n{}", text(table, bridges))
}

fn text(table: &str, bridges: &[Bridge]) -> String {
    if bridges.is_empty() {
        return String::new();
    }
    let mut text = format!("table inet {table} {{\n");
    text.push_str("\tchain forward {\n\t\ttype filter hook forward priority 0; policy accept;\n");
    // With br_netfilter, what stays on a bridge comes by here, too.
    for bridge in bridges {
        let link = &bridge.link;
        text.push_str(&format!("\t\tiifname \"{link}\" oifname \"{link}\" accept\n"));
    }
    for bridge in bridges.iter().filter(|bridge| bridge.internal) {
        text.push_str(&format!("\t\tiifname \"{}\" drop\n", bridge.link));
    }
    text.push_str("\t\tct state established,related accept\n");
    // From other networks and from outside: published ports come from the host itself.
    for bridge in bridges {
        text.push_str(&format!("\t\toifname \"{}\" drop\n", bridge.link));
    }
    text.push_str("\t}\n\tchain postrouting {\n");
    text.push_str("\t\ttype nat hook postrouting priority 100; policy accept;\n");
    for bridge in bridges.iter().filter(|bridge| !bridge.internal) {
        for subnet in &bridge.subnets {
            let family = if subnet.is_v6() { "ip6" } else { "ip" };
            let link = &bridge.link;
            text.push_str(&format!(
                "\t\t{family} saddr {subnet} oifname != \"{link}\" masquerade\n"
            ));
        }
    }
    text.push_str("\t}\n}\n");
    text
}

/// A change of the kernel's rules that is under way.
#[derive(Debug)]
#[must_use = "until it was waited for it is not done"]
pub(super) struct Change<'a> {
    /// nft(8), when there is anything to change.
    nft: Option<Child>,
    table: Table<'a>,
    wanted: String,
    /// There are to be no rules.
    is_empty: bool,
    /// Nothing is known of a table.
    is_first: bool,
}

/// The rules of a home, and where they are written down.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) name: String,
    pub(super) directory: &'a Path,
    pub(super) lock: &'a Lock,
}

/// Begins to bring the kernel to the rules of the networks that are in use. `anew`: even if it seems
/// to have them; somebody else may have flushed all rules.
pub(super) fn change<'a, 'n>(
    networks: &'a Networks<'_>,
    in_use: impl Iterator<Item = &'n Network>,
    anew: bool,
) -> Result<Change<'a>> {
    let (directory, lock) = (networks.directory.as_path(), &networks.lock);
    let name = table(networks.home.path());
    Table { name, directory, lock }.change(in_use, anew)
}

impl<'a> Table<'a> {
    pub(super) fn change<'n>(
        self,
        in_use: impl Iterator<Item = &'n Network>,
        anew: bool,
    ) -> Result<Change<'a>> {
        let bridges = in_use.filter(|network| network.driver == Driver::Bridge).map(Bridge::of);
        let bridges: Vec<Bridge> = bridges.collect();
        let wanted = replacing(&self.name, &bridges);
        let known = fs::read_to_string(self.kept()).ok();
        let (is_empty, sure) = (bridges.is_empty(), !self.pending().exists());
        let same =
            if is_empty { known.is_none() } else { known.as_ref() == Some(&wanted) && !anew };
        let is_first = sure && known.is_none();
        let mut change = Change { nft: None, table: self, wanted, is_empty, is_first };
        if !(sure && same) {
            let begin =
                if is_first { &first(&change.table.name, &bridges) } else { &change.wanted };
            change.nft = Some(change.table.load(begin)?);
        }
        Ok(change)
    }

    fn kept(&self) -> PathBuf {
        self.directory.join("rules.nft")
    }

    fn pending(&self) -> PathBuf {
        self.directory.join("rules.nft.new")
    }

    /// One transaction. nft holds the lock by its standard output, which it writes nothing to: if we
    /// are killed, nobody changes rules before it has ended.
    fn load(&self, text: &str) -> Result<Child> {
        let new = self.pending();
        // Not synced: when the power fails, the table is lost, too.
        let written = home::write(&new, text.as_bytes());
        written.with_context(|| format!("write {}", new.display()))?;
        let mut nft = Command::new(program()?);
        nft.arg("-f").arg(&new).stdin(Stdio::null());
        nft.stdout(self.lock.share()?).stderr(Stdio::piped()).spawn().context("nft")
    }
}

impl Change<'_> {
    pub(super) fn wait(self) -> Result<()> {
        let Some(nft) = self.nft else { return Ok(()) };
        let (kept, new) = (self.table.kept(), self.table.pending());
        match finish(nft, &new) {
            // There may be a table that nothing is known of.
            Err(_) if self.is_first => finish(self.table.load(&self.wanted)?, &new)?,
            done => done?,
        }
        let settled = if self.is_empty {
            fs::remove_file(&kept).or_else(|err| if kept.exists() { Err(err) } else { Ok(()) })
        } else {
            home::write(&kept, self.wanted.as_bytes()).map(drop)
        };
        settled.and_then(|()| fs::remove_file(&new)).with_context(|| kept.display().to_string())
    }
}

/// The kernel has no rules any more: their namespace is gone.
pub(super) fn forget(directory: &Path) -> Result<()> {
    for name in ["rules.nft", "rules.nft.new"] {
        match fs::remove_file(directory.join(name)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err).context(name),
            _ => {}
        }
    }
    Ok(())
}

fn finish(nft: Child, file: &Path) -> Result<()> {
    let output = nft.wait_with_output().context("nft")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it said nothing").to_owned();
    let err = Err(anyhow!("nft -f {}: {first}", file.display()));
    if first.contains("Operation not permitted") {
        return err.hint("bridge networks need root; run as root, or with --network host or none");
    }
    err.hint("bridge networks need a kernel with nf_tables, nft_nat and nft_masq")
}

fn program() -> Result<PathBuf> {
    let mut search = std::env::var_os("PATH").unwrap_or_default();
    search.push(OsString::from(":/usr/sbin:/sbin"));
    let host = Host { root: PathBuf::from("/") };
    host.program("nft".as_ref(), &search)
        .map_err(|_missing| anyhow!("nft is not installed, and a bridge network needs it"))
        .hint(
            "install it, on Debian with `apt-get install nftables`, or use --network host or none",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(link: &str, subnets: &[&str], internal: bool) -> Bridge {
        let subnets = subnets.iter().map(|text| text.parse().unwrap()).collect();
        Bridge { link: link.to_owned(), subnets, internal }
    }

    #[test]
    fn rules_of_all_bridges_are_one_table() {
        let bridges = [
            bridge("br-a", &["172.17.0.0/16", "fd00:1::/64"], false),
            bridge("br-b", &["172.18.0.0/16"], true),
        ];
        let want = r#"add table inet bundles
delete table inet bundles
table inet bundles {
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname "br-a" oifname "br-a" accept
		iifname "br-b" oifname "br-b" accept
		iifname "br-b" drop
		ct state established,related accept
		oifname "br-a" drop
		oifname "br-b" drop
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		ip saddr 172.17.0.0/16 oifname != "br-a" masquerade
		ip6 saddr fd00:1::/64 oifname != "br-a" masquerade
	}
}
"#;
        assert_eq!(replacing("bundles", &bridges), want);
    }

    #[test]
    fn without_bridges_there_is_no_table() {
        assert_eq!(replacing("t", &[]), "add table inet t\ndelete table inet t\n");
    }

    #[test]
    fn homes_have_tables_of_their_own() {
        assert_eq!(table(Path::new("/var/lib/bundles")), "bundles");
        assert_eq!(table(Path::new("a")), "bundles_e40c292c");
        assert_ne!(table(Path::new("/a")), table(Path::new("/b")));
    }
}
