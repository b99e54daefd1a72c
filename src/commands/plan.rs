//! `rt plan`

use super::Host;
use crate::cli::{self, PlanFormat};
use crate::config;
use crate::error::one_line;
use crate::log::stdout;
use crate::plan::{Options, Pivot, Plan, print};
use anyhow::Result;

pub(crate) fn run(host: &Host, args: &cli::Plan) -> Result<()> {
    crate::container::check_id(&args.id)?;
    let bundle = config::bundle(args.bundle.as_deref())?;
    let config = config::load(&bundle, args.config.as_deref())?;
    let default_maps = super::create::default_maps(&config);
    let options = Options {
        id: &args.id,
        bundle: &bundle,
        pivot: Pivot::Switch,
        driver: host.cgroup_driver(),
        session_keyring: true,
        default_maps: default_maps.as_ref().map(|(maps, _why)| maps),
    };
    let plan = Plan::new(&config.spec, &options)?;
    stdout(&match args.format {
        // Names and annotations may hold what a terminal obeys.
        PlanFormat::Text => print::text(&plan).lines().map(|line| one_line(line) + "\n").collect(),
        PlanFormat::Json => serde_json::to_string_pretty(&print::json(&plan))? + "\n",
    })
}
