//! `rt list`

use super::Host;
use crate::cli::{List, TableFormat};
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, ids};
use crate::log::stdout;
use anyhow::Result;

pub(crate) fn run(host: &Host, args: &List) -> Result<()> {
    let mut containers: Vec<(State, Status)> = Vec::new();
    for id in ids(&host.root)? {
        // Deleted meanwhile, or not far enough to be listed. A broken one must not hide the others.
        let Ok(Some(dir)) = Dir::open(&host.root, &id, Lock::None) else { continue };
        match dir.read_state() {
            Ok(Some(state)) => match dir.status(&state) {
                Ok(status) => containers.push((state, status)),
                Err(err) => host.log.warning(&crate::error::chain(&err.context(id))),
            },
            Ok(None) => {}
            Err(err) => host.log.warning(&crate::error::chain(&err)),
        }
    }
    let reports: Vec<_> = containers.iter().map(|(state, status)| state.report(*status)).collect();
    let text = match (args.quiet, args.format) {
        (true, _) => reports.iter().map(|report| format!("{}\n", report.id)).collect(),
        (false, TableFormat::Json) => serde_json::to_string(&reports)? + "\n",
        (false, TableFormat::Table) => {
            let mut rows =
                vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from)];
            rows.extend(reports.iter().map(|report| {
                [
                    report.id.to_string(),
                    report.pid.to_string(),
                    report.status.to_string(),
                    report.bundle.display().to_string(),
                    report.created.unwrap_or_default().to_string(),
                    report.owner.unwrap_or_default().to_string(),
                ]
            }));
            table(&rows)
        }
    };
    stdout(&text)
}

/// Columns as wide as their longest cell, three blanks between them.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max();
            format!("{cell:width$}", width = width.unwrap_or(0).max(8) + 3)
        });
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            [["ID".to_string(), "PID".to_string()], ["a-long-name".to_string(), "7".to_string()]];
        assert_eq!(table(&rows), "ID            PID\na-long-name   7\n");
    }
}
