//! What `create` and `run` say of flags which they take, and do not do, or not yet.

use crate::cli::run::Create;
use crate::error::OrHint as _;
use crate::rootless;
use crate::screen::Screen;
use crate::spec::{self, Facts};
use crate::store::layout::Platform;
use anyhow::{Result, anyhow, ensure};
use std::time::Duration;

pub(super) fn tell(args: &Create, screen: &mut Screen<'_>) -> Result<()> {
    check(args)?;
    if args.limits.kernel_memory.is_some() {
        screen.note("bundles: --kernel-memory is ignored: the kernel has no such limit any more\n");
    }
    Ok(())
}

/// As Docker and Podman do, an ordinary user's container runs without the limits that it cannot have.
pub(super) fn tell_limits(args: &Create, facts: &Facts<'_>, screen: &mut Screen<'_>) -> Result<()> {
    let ignored = spec::ignored(&args.limits, facts)?;
    if !ignored.is_empty() {
        screen.note(&format!(
            "bundles: limits of {} are ignored: {}\n  hint: {}\n",
            ignored.join(", "),
            rootless::NO_CONTROLLER,
            rootless::DELEGATE
        ));
    }
    Ok(())
}

fn check(args: &Create) -> Result<()> {
    let health = &args.health;
    for (flag, time) in [
        ("--health-interval", health.health_interval),
        ("--health-timeout", health.health_timeout),
        ("--health-start-period", health.health_start_period),
        ("--health-start-interval", health.health_start_interval),
    ] {
        let short = time.is_some_and(|time| !time.is_zero() && time < Duration::from_millis(1));
        ensure!(!short, "{flag}: less than a millisecond");
    }
    let refused = &args.refused;
    if let Some(platform) = refused.platform.as_deref().filter(|text| *text != "linux") {
        let (wanted, here): (Platform, _) = (platform.parse()?, Platform::here());
        if !wanted.fits(&here) {
            return Err(anyhow!("--platform {platform}: this machine is {here}"))
                .hint("leave --platform away");
        }
    }
    if let Some(isolation) = refused.isolation.as_deref().filter(|text| *text != "default") {
        return Err(anyhow!("--isolation {isolation}: is of Windows"))
            .hint("leave --isolation away");
    }
    if refused.disable_content_trust == Some(Some(false)) {
        return Err(anyhow!("--disable-content-trust=false: no signatures are looked at"))
            .hint("name the image by its digest");
    }
    if refused.gpus.is_some() {
        return Err(anyhow!("--gpus: nobody here knows which files a GPU needs"))
            .hint("give it the devices, with --device, and the libraries, with -v");
    }
    if let Some(option) = refused.storage_opt.first() {
        return Err(anyhow!("--storage-opt {option}: overlayfs has no limit of its own"))
            .hint("keep images on a file system with quotas, with --root DIR");
    }
    if let Some(driver) =
        refused.volume_driver.as_deref().filter(|name| *name != crate::volume::DRIVER)
    {
        return Err(anyhow!("--volume-driver {driver}: there is one driver, local"))
            .hint("leave --volume-driver away");
    }
    Ok(())
}
