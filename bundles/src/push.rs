//! `push`: an image to the registry that its name leads to.
//!
//! Runs in: an ordinary process of the user. Privilege: none. Threads: one for each layer that is
//! going, four at most.
//!
//! What goes is what the manifest names, byte by byte as it lies in the store. The manifest goes last:
//! until then the registry has no tag, and a tag never lacks blobs.

use crate::cli::pull as cli;
use crate::digest::Digest;
use crate::error::{self, OrHint as _};
use crate::events::{self, Event};
use crate::home::Home;
use crate::reference::Reference;
use crate::registry::{DOCKER_HUB, Endpoint, Registries, Sent, Session, Upload, credentials};
use crate::screen::Screen;
use crate::store::layout::{Descriptor, MANIFEST, Manifest};
use crate::store::{Image, Store, find};
use crate::transfer::{self, Blob, Outcome, Progress};
use anyhow::{Context as _, Result, anyhow, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

/// An image of the store under the name that it is to have in the registry.
struct Going {
    name: Reference,
    descriptor: Descriptor,
    bytes: Vec<u8>,
    manifest: Manifest,
}

pub(crate) fn command(home: &Home, args: &cli::Push, screen: &mut Screen<'_>) -> Result<()> {
    push(&Store::open(home)?, args, screen).with_context(|| format!("push {}", args.name))
}

/// Names of one repository, one after the other.
fn push(store: &Store<'_>, args: &cli::Push, screen: &mut Screen<'_>) -> Result<()> {
    let registries = &Registries::read()?;
    let images = &store.images()?;
    let names = chosen(registries, images, args)?;
    let first = names.first().context("internal error, please report: nothing to push")?;
    let endpoint = endpoint(registries, first, args.registry.insecure)?;
    let login = credentials::find(&endpoint.registry, &endpoint.path)?;
    check_prefix(first, login.is_some())?;
    let going: Result<Vec<Going>> = names.iter().map(|name| Going::read(store, name)).collect();
    let going = going?;
    let sources = sources(store, registries, images, &endpoint, &going)?;
    let repositories: BTreeSet<&String> = sources.values().collect();
    let session = Session::open(&endpoint, login, &args.registry.options())?;
    let session = session.pushing(repositories.into_iter());
    let to = Destination { store, session, sources };
    let mut progress = Progress::new(args.quiet);
    let repository = first.repository();
    progress.say(screen, &format!("The push refers to repository [{repository}]"));
    for one in &going {
        to.push(one, &mut progress, screen)?;
        let event = Event::image(&one.name.familiar(), "push", &one.name.repository());
        events::note(store.home(), event);
        screen.say(&match args.quiet {
            true => format!("{}\n", one.name),
            false => one.summary(),
        })?;
    }
    Ok(())
}

/// The names to push: one, or all of a repository.
fn chosen(registries: &Registries, images: &[Image], args: &cli::Push) -> Result<Vec<Reference>> {
    let typed = Reference::parse(&args.name)?;
    if typed.digest.is_some() {
        return Err(anyhow!("a digest cannot be pushed to"))
            .hint("give the image a name with a tag: bundles tag IMAGE NAME:TAG");
    }
    if args.all_tags && typed.tag.is_some() {
        return Err(anyhow!("a tag, and --all-tags")).hint("leave one of them out");
    }
    let names = || images.iter().flat_map(|image| &image.names);
    for name in registries.candidates(&args.name)? {
        let fits = |one: &&Reference| match args.all_tags {
            true => (&one.registry, &one.path) == (&name.registry, &name.path),
            false => **one == name,
        };
        let mut found: Vec<Reference> = names().filter(fits).cloned().collect();
        if !found.is_empty() {
            found.sort();
            return Ok(found);
        }
    }
    if args.all_tags {
        return Err(anyhow!("no image has a name in this repository"))
            .hint("see those that there are: bundles images");
    }
    // An id finds an image, but says nothing of where to.
    let what = if find(images, &args.name).is_ok() { args.name.as_str() } else { "IMAGE" };
    let name = typed.tagged().familiar();
    let name = if what == "IMAGE" { name.as_str() } else { "localhost:5000/NAME:TAG" };
    Err(anyhow!("no image has this name"))
        .hint(format!("give it to one, and push that: bundles tag {what} {name}"))
}

/// The registry itself; mirrors are only for pulling.
fn endpoint(registries: &Registries, name: &Reference, insecure: bool) -> Result<Endpoint> {
    let last = registries.endpoints(name, insecure)?.pop();
    last.context("internal error, please report: no endpoint")
}

/// A name without a registry is one of Docker Hub, which takes nothing from strangers, and nothing
/// without the name of a user from anybody.
fn check_prefix(name: &Reference, logged_in: bool) -> Result<()> {
    let is_official = name.path.starts_with("library/");
    if name.registry != DOCKER_HUB || (logged_in && !is_official) {
        return Ok(());
    }
    let familiar = name.familiar();
    let there = format!("localhost:5000/{familiar}");
    let or = if is_official { "" } else { "; or, to push it to Docker Hub: bundles login" };
    Err(anyhow!("the name does not say to which registry")).hint(format!(
        "name it, and push that: bundles tag {familiar} {there} && bundles push {there}{or}"
    ))
}

/// Other repositories of the registry that have the blobs, as far as images were pulled from there
/// or pushed to there.
fn sources(
    store: &Store<'_>,
    registries: &Registries,
    images: &[Image],
    to: &Endpoint,
    going: &[Going],
) -> Result<BTreeMap<Digest, String>> {
    let wanted: BTreeSet<&Digest> =
        going.iter().flat_map(|one| one.blobs().map(|blob| &blob.digest)).collect();
    let mut sources = BTreeMap::new();
    for image in images {
        let there = image.digests.iter().filter_map(|name| endpoint(registries, name, false).ok());
        let mut there = there.filter(|one| one.registry == to.registry && one.path != to.path);
        let Some(from) = there.next() else { continue };
        let manifest = Manifest::parse(&store.read_json(&image.manifest)?)?;
        let all = manifest.layers.into_iter().chain([manifest.config]);
        for blob in all.filter(|blob| wanted.contains(&blob.digest)) {
            sources.entry(blob.digest).or_insert_with(|| from.path.clone());
        }
    }
    Ok(sources)
}

impl Going {
    fn read(store: &Store<'_>, name: &Reference) -> Result<Self> {
        let found = store.named(name)?;
        let descriptor = found.with_context(|| format!("{name}: removed meanwhile"))?;
        let bytes = store.read_json(&descriptor.digest)?;
        let manifest = Manifest::parse(&bytes)?;
        Ok(Self { name: name.clone(), descriptor, bytes, manifest })
    }

    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifest.layers.iter().chain([&self.manifest.config])
    }

    /// Each one once: an empty layer often comes again.
    fn layers(&self) -> Vec<Blob> {
        let mut all: Vec<Blob> = Vec::new();
        for layer in &self.manifest.layers {
            if !all.iter().any(|one| one.digest == layer.digest) {
                all.push(Blob { digest: layer.digest.clone(), size: layer.size });
            }
        }
        all
    }

    fn tag(&self) -> &str {
        self.name.tag.as_deref().unwrap_or_default()
    }

    /// Docker's last line.
    fn summary(&self) -> String {
        let (digest, size) = (&self.descriptor.digest, self.bytes.len());
        format!("{}: digest: {digest} size: {size}\n", self.tag())
    }
}

/// Where images go, and what is known of blobs there.
struct Destination<'a> {
    store: &'a Store<'a>,
    session: Session,
    /// Repositories which may have a blob.
    sources: BTreeMap<Digest, String>,
}

impl Destination<'_> {
    fn push(&self, image: &Going, progress: &mut Progress, screen: &mut Screen<'_>) -> Result<()> {
        let send = |blob: &Blob, sent: &(dyn Fn(u64) + Sync)| self.send(blob, sent);
        transfer::all(&self.session, &image.layers(), progress, screen, send)?;
        let config = &image.manifest.config;
        self.send(&Blob { digest: config.digest.clone(), size: config.size }, &|_| ())?;
        let digest = &image.descriptor.digest;
        let kind = Some(image.descriptor.media_type.as_str()).filter(|kind| !kind.is_empty());
        self.session.put_manifest(image.tag(), kind.unwrap_or(MANIFEST), &image.bytes)?;
        let given = Reference { tag: None, digest: Some(digest.clone()), ..image.name.clone() };
        if let Err(err) = self.store.note(digest, &given) {
            screen.note(&format!("warning: {}\n", error::plain(&error::chain(&err))));
        }
        Ok(())
    }

    fn send(&self, blob: &Blob, sent: &(dyn Fn(u64) + Sync)) -> Result<Outcome> {
        let Blob { digest, size } = blob;
        let path = self.store.blob(digest);
        let open = || -> Result<File> {
            let file = File::open(&path).with_context(|| path.display().to_string())?;
            let found = file.metadata().with_context(|| path.display().to_string())?.len();
            ensure!(found == *size, "blob {digest}: {found} bytes, the manifest says {size}");
            Ok(file)
        };
        let file = open().hint("get the image again: a part of it is not in the store")?;
        let (session, file, size) = (&self.session, &file, *size);
        let source = self.sources.get(digest).map(String::as_str);
        let upload = Upload { session, digest, file, size, source, sent };
        let done = upload.run().with_context(|| format!("blob {digest}"))?;
        Ok(match (done, source) {
            (Sent::Pushed, _) => Outcome::Pushed,
            (Sent::Mounted, from) => Outcome::Mounted(from.unwrap_or_default().to_owned()),
            (Sent::WasThere, _) => Outcome::WasThere,
        })
    }
}
