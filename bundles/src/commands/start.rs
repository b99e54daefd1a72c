//! `start`, `restart` and `attach`.

use super::end::stop_one;
use super::for_each;
use crate::attach::{self, Outcome, Role};
use crate::cli::existing::{Attach, Restart, Start};
use crate::container::{self, Container};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::filter::Filters;
use crate::home::Home;
use crate::runtime;
use crate::screen::Screen;
use crate::spec::values;
use anyhow::{Result, anyhow, bail, ensure};

pub(crate) fn start(home: &Home, args: &Start, screen: &mut Screen<'_>) -> Result<u8> {
    let names = wanted(home, args)?;
    if args.attach || args.interactive {
        let [name] = names.as_slice() else { bail!("-a and -i: of one container only") };
        return foreground(home, args, name);
    }
    for_each(&names, screen, |name| background(home, &Container::find(home, name)?, name))?;
    Ok(0)
}

pub(crate) fn restart(home: &Home, args: &Restart, screen: &mut Screen<'_>) -> Result<()> {
    let number = args.signal.as_deref().map(values::signal).transpose()?;
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        if container.record.remove && container.record.is_running() {
            return Err(anyhow!("{name}: was made with --rm, so it is gone when it ends"))
                .hint("make it without --rm");
        }
        stop_one(home, &mut container, (args.time, number))?;
        let started = background(home, &container, name)?;
        events::note(home, Event::container(&container.record, "restart"));
        Ok(started)
    })
}

fn background(home: &Home, container: &Container, name: &str) -> Result<String> {
    match attach::start(home, container, None)? {
        Outcome::Running(_) => Ok(name.to_owned()),
        Outcome::Failed { text, .. } => Err(runtime::start_error(text)),
    }
}

/// Those that are named, or those which fit the filters and do not run.
fn wanted(home: &Home, args: &Start) -> Result<Vec<String>> {
    if !args.all {
        ensure!(args.filter.is_empty(), "--filter: goes with --all only");
        ensure!(!args.containers.is_empty(), "no container: write its name, or --all");
        return Ok(args.containers.clone());
    }
    ensure!(args.containers.is_empty(), "--all: no names go with it");
    let filters = Filters::new(&args.filter, FILTERS)?;
    let boot = filters.truth("should-start-on-boot")?;
    let mut all = container::all(home)?;
    all.retain(|container| {
        let record = &container.record;
        !record.is_running()
            && filters.name(&record.name)
            && filters.id(&record.id)
            && filters.labels(&record.labels)
            && filters.one_of("restart-policy", record.restart.name())
            && boot.is_none_or(|wanted| wanted == record.starts_on_boot())
    });
    all.sort_by(|one, other| one.record.created.cmp(&other.record.created));
    Ok(all.into_iter().map(|container| container.record.name).collect())
}

const FILTERS: &[&str] =
    &["id", "name", "label", "label!", "restart-policy", "should-start-on-boot"];

fn foreground(home: &Home, args: &Start, name: &str) -> Result<u8> {
    let mut container = Container::find(home, name)?;
    let input = args.interactive && container.record.interactive;
    attach::check_terminal(input && container.record.tty)?;
    let look = args.look.of(input, Role::Starter);
    events::note(home, Event::container(&container.record, "attach"));
    if container.record.is_running() {
        let attached = attach::connect(home, &mut container, &look)?;
        return attached.forward(home, &mut container, &look);
    }
    match attach::start(home, &container, Some(&look))? {
        Outcome::Failed { text, .. } => Err(runtime::start_error(text)),
        Outcome::Running(attached) => attached.forward(home, &mut container, &look),
    }
}

pub(crate) fn attach(home: &Home, args: &Attach) -> Result<u8> {
    let mut container = Container::find(home, &args.container)?;
    if !container.record.is_running() {
        return Err(anyhow!("{}: does not run", args.container))
            .hint(format!("start it: bundles start -ai {}", args.container));
    }
    let input = container.record.interactive && !args.no_stdin;
    attach::check_terminal(input && container.record.tty)?;
    let look = args.look.of(input, Role::Onlooker);
    events::note(home, Event::container(&container.record, "attach"));
    attach::connect(home, &mut container, &look)?.forward(home, &mut container, &look)
}
