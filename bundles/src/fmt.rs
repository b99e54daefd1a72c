//! What people read: tables, sizes, ages, short ids. The look is Docker's.
//!
//! Runs in: anywhere. Touches nothing but the clock.

use crate::template::{Data, Template};
use anyhow::Result;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Characters of an id that tell containers apart well enough.
const SHORT: usize = 12;
/// Docker's tables: the least width of a column, and the space behind the longest cell.
const LEAST: usize = 10;
const PADDING: usize = 3;

/// One line of a list: fields for `--format`, and methods of theirs.
pub(crate) type Row = Data;

/// How `ls` and its like show rows.
#[derive(Debug)]
pub(crate) struct Listing {
    template: Option<Template>,
    table: bool,
    heading: bool,
}

impl Listing {
    /// `format` is `--format`; `usual` the template of the table without one, `-q` shows `quiet`.
    pub(crate) fn new(format: Option<&str>, usual: &str, quiet: Option<&str>) -> Result<Self> {
        let format = format.unwrap_or("table").trim();
        if format == "json" {
            return Ok(Self { template: None, table: false, heading: false });
        }
        let (text, table) = match (format.strip_prefix("table"), quiet) {
            (Some(""), Some(quiet)) => (quiet, false),
            (Some(""), None) => (usual, true),
            (Some(rest), _) if rest.starts_with([' ', '\t', '\\']) => (rest.trim(), true),
            _ => (format, false),
        };
        // In a shell nobody can type a tab.
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Self { template: Some(Template::new(&text)?), table, heading: table })
    }

    /// A format that has no heading gets none.
    pub(crate) fn heading(mut self, wanted: bool) -> Self {
        self.heading &= wanted;
        self
    }

    /// `titles` are the headings of columns, by field; the others are the fields in capitals.
    pub(crate) fn show(&self, rows: &[Row], titles: &[(&str, &str)]) -> Result<String> {
        let Some(template) = &self.template else {
            return Ok(rows.iter().map(|row| format!("{}\n", row.fields)).collect());
        };
        let mut lines = Vec::new();
        if self.heading {
            let title = |(field, title): &(&str, &str)| {
                ((*field).to_owned(), Value::String((*title).to_owned()))
            };
            let titles: Map<String, Value> = titles.iter().map(title).collect();
            lines.push(template.headers(titles)?);
        }
        for row in rows {
            lines.push(template.print(row)?);
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(if self.table { columns(&text) } else { text })
    }
}

/// Aligns what tabs separate, as Go's text/tabwriter does: a column is a run of lines that have a
/// tab behind this cell.
fn columns(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len()]).collect();
    let most = lines.iter().map(Vec::len).max().unwrap_or_default();
    for column in 0..most {
        let mut start = 0;
        while start < lines.len() {
            let ends = |cells: &&Vec<&str>| cells.len() > column + 1;
            let run = lines.iter().skip(start).take_while(ends).count();
            let block = lines.iter().skip(start).take(run);
            let longest =
                block.filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count());
            let width = (longest.max().unwrap_or_default() + PADDING).max(LEAST);
            for line in widths.iter_mut().skip(start).take(run) {
                if let Some(place) = line.get_mut(column) {
                    *place = width;
                }
            }
            start += run.max(1);
        }
    }
    let mut out = String::new();
    for (cells, widths) in lines.iter().zip(&widths) {
        for (cell, width) in cells.iter().zip(widths) {
            out.push_str(&format!("{cell:width$}"));
        }
        out.push('\n');
    }
    out
}

/// The beginning of what is longer, in characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Decimal, with three digits: `7.05MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    let mut scale: u128 = 1000;
    for unit in UNITS {
        // In thousandths, so that what rounds up to 1000 goes to the next unit.
        let thousandths = u128::from(bytes) * 1000 / scale;
        let (digit, decimals) = match thousandths {
            0..9_995 => (10, 2),
            9_995..99_950 => (100, 1),
            _ => (1000, 0),
        };
        let rounded = (thousandths + digit / 2) / digit;
        if rounded < 1000 {
            let whole = rounded / 10_u128.pow(decimals);
            let rest = rounded % 10_u128.pow(decimals);
            let places = usize::try_from(decimals).unwrap_or_default();
            let text =
                if decimals == 0 { whole.to_string() } else { format!("{whole}.{rest:0places$}") };
            let text = if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.')
            } else {
                &text
            };
            return format!("{text}{unit}");
        }
        scale *= 1000;
    }
    format!("{bytes}B")
}

/// Binary, with four digits, as Docker writes memory: `7.05MiB`.
pub(crate) fn memory(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut scale: u128 = 1;
    let mut name = "";
    for unit in UNITS {
        if u128::from(bytes) < scale * 1024 {
            break;
        }
        (scale, name) = (scale * 1024, unit);
    }
    let thousandths = (u128::from(bytes) * 1000 + scale / 2) / scale;
    let decimals = match thousandths {
        0..10_000 => 3,
        10_000..100_000 => 2,
        100_000..1_000_000 => 1,
        _ => 0,
    };
    let step = 10_u128.pow(3 - decimals);
    let rounded = (thousandths + step / 2) / step;
    let (whole, rest) = (rounded / 10_u128.pow(decimals), rounded % 10_u128.pow(decimals));
    let places = usize::try_from(decimals).unwrap_or_default();
    let rest = format!("{rest:0places$}");
    let rest = if decimals == 0 { "" } else { rest.trim_end_matches('0') };
    if rest.is_empty() { format!("{whole}{name}") } else { format!("{whole}.{rest}{name}") }
}

/// As `docker ps` says how long ago something was: `2 weeks`, `About an hour`.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let hours = (seconds + 1800) / 3600; // rounded
    match (seconds, seconds / 60, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, minutes @ 2..60, _) => format!("{minutes} minutes"),
        (.., 0..=1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..17_520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// As Go writes one: `1m30s`, `500ms`, `1.5s`. Less than a microsecond is not told.
pub(crate) fn duration(time: Duration) -> String {
    let decimal = |whole: u64, rest: u32, digits: usize| {
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let (seconds, micros) = (time.as_secs(), time.subsec_micros());
    if seconds == 0 {
        return match micros {
            0 => "0s".to_owned(),
            1..1000 => format!("{micros}\u{b5}s"),
            _ => decimal(u64::from(micros / 1000), micros % 1000, 3) + "ms",
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let seconds = decimal(seconds % 60, micros, 6);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// What `docker ps` has under CREATED. A clock that was put back is no reason to fail.
pub(crate) fn since(time: SystemTime) -> String {
    format!("{} ago", age(time.elapsed().unwrap_or_default()))
}

pub(crate) fn labels(labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.join(",")
}

/// The part of an id that people are shown.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..SHORT).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(values: &[Value]) -> Vec<Row> {
        values.iter().map(|fields| Row { fields: fields.clone(), methods: Map::new() }).collect()
    }

    const TITLES: &[(&str, &str)] = &[("Driver", "DRIVER"), ("Name", "VOLUME NAME")];
    const USUAL: &str = "{{.Driver}}\t{{.Name}}";

    fn shown(format: Option<&str>, quiet: Option<&str>) -> String {
        let rows = rows(&[
            json!({ "Driver": "local", "Name": "a" }),
            json!({ "Driver": "a-very-long-driver", "Name": "b" }),
        ]);
        Listing::new(format, USUAL, quiet).unwrap().show(&rows, TITLES).unwrap()
    }

    #[test]
    fn table_is_aligned_as_docker_does() {
        assert_eq!(
            shown(None, None),
            "DRIVER               VOLUME NAME\nlocal                a\na-very-long-driver   b\n"
        );
        let short = rows(&[json!({ "Driver": "local", "Name": "a" })]);
        let listing = Listing::new(None, USUAL, None).unwrap();
        assert_eq!(listing.show(&short, TITLES).unwrap(), "DRIVER    VOLUME NAME\nlocal     a\n");
        assert_eq!(listing.show(&[], TITLES).unwrap(), "DRIVER    VOLUME NAME\n");
    }

    #[test]
    fn format_chooses_the_look() {
        assert_eq!(shown(None, Some("{{.Name}}")), "a\nb\n");
        assert_eq!(shown(Some("{{.Name}}:{{.Driver}}"), None), "a:local\nb:a-very-long-driver\n");
        assert_eq!(
            shown(Some("table {{.Name}}\\t{{upper .Driver}}"), None),
            "VOLUME NAME   DRIVER\na             LOCAL\nb             A-VERY-LONG-DRIVER\n"
        );
        assert_eq!(
            shown(Some("json"), None),
            "{\"Driver\":\"local\",\"Name\":\"a\"}\n{\"Driver\":\"a-very-long-driver\",\"Name\":\"b\"}\n"
        );
        let listing = Listing::new(Some("table {{.Name}}"), USUAL, None).unwrap().heading(false);
        assert_eq!(listing.show(&rows(&[json!({ "Name": "a" })]), TITLES).unwrap(), "a\n");
    }

    #[test]
    fn columns_are_runs_of_lines() {
        assert_eq!(columns("a\tb\nx\ny\tz\n"), "a         b\nx\ny         z\n");
        assert_eq!(
            columns("Stra\u{df}en-Name\tb\nx\tz\n"),
            "Stra\u{df}en-Name   b\nx              z\n"
        );
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.02kB"),
            (7_050_000, "7.05MB"),
            (12_345, "12.3kB"),
            (123_456, "123kB"),
            (9_999, "10kB"),
            (99_949, "99.9kB"),
            (99_960, "100kB"),
            (999_499, "999kB"),
            (999_500, "1MB"),
            (1_048_576, "1.05MB"),
            (187_000_000_000, "187GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn memory_has_four_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (507_904, "496KiB"),
            (1_500_000, "1.431MiB"),
            (16_777_216, "16MiB"),
            (123_456_789, "117.7MiB"),
            (1_073_741_823, "1024MiB"),
            (67_516_788_736, "62.88GiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(memory(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn ages_are_dockers() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 1799, "About an hour"),
            (HOUR + 1800, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn durations_are_gos() {
        for (micros, text) in [
            (0, "0s"),
            (7, "7\u{b5}s"),
            (1_500, "1.5ms"),
            (500_000, "500ms"),
            (1_000_000, "1s"),
            (1_500_000, "1.5s"),
            (90_000_000, "1m30s"),
            (3_600_000_000, "1h0m0s"),
            (90_061_000_001, "25h1m1.000001s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text, "{micros}");
        }
    }

    #[test]
    fn times_to_come_are_now() {
        let hour = Duration::from_secs(3600);
        assert_eq!(since(SystemTime::now() - hour), "About an hour ago");
        assert_eq!(since(SystemTime::now() + hour), "Less than a second ago");
    }

    #[test]
    fn labels_are_joined_in_order() {
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        assert_eq!(labels(&[("b", ""), ("a", "1=2")].map(pair).into()), "a=1=2,b=");
    }

    #[test]
    fn ids_are_cut() {
        assert_eq!(short_id("0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("web"), "web");
    }
}
