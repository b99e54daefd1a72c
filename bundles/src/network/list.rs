//! `network ls`: a table, and what filters leave.

use super::open;
use crate::cli_network::Ls;
use crate::error::OrHint as _;
use crate::home::Home;
use crate::net::record::Network;
use anyhow::{Context as _, Result, anyhow};
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::io::Write;

/// The values of each key: one of them has to match, of labels all.
#[derive(Debug)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    pub(super) fn parse(words: &[String]) -> Result<Self> {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for word in words {
            let pair = word.split_once('=');
            let (key, value) = pair
                .with_context(|| format!("--filter {word}: no \"=\" in it"))
                .hint("write KEY=VALUE, as in --filter label=app=web")?;
            if !["name", "id", "label", "driver", "type", "scope"].contains(&key) {
                return Err(anyhow!("--filter {word}: unknown key {key}"))
                    .hint("choose name, id, label, driver, type or scope");
            }
            filters.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self(filters))
    }

    pub(super) fn take(&self, network: &Network) -> Result<bool> {
        for (key, values) in &self.0 {
            let mut hits = vec![];
            for value in values {
                hits.push(hit(network, key, value)?);
            }
            let taken = if key == "label" {
                hits.iter().all(|hit| *hit)
            } else {
                hits.iter().any(|hit| *hit)
            };
            if !taken {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn hit(network: &Network, key: &str, value: &str) -> Result<bool> {
    let matches = |text: &str| -> Result<bool> {
        let pattern = Regex::new(value).with_context(|| format!("--filter {key}={value}"))?;
        Ok(pattern.is_match(text))
    };
    match key {
        "name" => matches(&network.name),
        "id" => matches(&network.id),
        "driver" => Ok(network.driver.name() == value),
        "scope" => Ok(value == "local"),
        "type" => Ok(value == if network.is_predefined() { "builtin" } else { "custom" }),
        _ => Ok(match value.split_once('=') {
            Some((label, value)) => network.labels.get(label).is_some_and(|has| has == value),
            None => network.labels.contains_key(value),
        }),
    }
}

pub(super) fn run(home: &Home, args: &Ls, out: &mut dyn Write) -> Result<()> {
    let filters = Filters::parse(&args.filter)?;
    let networks = open(home)?;
    let mut rows = vec![];
    for network in networks.all()? {
        if filters.take(&network)? {
            let id = if args.no_trunc { network.id.as_str() } else { network.short_id() };
            rows.push((id.to_owned(), network.name.clone(), network.driver.name()));
        }
    }
    out.write_all(table(&rows, args.quiet).as_bytes()).context("stdout")
}

/// Columns three spaces apart.
fn table(rows: &[(String, String, &str)], quiet: bool) -> String {
    if quiet {
        return rows.iter().map(|(id, ..)| format!("{id}\n")).collect();
    }
    let heads = ("NETWORK ID".to_owned(), "NAME".to_owned(), "DRIVER");
    let all = || std::iter::once(&heads).chain(rows);
    let wide = |cell: fn(&(String, String, &str)) -> usize| all().map(cell).max().unwrap_or(0);
    let (ids, names, drivers) =
        (wide(|row| row.0.len()), wide(|row| row.1.len()), wide(|row| row.2.len()));
    all()
        .enumerate()
        .map(|(at, (id, name, driver))| {
            let scope = if at == 0 { "SCOPE" } else { "local" };
            format!("{id:ids$}   {name:names$}   {driver:drivers$}   {scope}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::record::Driver;

    fn network(name: &str, label: &str) -> Network {
        let mut network = Network::new(name, Driver::Bridge).unwrap();
        network.labels.insert("app".to_owned(), label.to_owned());
        network
    }

    #[test]
    fn columns_are_as_wide_as_their_longest() {
        let rows = [
            ("0123456789ab".to_owned(), "a-long-name".to_owned(), "bridge"),
            ("ba9876543210".to_owned(), "n".to_owned(), "macvlan"),
        ];
        assert_eq!(
            table(&rows, false),
            "NETWORK ID     NAME          DRIVER    SCOPE\n\
             0123456789ab   a-long-name   bridge    local\n\
             ba9876543210   n             macvlan   local\n"
        );
        assert_eq!(table(&rows, true), "0123456789ab\nba9876543210\n");
    }

    #[test]
    fn filters_of_one_key_add_up_and_labels_narrow_down() {
        let taken = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let filters = Filters::parse(&words).unwrap();
            let all = [network("web", "a"), network("web2", "b"), network("db", "a")];
            let taken = all.iter().filter(|network| filters.take(network).unwrap());
            taken.map(|network| network.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(taken(&["name=web"]), ["web", "web2"]);
        assert_eq!(taken(&["name=^web$"]), ["web"]);
        assert_eq!(taken(&["name=^web$", "name=db"]), ["web", "db"]);
        assert_eq!(taken(&["name=web", "label=app=b"]), ["web2"]);
        assert_eq!(taken(&["label=app=a", "label=app=b"]), [""; 0]);
        assert_eq!(taken(&["label=app"]).len(), 3);
        assert_eq!(taken(&["driver=macvlan"]), [""; 0]);
        assert_eq!(taken(&["type=builtin"]), [""; 0]);
    }

    #[test]
    fn unknown_filter_is_refused() {
        let err = Filters::parse(&["nmae=x".to_owned()]).unwrap_err();
        assert_eq!(crate::error::chain(&err), "--filter nmae=x: unknown key nmae");
    }
}
