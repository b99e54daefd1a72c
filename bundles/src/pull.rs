//! `pull`: an image from a registry, by its name.
//!
//! Runs in: an ordinary process of the user. Privilege: none. Threads: one for each layer that is
//! coming, four at most.
//!
//! Manifest and configuration are small, and verified before anybody looks at them. A layer is
//! hashed, inflated and unpacked while it comes, and gets its name when all that was promised of it
//! is true. The image is there when all of its layers are.

mod layers;
mod manifest;

use crate::cli::pull as cli;
use crate::digest::Digest;
use crate::error::{self, OrHint as _, hinted};
use crate::events::{self, Event};
use crate::fmt;
use crate::home::Home;
use crate::load::diff_ids;
use crate::reference::Reference;
use crate::registry::{self, Registries, Session, credentials};
use crate::screen::Screen;
use crate::store::layout::{Manifest, Platform};
use crate::store::{Added, Image, LONGEST_JSON, Parts, Store};
use crate::transfer::Progress;
use anyhow::{Context as _, Result, anyhow, ensure};
use layers::Layer;
use serde::Deserialize;
use std::io;

#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Instead of this machine's.
    pub(crate) platform: Option<Platform>,
    /// Says nothing on standard error.
    pub(crate) quiet: bool,
    pub(crate) registry: registry::Options,
}

/// What has come.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) image: Image,
    /// The complete name which it has now, or `name@digest`.
    pub(crate) name: Reference,
    /// What the name stands for in the registry: a manifest, or a list of them.
    pub(crate) digest: Digest,
    /// The name stood for another image here, or for none.
    pub(crate) is_new: bool,
}

/// Gets an image by a name as people type it, and makes it one of the store. Progress goes to
/// standard error, as bars on a terminal; nothing to standard output. The layers that are there
/// are not asked for again; an image that has not changed costs one request.
///
/// # Errors
/// One line for each registry that the name may stand for, with a hint. The store is as before
/// then, but for layers that are complete, and parts of them below `tmp/`: the next call goes on
/// with those.
pub(crate) fn pull(
    store: &Store<'_>,
    screen: &mut Screen<'_>,
    text: &str,
    options: &Options,
) -> Result<Pulled> {
    let registries = Registries::read()?;
    let mut failed = Vec::new();
    for name in registries.candidates(text)? {
        match by_name(store, screen, &registries, &name, options) {
            Ok(pulled) => {
                let (id, name) = (pulled.name.familiar(), pulled.name.repository());
                events::note(store.home(), Event::image(&id, "pull", &name));
                return Ok(pulled);
            }
            Err(err) => failed.push(err.context(format!("pull {}", name.familiar()))),
        }
    }
    error::all(failed)?;
    Err(anyhow!("internal error, please report: a name without candidates"))
}

/// The image that [`pull`] would get, if it is here: a short name may be that of a registry which
/// registries.conf names.
pub(crate) fn known(store: &Store<'_>, text: &str) -> Result<Option<Image>> {
    let candidates = Registries::read()?.candidates(text)?;
    Ok(candidates.iter().find_map(|name| store.image(&name.to_string()).ok()))
}

/// From a mirror, or else from the registry.
fn by_name(
    store: &Store<'_>,
    screen: &mut Screen<'_>,
    registries: &Registries,
    name: &Reference,
    options: &Options,
) -> Result<Pulled> {
    let mut endpoints = registries.endpoints(name, options.registry.insecure)?;
    let last = endpoints.pop().context("internal error, please report: no endpoint")?;
    let attempt = |endpoint: &registry::Endpoint, screen: &mut Screen<'_>| -> Result<Pulled> {
        let login = credentials::find(&endpoint.registry, &endpoint.path)?;
        let session = Session::open(endpoint, login, &options.registry)?;
        from(store, screen, name, &session, options).map_err(with_cure)
    };
    for mirror in &endpoints {
        match attempt(mirror, screen) {
            Ok(pulled) => return Ok(pulled),
            Err(err) => screen.note(&format!("mirror {}\n", error::plain(&error::chain(&err)))),
        }
    }
    attempt(&last, screen)
}

fn from(
    store: &Store<'_>,
    screen: &mut Screen<'_>,
    name: &Reference,
    session: &Session,
    options: &Options,
) -> Result<Pulled> {
    let wanted = options.platform.clone().unwrap_or_else(Platform::here);
    let (top, chosen) = manifest::get(session, name, &wanted)?;
    let manifest = Manifest::parse(&chosen.bytes)?;
    manifest::check(&manifest)?;
    let digest = &manifest.config.digest;
    ensure!(manifest.config.size <= LONGEST_JSON, "configuration {digest}: too long");
    let config = match store.read_json(digest) {
        Ok(config) => config,
        Err(_) => session.small(&digest.to_string(), manifest.config.size)?,
    };
    ensure!(
        Digest::of(&config) == *digest && config.len() as u64 == manifest.config.size,
        "configuration: digest {} instead of {digest}",
        Digest::of(&config)
    );
    check_platform(&config, &wanted, options, screen)?;
    let diff_ids = diff_ids(&config)?;
    ensure!(
        diff_ids.len() == manifest.layers.len(),
        "the manifest has {} layers, the configuration {}",
        manifest.layers.len(),
        diff_ids.len()
    );
    let mut progress = Progress::new(options.quiet);
    let what = name.tag.clone().unwrap_or_else(|| top.digest.to_string());
    progress.say(screen, &format!("{what}: Pulling from {}", name.repository()));
    store.put(&config)?;
    let layers = Layer::all(&manifest, diff_ids);
    layers::pull(store, session, &layers, &mut progress, screen).inspect_err(|err| {
        if error::is_full(err) {
            store.discard(&parts(digest, &layers)).ok(); // the cause counts
        }
    })?;

    let known = store.images()?;
    let known = known.iter().find(|image| image.manifest == chosen.digest);
    let mut given = Reference { tag: None, digest: Some(top.digest.clone()), ..name.clone() };
    let names = if name.digest.is_some() { &[][..] } else { std::slice::from_ref(name) };
    let is_new = !known.is_some_and(|image| match names.first() {
        Some(name) => image.names.contains(name),
        None => image.digests.contains(&given),
    });
    let digests = std::slice::from_mut(&mut given);
    let media_type = chosen.kind.as_str();
    let image = store.add(&Added { manifest: &chosen.bytes, media_type, names, digests })?;
    Ok(Pulled { image, name: name.clone(), digest: top.digest, is_new })
}

/// What is put into the store before the image is there.
fn parts(config: &Digest, layers: &[Layer]) -> Parts {
    let blobs = layers.iter().map(|layer| layer.blob.digest.clone()).chain([config.clone()]);
    Parts { blobs: blobs.collect(), layers: layers.iter().map(|one| one.diff_id.clone()).collect() }
}

/// An image for another machine is an error when one was asked for, and else worth a word.
fn check_platform(
    config: &[u8],
    wanted: &Platform,
    options: &Options,
    screen: &mut Screen<'_>,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(flatten)]
        platform: Option<Platform>,
    }
    let config: Config = serde_json::from_slice(config).context("image configuration")?;
    let Some(platform) = config.platform.filter(|platform| !wanted.fits(platform)) else {
        return Ok(());
    };
    if options.platform.is_some() {
        return Err(anyhow!("the image is for {platform}, not for {wanted}"))
            .hint(format!("take it as it is, with --platform {platform}"));
    }
    let platform = error::plain(&platform.to_string());
    screen.note(&format!("warning: the image is for {platform}, this machine is {wanted}\n"));
    Ok(())
}

pub(crate) fn command(home: &Home, args: &cli::Pull, screen: &mut Screen<'_>) -> Result<()> {
    let store = Store::open(home)?;
    let platform = args.platform.as_deref().map(str::parse).transpose()?;
    let options = Options { platform, quiet: args.quiet, registry: args.registry.options() };
    let Pulled { image, name, digest, is_new } = pull(&store, screen, &args.image, &options)?;
    if !args.quiet {
        let created = image.created.map_or_else(
            || "at an unknown time".to_owned(),
            |at| {
                let age = fmt::age(at.elapsed().unwrap_or_default());
                format!("{age} ago ({})", humantime::format_rfc3339_seconds(at))
            },
        );
        let status = if is_new { "Downloaded newer image" } else { "Image is up to date" };
        let familiar = name.familiar();
        screen.say(&format!(
            "Digest: {digest}\nCreated: {created}\nStatus: {status} for {familiar}\n"
        ))?;
    }
    screen.say(&format!("{name}\n"))
}

impl cli::Registry {
    pub(crate) fn options(&self) -> registry::Options {
        registry::Options {
            insecure: self.insecure,
            cert_dir: self.cert_dir.clone(),
            timeout: std::time::Duration::from_secs(self.timeout.into()),
            retries: self.retry,
        }
    }
}

/// What has no other cure is content that is not what was promised, or that would do harm.
fn with_cure(err: anyhow::Error) -> anyhow::Error {
    if error::hint(&err).is_some() || is_of_this_machine(&err) {
        return err;
    }
    hinted(err, "tell the owner of the registry: what is kept there is damaged, or means harm")
}

/// A full disk, say: nothing against what has come.
fn is_of_this_machine(err: &anyhow::Error) -> bool {
    let of_system = |err: &io::Error| err.raw_os_error().is_some();
    err.chain().any(|cause| cause.downcast_ref().is_some_and(of_system))
}
