//! What `-v`, `--mount`, `--tmpfs` and an image's `VOLUME` ask for.
//!
//! Runs in: pure.

use super::values;
use crate::cli::run::FileFlags;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// One mount that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) what: What,
    /// An absolute path in the container.
    pub(crate) at: String,
    pub(crate) read_only: bool,
    /// The words of the command line, for errors.
    pub(crate) words: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Bind {
        /// As typed: it may be relative, or begin with `~/`.
        source: String,
        propagation: String,
        /// `-v` makes a missing directory, `--mount` does not.
        make: bool,
    },
    Volume {
        /// One is made up when it is missing.
        name: Option<String>,
        /// Files that the image has at this place go into an empty volume.
        copy: bool,
    },
    /// In memory, with the options of mount(8).
    Tmpfs(Vec<String>),
}

/// All of them; a later one replaces an earlier one of the same place, and flags those of the
/// image.
pub(crate) fn all(flags: &FileFlags, image: &[String]) -> Result<Vec<Wish>> {
    let mut wishes: Vec<Wish> = Vec::new();
    let mut add = |wish: Wish| {
        wishes.retain(|other| other.at != wish.at);
        wishes.push(wish);
    };
    for at in image {
        let wish = anonymous(at).with_context(|| format!("VOLUME {at} of the image"))?;
        add(Wish { words: format!("VOLUME {at} of the image"), ..wish });
    }
    for text in &flags.tmpfs {
        let words = format!("--tmpfs {text}");
        let (at, options) = text.split_once(':').unwrap_or((text, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        let what = What::Tmpfs(options.map(ToOwned::to_owned).collect());
        let at = destination(at).with_context(|| words.clone())?;
        add(Wish { what, at, read_only: false, words });
    }
    for text in &flags.volume {
        let words = format!("-v {text}");
        add(Wish { words: words.clone(), ..of_volume(text).context(words)? });
    }
    for text in &flags.mount {
        let words = format!("--mount {text}");
        add(Wish { words: words.clone(), ..in_words(text).context(words)? });
    }
    Ok(wishes)
}

fn anonymous(at: &str) -> Result<Wish> {
    let what = What::Volume { name: None, copy: true };
    Ok(Wish { what, at: destination(at)?, read_only: false, words: String::new() })
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
    let (mut read_only, mut copy, mut propagation) = (false, true, "rprivate");
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "nocopy" => copy = false,
            "rw" | "z" | "Z" => {} // there is no SELinux label to set
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                propagation = option;
            }
            _ => {
                return Err(anyhow!("unknown option {option:?}"))
                    .hint("the options are ro, rw, nocopy and those of propagation, as rslave");
            }
        }
    }
    let (source, propagation) = (source.to_owned(), propagation.to_owned());
    let what = if source.starts_with(['/', '.', '~']) {
        What::Bind { source, propagation, make: true }
    } else {
        What::Volume { name: Some(source), copy }
    };
    Ok(Wish { what, at: destination(at)?, read_only, words: String::new() })
}

/// `type=bind,source=HOST,target=CONTAINER`.
fn in_words(text: &str) -> Result<Wish> {
    let (mut kind, mut source, mut target) = ("volume", None, None);
    let (mut read_only, mut copy, mut propagation) = (false, true, "rprivate");
    let mut options = Vec::new();
    for word in text.split(',') {
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        let truth = matches!(value, "true" | "1");
        match key {
            "type" => kind = value,
            "source" | "src" => source = Some(value.to_owned()),
            "target" | "destination" | "dst" => target = Some(value),
            "readonly" | "ro" => read_only = truth,
            "bind-propagation" => propagation = value,
            "volume-nocopy" => copy = !truth,
            "tmpfs-size" => options.push(format!("size={}", values::bytes("tmpfs-size", value)?)),
            "tmpfs-mode" => options.push(format!("mode={value}")),
            _ => bail!("unknown word {key:?}"),
        }
    }
    let at = destination(target.context("no target")?)?;
    let propagation = propagation.to_owned();
    let what = match kind {
        "bind" => What::Bind { source: source.context("no source")?, propagation, make: false },
        "volume" => What::Volume { name: source, copy },
        "tmpfs" => What::Tmpfs(options),
        _ => return Err(anyhow!("type {kind}")).hint("the types are bind, volume and tmpfs"),
    };
    Ok(Wish { what, at, read_only, words: String::new() })
}

fn destination(path: &str) -> Result<String> {
    ensure!(path.starts_with('/'), "{path:?} is no absolute path in the container");
    let path = path.trim_end_matches('/');
    ensure!(!path.is_empty(), "the container's / can't be replaced");
    Ok(path.to_owned())
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
        let all = all(&flags(|f| f.volume = vec![text.into()]), &[]);
        all.map(|mut wishes| wishes.remove(0))
    }

    #[test]
    fn source_is_a_path_or_a_volume() {
        let what = |text| volume(text).unwrap().what;
        let bind = |source: &str, propagation: &str| What::Bind {
            source: source.into(),
            propagation: propagation.into(),
            make: true,
        };
        let volume = |name: Option<&str>, copy| What::Volume { name: name.map(Into::into), copy };
        assert_eq!(what("/a:/b"), bind("/a", "rprivate"));
        assert_eq!(what("./c:/d:ro,rslave"), bind("./c", "rslave"));
        assert_eq!(what("~/e:/f:rw,z"), bind("~/e", "rprivate"));
        assert_eq!(what("data:/b"), volume(Some("data"), true));
        assert_eq!(what("data:/b:nocopy"), volume(Some("data"), false));
        assert_eq!(what("/b"), volume(None, true));
    }

    #[test]
    fn mounts_in_words() {
        let text =
            ["type=bind,src=/a,dst=/b,readonly", "type=tmpfs,target=/t,tmpfs-size=1k", "dst=/v"];
        let all = all(&flags(|f| f.mount = text.map(Into::into).into()), &[]).unwrap();
        let [bind, tmpfs, volume] = all.as_slice() else { panic!("{all:?}") };
        assert!(bind.read_only && matches!(&bind.what, What::Bind { make: false, .. }));
        assert_eq!(tmpfs.what, What::Tmpfs(vec!["size=1024".into()]));
        assert_eq!(volume.what, What::Volume { name: None, copy: true });
    }

    #[test]
    fn flags_replace_what_the_image_asks_for() {
        let flags = flags(|f| f.volume = vec!["v:/data/".into()]);
        let all = all(&flags, &["/data".into(), "/log".into()]).unwrap();
        let places: Vec<&str> = all.iter().map(|wish| wish.at.as_str()).collect();
        assert_eq!(places, ["/log", "/data"]);
        assert_eq!(all[1].words, "-v v:/data/");
    }

    #[test]
    fn bad_volumes_are_told() {
        for (text, error) in [
            ("a", "-v a: \"a\" is no absolute path in the container"),
            ("/a:b", "-v /a:b: \"b\" is no absolute path in the container"),
            ("/a:/", "-v /a:/: the container's / can't be replaced"),
            ("/a:/b:x", "-v /a:/b:x: unknown option \"x\""),
            ("/a:/b:ro:x", "-v /a:/b:ro:x: more than two colons"),
        ] {
            assert_eq!(crate::error::chain(&volume(text).unwrap_err()), error);
        }
    }
}
