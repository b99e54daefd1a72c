//! `events`.

use super::{Event, FILE, OLD};
use crate::cli::events::Events;
use crate::commands::moment;
use crate::container::Watch;
use crate::error::OrHint as _;
use crate::filter::Filters;
use crate::follow::Lines;
use crate::home::Home;
use crate::screen::Screen;
use crate::template::{Data, Template};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const FILTERS: &[&str] = &["container", "event", "image", "label", "network", "type", "volume"];
/// Of what begins so there is more behind a colon.
const LONGER: &[&str] = &["health_status", "exec_create", "exec_start"];
/// Between two looks at the clock.
const LONGEST: Duration = Duration::from_secs(3600);

pub(crate) fn show(home: &Home, args: &Events, screen: &mut Screen<'_>) -> Result<()> {
    let time = |flag: &str, text: &Option<String>| {
        let text = text.as_deref();
        let moment =
            text.map(|text| moment(text).with_context(|| format!("{flag} {text}: not a time")));
        moment
            .transpose()
            .hint("write 2026-01-31T12:00:00Z, seconds since 1970, or an age, such as 10m")
    };
    let (since, until) = (time("--since", &args.since)?, time("--until", &args.until)?);
    let wanted = Wanted { since, until, filters: Filters::new(&args.filter, FILTERS)? };
    let look = Look::new(args.format.as_deref())?;
    let watch = Watch::new(home.path())?;
    let mut lines = Lines::new(home.path().join(FILE));
    let old: Vec<Event> = lines.read(&home.path().join(OLD))?;
    let mut events = lines.rest()?;
    if since.is_none() && until.is_none() && args.stream {
        events.clear(); // only what is to come
    } else {
        events.splice(..0, old);
    }
    loop {
        for event in events.iter().filter(|event| wanted.has(event)) {
            screen.say(&look.of(event)?)?;
        }
        let left = until.map_or(LONGEST, |until| {
            until.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST)
        });
        if left.is_zero() || !args.stream {
            return Ok(());
        }
        watch.wait(left)?;
        events = lines.rest()?;
    }
}

struct Wanted {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    filters: Filters,
}

impl Wanted {
    fn has(&self, event: &Event) -> bool {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(event.time_nano);
        self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time <= until)
            && fits(event, &self.filters)
    }
}

fn fits(event: &Event, filters: &Filters) -> bool {
    let (id, attributes) = (event.actor.id.as_str(), &event.actor.attributes);
    let attribute = |key: &str| attributes.get(key).map(String::as_str).unwrap_or_default();
    let name = attribute("name");
    // By the beginning of an id or of a name, as Docker does; by a whole one for images.
    let is_called = |wanted: &str| id.starts_with(wanted) || name.starts_with(wanted);
    let of_kind =
        |kind: &str| !filters.has(kind) || event.kind == kind && filters.any(kind, is_called);
    let image = match event.kind.as_str() {
        "image" => name,
        _ => attribute("image"),
    };
    let is_image = |wanted: &str| {
        let untagged = image.rsplit_once(':').map_or(image, |(name, _)| name);
        [id, image, untagged].contains(&wanted)
    };
    let is_action = |wanted: &str| {
        let begins = LONGER.contains(&wanted) && event.action.starts_with(wanted);
        begins || event.action == wanted
    };
    filters.one_of("type", &event.kind)
        && filters.any("event", is_action)
        && filters.labels(attributes)
        && filters.any("image", is_image)
        && ["container", "network", "volume"].into_iter().all(of_kind)
}

enum Look {
    Line,
    Json,
    Template(Template),
}

impl Look {
    fn new(format: Option<&str>) -> Result<Self> {
        Ok(match format.map(str::trim) {
            None | Some("") => Self::Line,
            Some("json" | "{{json .}}" | "{{ json . }}") => Self::Json,
            Some(format) => Self::Template(Template::new(format)?),
        })
    }

    fn of(&self, event: &Event) -> Result<String> {
        Ok(match self {
            Self::Line => {
                let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(event.time_nano);
                let attributes = event.actor.attributes.iter();
                let attributes: Vec<String> =
                    attributes.map(|(key, value)| format!("{key}={value}")).collect();
                format!(
                    "{} {} {} {} ({})\n",
                    humantime::format_rfc3339_nanos(time),
                    event.kind,
                    event.action,
                    event.actor.id,
                    attributes.join(", ")
                )
            }
            Self::Json => serde_json::to_string(event).context("JSON")? + "\n",
            Self::Template(template) => {
                template.print(&Data { fields: fields(event)?, ..Data::default() })? + "\n"
            }
        })
    }
}

/// By the names in templates, which are not those in JSON, and also what is empty.
fn fields(event: &Event) -> Result<Value> {
    let mut fields = serde_json::to_value(event).context("JSON")?;
    if let Some(fields) = fields.as_object_mut() {
        for (name, value) in [
            ("Status", json!(event.status)),
            ("ID", json!(event.actor.id)),
            ("From", json!(event.from)),
            ("Scope", json!(event.scope)),
            ("Time", json!(event.time)),
            ("TimeNano", json!(event.time_nano)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let mut event = Event::new("container", "exec_create: ls -l", "c0ffee");
        event.time_nano = 1_500_000_000;
        event.with("name", "web").with("image", "app:1").with("a", "b")
    }

    fn shown(format: Option<&str>) -> String {
        Look::new(format).unwrap().of(&event()).unwrap()
    }

    #[test]
    fn looks_are_dockers() {
        let line = "1970-01-01T00:00:01.500000000Z container exec_create: ls -l c0ffee (a=b, image=app:1, name=web)\n";
        assert_eq!(shown(None), line);
        assert_eq!(
            shown(Some("{{.Type}} {{.ID}} {{.Actor.Attributes.name}} {{.From}}")),
            "container c0ffee web \n"
        );
        assert_eq!(
            shown(Some("{{.TimeNano}} {{.Actor.Attributes.nosuch}}")),
            "1500000000 <no value>\n"
        );
        assert_eq!(shown(Some("json")), shown(Some("{{json .}}")));
        assert!(shown(Some("json")).starts_with("{\"Type\":\"container\","));
    }

    #[test]
    fn filters_are_dockers() {
        for (words, wanted) in [
            (&["type=container"][..], true),
            (&["type=image", "type=container"], true),
            (&["type=image"], false),
            (&["event=exec_create"], true),
            (&["event=exec_create: ls -l"], true),
            (&["event=exec"], false),
            (&["container=web"], true),
            (&["container=c0f", "container=other"], true),
            (&["container=other"], false),
            (&["network=web"], false),
            (&["image=app"], true),
            (&["image=app:1"], true),
            (&["image=ap"], false),
            (&["label=a=b", "event=exec_create"], true),
            (&["label=a=c"], false),
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let filters = Filters::new(&words, FILTERS).unwrap();
            assert_eq!(fits(&event(), &filters), wanted, "{words:?}");
        }
    }
}
