//! `network ls`.

use super::open;
use crate::cli::network::Ls;
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::net::record::Network;
use crate::screen::Screen;
use anyhow::Result;
use serde_json::{Map, json};

const KEYS: [&str; 8] = ["name", "id", "label", "label!", "driver", "type", "scope", "dangling"];

const TITLES: &[(&str, &str)] = &[
    ("CreatedAt", "CREATED AT"),
    ("Driver", "DRIVER"),
    ("ID", "NETWORK ID"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("Name", "NAME"),
    ("Scope", "SCOPE"),
];

const USUAL: &str = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

pub(super) fn run(home: &Home, args: &Ls, screen: &mut Screen<'_>) -> Result<()> {
    let filters = Filters::new(&args.filter, &KEYS)?;
    let dangling = filters.truth("dangling")?;
    let quiet = args.quiet.then_some("{{.ID}}");
    let listing = Listing::new(args.format.as_deref(), USUAL, quiet)?.heading(!args.noheading);
    let networks = open(home)?;
    let mut rows = vec![];
    for network in networks.all()? {
        let is_used = network.is_predefined() || !networks.endpoints(&network)?.is_empty();
        if taken(&network, &filters) && dangling.is_none_or(|wanted| wanted != is_used) {
            rows.push(row(&network, args.no_trunc));
        }
    }
    screen.say(&listing.show(&rows, TITLES)?)
}

fn taken(network: &Network, filters: &Filters) -> bool {
    let kind = if network.is_predefined() { "builtin" } else { "custom" };
    filters.name(&network.name)
        && filters.id(&network.id)
        && filters.labels(&network.labels)
        && filters.one_of("driver", network.driver.name())
        && filters.one_of("type", kind)
        && filters.one_of("scope", "local")
}

/// All fields are texts, as with Docker.
fn row(network: &Network, whole_id: bool) -> Row {
    let has = |v6: bool| network.pools.iter().any(|pool| pool.subnet.is_v6() == v6);
    let fields = json!({
        "CreatedAt": network.created,
        "Driver": network.driver.name(),
        "ID": if whole_id { &network.id } else { fmt::short_id(&network.id) },
        "IPv4": has(false).to_string(),
        "IPv6": has(true).to_string(),
        "Internal": network.internal.to_string(),
        "Labels": fmt::labels(&network.labels),
        "Name": network.name,
        "Scope": "local",
    });
    Row { fields, methods: Map::from_iter([("Label".to_owned(), json!(network.labels))]) }
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
    fn filters_of_one_key_add_up_and_labels_narrow_down() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let filters = Filters::new(&words, &KEYS).unwrap();
            let all = [network("web", "a"), network("web2", "b"), network("db", "a")];
            let left = all.iter().filter(|network| taken(network, &filters));
            left.map(|network| network.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["name=web"]), ["web", "web2"]);
        assert_eq!(names(&["name=^web$"]), ["web"]);
        assert_eq!(names(&["name=^web$", "name=db"]), ["web", "db"]);
        assert_eq!(names(&["name=web", "label=app=b"]), ["web2"]);
        assert_eq!(names(&["label=app=a", "label=app=b"]), [""; 0]);
        assert_eq!(names(&["label=app"]).len(), 3);
        assert_eq!(names(&["driver=macvlan"]), [""; 0]);
        assert_eq!(names(&["type=builtin"]), [""; 0]);
        assert_eq!(names(&["id=x"]), [""; 0]);
    }
}
