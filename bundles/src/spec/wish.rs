//! What `-v`, `--mount`, `--tmpfs` and an image's `VOLUME` ask for.
//!
//! Runs in: pure.

use super::values;
use crate::cli::run::FileFlags;
use crate::container::Mount;
use crate::error::OrHint as _;
use crate::volume::{self, check_tmpfs};
use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// One mount that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) what: What,
    /// An absolute path in the container.
    pub(crate) at: String,
    pub(crate) read_only: bool,
    pub(crate) propagation: String,
    /// Without what is mounted below the source.
    pub(crate) alone: bool,
    /// The options of `-v`, as they were typed.
    pub(crate) mode: String,
    /// The words of the command line, for errors.
    pub(crate) words: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Bind {
        /// As typed: it may be relative, or begin with `~/`.
        source: String,
        /// `-v` makes a missing directory, `--mount` does not.
        make: bool,
    },
    /// A directory of the host, whose changes go with the container.
    Overlay { source: String },
    Volume {
        /// One is made up when it is missing.
        name: Option<String>,
        /// Files that the image has at this place go into an empty volume.
        copy: bool,
        labels: volume::Strings,
        options: volume::Strings,
    },
    /// In memory, with the options of mount(8).
    Tmpfs(Vec<String>),
    /// What another container has.
    Same(Mount),
}

impl Wish {
    pub(crate) fn new(what: What, at: String) -> Self {
        Self {
            what,
            at,
            read_only: false,
            propagation: "rprivate".to_owned(),
            alone: false,
            mode: String::new(),
            words: String::new(),
        }
    }
}

impl What {
    fn volume(name: Option<String>) -> Self {
        let (labels, options) = Default::default();
        Self::Volume { name, copy: true, labels, options }
    }
}

/// All of them. What the image asks for gives way to what other containers have, and that to
/// flags; two flags for one place are a mistake.
pub(crate) fn all(flags: &FileFlags, image: &[String], others: Vec<Wish>) -> Result<Vec<Wish>> {
    let mut wanted: Vec<Wish> = Vec::new();
    let mut want = |wish: Wish| match wanted.iter().find(|other| other.at == wish.at) {
        Some(other) => Err(anyhow!("{}: {} is taken by {}", wish.words, wish.at, other.words)),
        None => {
            wanted.push(wish);
            Ok(())
        }
    };
    for text in &flags.tmpfs {
        let words = format!("--tmpfs {text}");
        want(Wish { words: words.clone(), ..of_tmpfs(text).context(words)? })?;
    }
    for text in &flags.volume {
        let words = format!("-v {text}");
        want(Wish { words: words.clone(), ..of_volume(text).context(words)? })?;
    }
    for text in &flags.mount {
        let words = format!("--mount {text}");
        want(Wish { words: words.clone(), ..in_words(text).context(words)? })?;
    }
    let mut wishes = Vec::new();
    for at in image {
        let words = format!("VOLUME {at} of the image");
        wishes.push(Wish { words: words.clone(), ..anonymous(at).context(words)? });
    }
    for wish in others.into_iter().chain(wanted) {
        wishes.retain(|other| other.at != wish.at);
        wishes.push(wish);
    }
    Ok(wishes)
}

fn anonymous(at: &str) -> Result<Wish> {
    Ok(Wish::new(What::volume(None), destination(at)?))
}

/// `CONTAINER[:OPTIONS]`.
fn of_tmpfs(text: &str) -> Result<Wish> {
    let (at, options) = text.split_once(':').unwrap_or((text, ""));
    let options: Vec<&str> = options.split(',').filter(|option| !option.is_empty()).collect();
    options.iter().try_for_each(|option| check_tmpfs(option))?;
    let what = What::Tmpfs(options.into_iter().map(ToOwned::to_owned).collect());
    Ok(Wish::new(what, destination(at)?))
}

/// `[SOURCE:]CONTAINER[:OPTIONS]`; a source that is no path is the name of a volume.
fn of_volume(text: &str) -> Result<Wish> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, at, options) = match parts.as_slice() {
        [at] => return anonymous(at),
        [source, at] => (*source, *at, ""),
        [source, at, options] => (*source, *at, *options),
        _ => bail!("more than two colons"),
    };
    let mut wish = Wish::new(What::volume(Some(source.to_owned())), destination(at)?);
    options.clone_into(&mut wish.mode);
    let source = source.to_owned();
    let is_path = source.starts_with(['/', '.', '~']);
    let (mut no_copy, mut overlay) = (false, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => wish.read_only = true,
            "nocopy" => no_copy = true,
            "O" if is_path => overlay = true,
            "O" => {
                return Err(anyhow!("option O is for directories of the host"))
                    .hint("begin the source with / or ./");
            }
            // There is no SELinux label to set, and one cache for all.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "rbind" => {}
            "bind" => wish.alone = true,
            _ => wish.propagation = propagation(option)?,
        }
    }
    match &mut wish.what {
        _ if overlay => wish.what = What::Overlay { source },
        _ if is_path => wish.what = What::Bind { source, make: true },
        What::Volume { copy, .. } => *copy = !no_copy,
        What::Bind { .. } | What::Overlay { .. } | What::Tmpfs(_) | What::Same(_) => {}
    }
    Ok(wish)
}

fn propagation(option: &str) -> Result<String> {
    const KNOWN: &[&str] = &["private", "rprivate", "shared", "rshared", "slave", "rslave"];
    if KNOWN.contains(&option) {
        return Ok(option.to_owned());
    }
    Err(anyhow!("unknown option {option:?}"))
        .hint("the options are ro, rw, nocopy, O and those of propagation, as rslave")
}

/// `type=bind,source=HOST,target=CONTAINER`; a word with commas stands in quotes, as in CSV.
pub(crate) fn in_words(text: &str) -> Result<Wish> {
    let (mut kind, mut source, mut target) = ("volume".to_owned(), None, None);
    let mut wish = Wish::new(What::volume(None), String::new());
    let (mut no_copy, mut labels, mut options) = (false, Vec::new(), Vec::new());
    let mut tmpfs = Vec::new();
    for word in fields(text)? {
        let (key, value) = word.split_once('=').unwrap_or((&word, "true"));
        let truth = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(anyhow!("{key}={value}: neither true nor false")),
        };
        match key {
            "type" => value.clone_into(&mut kind),
            "source" | "src" => source = Some(value.to_owned()),
            "target" | "destination" | "dst" => target = Some(value.to_owned()),
            "readonly" | "ro" => wish.read_only = truth()?,
            "consistency" => {} // there is one cache for all
            "bind-propagation" => wish.propagation = propagation(value)?,
            "bind-nonrecursive" => wish.alone = truth()?,
            "bind-recursive" => match value {
                "enabled" | "readonly" => wish.alone = false,
                "disabled" => wish.alone = true,
                _ => bail!("bind-recursive={value}: neither enabled, disabled nor readonly"),
            },
            "volume-nocopy" => no_copy = truth()?,
            "volume-label" => labels.push(value.to_owned()),
            "volume-opt" => options.push(value.to_owned()),
            "volume-driver" => {
                ensure!(value == volume::DRIVER, "volume driver {value:?} is not known");
            }
            "tmpfs-size" => tmpfs.push(format!("size={}", values::bytes("tmpfs-size", value)?)),
            "tmpfs-mode" => tmpfs.push(format!("mode={value}")),
            _ => {
                return Err(anyhow!("unknown word {key:?}"))
                    .hint("the words are type, source, target, readonly and those that begin with bind-, volume- and tmpfs-");
            }
        }
    }
    wish.at = destination(&target.context("no target")?)?;
    wish.what = match kind.as_str() {
        "bind" => What::Bind { source: source.context("no source")?, make: false },
        "volume" => What::Volume {
            name: source,
            copy: !no_copy,
            labels: crate::cli::pairs(&labels),
            options: crate::cli::pairs(&options),
        },
        "tmpfs" => {
            tmpfs.iter().try_for_each(|option| check_tmpfs(option))?;
            What::Tmpfs(tmpfs)
        }
        _ => return Err(anyhow!("type {kind}")).hint("the types are bind, volume and tmpfs"),
    };
    Ok(wish)
}

/// The words between commas; in quotes a comma is part of the word, and `""` a quote.
fn fields(text: &str) -> Result<Vec<String>> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields.last_mut().context("no field")?.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().context("no field")?.push(char),
        }
    }
    ensure!(!quoted, "a quote has no end");
    Ok(fields)
}

fn destination(path: &str) -> Result<String> {
    ensure!(path.starts_with('/'), "{path:?} is no absolute path in the container");
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    let clean: String = parts.flat_map(|part| ["/", part]).collect();
    ensure!(!clean.split('/').any(|part| part == ".."), "{path:?} has a part \"..\"");
    ensure!(!clean.is_empty(), "the container's / can't be replaced");
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(change: impl FnOnce(&mut FileFlags)) -> FileFlags {
        let mut flags = FileFlags { shm_size: "64m".into(), ..FileFlags::default() };
        change(&mut flags);
        flags
    }

    fn volume(text: &str) -> Result<Wish> {
        let all = all(&flags(|f| f.volume = vec![text.into()]), &[], vec![]);
        all.map(|mut wishes| wishes.remove(0))
    }

    #[test]
    fn source_is_a_path_or_a_volume() {
        let what = |text| volume(text).unwrap().what;
        let bind = |source: &str| What::Bind { source: source.into(), make: true };
        let named = |name: Option<&str>| What::volume(name.map(Into::into));
        assert_eq!(what("/a:/b"), bind("/a"));
        let slave = volume("./c:/d:ro,rslave").unwrap();
        assert_eq!((&slave.what, slave.propagation.as_str()), (&bind("./c"), "rslave"));
        assert!(slave.read_only && slave.mode == "ro,rslave");
        assert_eq!(what("~/e:/f:rw,z"), bind("~/e"));
        assert_eq!(what("/a:/b:O"), What::Overlay { source: "/a".into() });
        assert_eq!(what("data:/b"), named(Some("data")));
        assert!(matches!(what("data:/b:nocopy"), What::Volume { copy: false, .. }));
        assert_eq!(what("/b"), named(None));
        assert_eq!(volume("/a://b/./c/").unwrap().at, "/b/c");
    }

    #[test]
    fn mounts_in_words() {
        let text =
            ["type=bind,src=/a,dst=/b,readonly", "type=tmpfs,target=/t,tmpfs-size=1k", "dst=/v"];
        let all = all(&flags(|f| f.mount = text.map(Into::into).into()), &[], vec![]).unwrap();
        let [bind, tmpfs, volume] = all.as_slice() else { panic!("{all:?}") };
        assert!(bind.read_only && matches!(&bind.what, What::Bind { make: false, .. }));
        assert_eq!(tmpfs.what, What::Tmpfs(vec!["size=1024".into()]));
        assert_eq!(volume.what, What::volume(None));
    }

    #[test]
    fn volume_options_may_have_commas() {
        let text = r#"type=volume,src=v,dst=/v,volume-opt=type=tmpfs,"volume-opt=o=size=1m,ro",volume-nocopy"#;
        let What::Volume { options, copy, .. } = in_words(text).unwrap().what else { panic!() };
        assert_eq!(options["type"], "tmpfs");
        assert_eq!(options["o"], "size=1m,ro");
        assert!(!copy);
        assert_eq!(fields(r#"a,"b""c""#).unwrap(), ["a", "b\"c"]);
        assert!(fields(r#"a,"b"#).is_err());
    }

    #[test]
    fn flags_replace_what_the_image_asks_for() {
        let flags = flags(|f| f.volume = vec!["v:/data/".into()]);
        let other = |at: &str| Wish::new(What::Same(Mount::default()), at.into());
        let others = vec![other("/data"), other("/log")];
        let image = ["/data".into(), "/log".into(), "/own".into()];
        let all = all(&flags, &image, others).unwrap();
        let places: Vec<&str> = all.iter().map(|wish| wish.at.as_str()).collect();
        assert_eq!(places, ["/own", "/log", "/data"]);
        assert!(matches!(all[1].what, What::Same(_)));
        assert_eq!(all[2].words, "-v v:/data/");
    }

    #[test]
    fn two_flags_for_one_place_are_refused() {
        let flags = flags(|f| {
            f.volume = vec!["v:/data/".into()];
            f.tmpfs = vec!["/data".into()];
        });
        let err = all(&flags, &[], vec![]).unwrap_err();
        assert_eq!(err.to_string(), "-v v:/data/: /data is taken by --tmpfs /data");
    }

    #[test]
    fn bad_volumes_are_told() {
        for (text, error) in [
            ("a", "-v a: \"a\" is no absolute path in the container"),
            ("/a:b", "-v /a:b: \"b\" is no absolute path in the container"),
            ("/a:/", "-v /a:/: the container's / can't be replaced"),
            ("/a:/b:x", "-v /a:/b:x: unknown option \"x\""),
            ("/a:/b:ro:x", "-v /a:/b:ro:x: more than two colons"),
            ("/a:/b/../c", "-v /a:/b/../c: \"/b/../c\" has a part \"..\""),
            ("v:/b:O", "-v v:/b:O: option O is for directories of the host"),
        ] {
            assert_eq!(crate::error::chain(&volume(text).unwrap_err()), error);
        }
    }
}
