//! `idmap=uids=0-1000-10#10-2000-5;gids=@0-0-10`: mappings of one mount, as crun writes them.
//!
//! Runs in: parent. Pure. Each range is the first id of the file system, the id of the host that it
//! becomes, and how many there are. With `@` the second one is an id of the container.

use super::mount::Recursion;
use super::namespaces::IdMap;
use anyhow::{Context as _, Result, bail, ensure};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    /// With `relative` the host id is one of the container still.
    map: IdMap,
    relative: bool,
}

/// The mappings after `idmap=`, as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// `mounts[3].options[1]`
    field: String,
    uids: Vec<Range>,
    gids: Vec<Range>,
}

/// Is it one of ours? What stands behind the first "=".
pub(crate) fn word(word: &str) -> Option<(Recursion, &str)> {
    let (name, text) = word.split_once('=')?;
    match name {
        "idmap" => Some((Recursion::Top, text)),
        "ridmap" => Some((Recursion::Whole, text)),
        _ => None,
    }
}

impl Given {
    /// `None`: nothing is given, which is the same as the word alone.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut given = Self { field: field.into(), uids: Vec::new(), gids: Vec::new() };
        for part in text.split(';') {
            let (kind, list) = part.split_once('=').unwrap_or((part, ""));
            let ranges = match kind {
                "uids" => &mut given.uids,
                "gids" => &mut given.gids,
                _ => bail!("{field}: {kind:?} is neither \"uids\" nor \"gids\""),
            };
            for text in list.split('#') {
                ranges.push(range(field, text)?);
            }
        }
        ensure!(!given.uids.is_empty(), "{field}: \"uids\" are missing");
        ensure!(!given.gids.is_empty(), "{field}: \"gids\" are missing");
        Ok(Some(given))
    }

    /// With ids of the host only.
    pub(crate) fn resolve(
        &self,
        uid_maps: &[IdMap],
        gid_maps: &[IdMap],
    ) -> Result<(Vec<IdMap>, Vec<IdMap>)> {
        let resolve = |ranges: &[Range], maps: &[IdMap], what: &str| {
            let one = |range: &Range| {
                absolute(range, maps).with_context(|| {
                    let IdMap { host, size, .. } = range.map;
                    format!(
                        "{}: @{host}: {size} ids from there are not in one range of {what}",
                        self.field
                    )
                })
            };
            ranges.iter().map(one).collect::<Result<Vec<_>>>()
        };
        Ok((
            resolve(&self.uids, uid_maps, "linux.uidMappings")?,
            resolve(&self.gids, gid_maps, "linux.gidMappings")?,
        ))
    }
}

fn range(field: &str, text: &str) -> Result<Range> {
    let (relative, numbers) = match text.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let numbers: Option<Vec<u32>> = numbers.split('-').map(|part| part.parse().ok()).collect();
    let Some(&[container, host, size]) = numbers.as_deref() else {
        bail!("{field}: {text:?} is not three numbers such as 0-1000-10");
    };
    let fits = |first: u32| first.checked_add(size.max(1) - 1).is_some_and(|last| last != u32::MAX);
    ensure!(size > 0, "{field}: {text:?} maps no ids");
    ensure!(fits(container) && fits(host), "{field}: {text:?} is beyond 4294967294");
    Ok(Range { map: IdMap { container, host, size }, relative })
}

fn absolute(range: &Range, maps: &[IdMap]) -> Option<IdMap> {
    if !range.relative {
        return Some(range.map);
    }
    let wanted = range.map;
    let within = |map: &&IdMap| {
        let skipped = wanted.host.checked_sub(map.container);
        skipped.is_some_and(|n| n < map.size && wanted.size <= map.size - n)
    };
    let map = maps.iter().find(within)?;
    Some(IdMap { host: map.host + (wanted.host - map.container), ..wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container: u32, host: u32, size: u32) -> IdMap {
        IdMap { container, host, size }
    }

    fn resolve(text: &str) -> Result<(Vec<IdMap>, Vec<IdMap>)> {
        let maps = [map(0, 100_000, 10), map(10, 200_000, 1000)];
        let given = Given::parse("mounts[3].options[1]", text)?.context("nothing given")?;
        given.resolve(&maps, &maps)
    }

    #[test]
    fn ranges_are_of_the_host_or_of_the_container() {
        let (uids, gids) = resolve("uids=0-1-10#10-11-10;gids=0-100-10").unwrap();
        assert_eq!(uids, [map(0, 1, 10), map(10, 11, 10)]);
        assert_eq!(gids, [map(0, 100, 10)]);
        let (uids, gids) = resolve("gids=@3-7-3#9-9-1;uids=@3-12-5").unwrap();
        assert_eq!(uids, [map(3, 200_002, 5)]);
        assert_eq!(gids, [map(3, 100_007, 3), map(9, 9, 1)]);
    }

    #[test]
    fn example_of_cruns_manual() {
        let maps = [map(0, 0, 1), map(1, 2, 1000)];
        let given = Given::parse("f", "uids=@1-3-10;gids=@1-3-10").unwrap().unwrap();
        assert_eq!(given.resolve(&maps, &maps).unwrap().0, [map(1, 4, 10)]);
    }

    #[test]
    fn errors_name_the_option() {
        let field = "mounts[3].options[1]: ";
        for (text, error) in [
            ("uids=0-1-1", "\"gids\" are missing"),
            ("gids=0-1-1", "\"uids\" are missing"),
            ("foo=1-1-1", "\"foo\" is neither \"uids\" nor \"gids\""),
            ("uids=1-1;gids=0-1-1", "\"1-1\" is not three numbers such as 0-1000-10"),
            ("uids=1-1-x;gids=0-1-1", "\"1-1-x\" is not three numbers such as 0-1000-10"),
            ("uids;gids", "\"\" is not three numbers such as 0-1000-10"),
            ("uids=1-1-0;gids=0-1-1", "\"1-1-0\" maps no ids"),
            ("uids=1-4294967290-6;gids=0-1-1", "\"1-4294967290-6\" is beyond 4294967294"),
            (
                "uids=@0-8-3;gids=0-1-1",
                "@8: 3 ids from there are not in one range of linux.uidMappings",
            ),
            (
                "uids=@0-0-1;gids=@0-5000-1",
                "@5000: 1 ids from there are not in one range of linux.gidMappings",
            ),
        ] {
            assert_eq!(resolve(text).unwrap_err().to_string(), format!("{field}{error}"), "{text}");
        }
        assert_eq!(Given::parse("f", "").unwrap(), None);
    }
}
