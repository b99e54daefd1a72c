//! `rt plan`

use crate::cli::{self, PlanFormat};
use crate::config;
use crate::log::stdout;
use crate::plan::{Options, Pivot, Plan, print};
use anyhow::Result;

pub(crate) fn run(args: &cli::Plan) -> Result<()> {
    crate::container::check_id(&args.id)?;
    let bundle = config::bundle(args.bundle.as_deref())?;
    let config = config::load(&bundle, args.config.as_deref())?;
    let default_maps = super::create::default_maps(&config);
    let options = Options {
        id: &args.id,
        bundle: &bundle,
        pivot: Pivot::Switch,
        session_keyring: true,
        default_maps: default_maps.as_ref().map(|(maps, _why)| maps),
    };
    let plan = Plan::new(&config.spec, &options)?;
    stdout(&match args.format {
        PlanFormat::Text => print::text(&plan),
        PlanFormat::Json => serde_json::to_string_pretty(&print::json(&plan))? + "\n",
    })
}
