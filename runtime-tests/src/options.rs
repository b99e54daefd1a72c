//! The runner's command line.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) struct Options {
    pub(crate) runtime: PathBuf,
    /// The companion, where there is one.
    pub(crate) bundles: Option<PathBuf>,
    pub(crate) view: String,
    pub(crate) list: bool,
    pub(crate) self_check: bool,
    pub(crate) jobs: usize,
    /// A test that takes longer is killed and failed.
    pub(crate) timeout: Duration,
    /// Skips for want of preparation are failures.
    pub(crate) no_skip: bool,
    pub(crate) filters: Vec<String>,
}

const USAGE: &str = "usage: runtime-tests [--rt PATH] [--bundles PATH] [--view host|v2|systemd] [--list] [--self-check] [--jobs N] [FILTER...]";

pub(crate) fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        runtime: std::env::var_os("RT").map_or_else(|| PathBuf::from("rt"), PathBuf::from),
        bundles: None,
        view: "host".to_owned(),
        list: false,
        self_check: false,
        jobs: 2,
        timeout: runtime_tests::poll::patience(Duration::from_secs(30)),
        no_skip: std::env::var_os("RT_TEST_NO_SKIP").is_some_and(|v| v == "1"),
        filters: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().ok_or(format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--rt" => options.runtime = PathBuf::from(value()?),
            "--bundles" => options.bundles = Some(PathBuf::from(value()?)),
            "--view" => options.view = value()?,
            "--jobs" => options.jobs = value()?.parse().map_err(|e| format!("--jobs: {e}"))?,
            "--list" => options.list = true,
            "--self-check" => {
                options.self_check = true;
                options.timeout = Duration::from_secs(5);
                options.no_skip = true;
            }
            flag if flag.starts_with('-') => return Err(USAGE.to_owned()),
            filter => options.filters.push(filter.to_owned()),
        }
    }
    if !["host", "v2", "systemd"].contains(&options.view.as_str()) {
        return Err(format!("--view {}: host, v2 or systemd\n{USAGE}", options.view));
    }
    options.runtime = locate(options.runtime)?;
    options.bundles = options.bundles.map(locate).transpose()?;
    Ok(options)
}

/// Absolute, because tests run in another directory; a bare name is looked up in PATH.
fn locate(program: PathBuf) -> Result<PathBuf, String> {
    let found = if program.components().count() > 1 {
        Some(program.clone())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(&program)).find(|p| p.is_file())
    };
    found
        .and_then(|path| path.canonicalize().ok())
        .ok_or_else(|| format!("no program {}: set RT or --rt, --bundles", program.display()))
}
