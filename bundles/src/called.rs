//! The name that this program was called by. Under those of `docker` and `podman` it answers as
//! scripts expect of them.
//!
//! Runs in: anywhere. Touches nothing.

use std::ffi::OsStr;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Bundles,
    Docker,
    Podman,
}

/// Versions of the programs whose behaviour is ours, for scripts that ask for a newer one than some.
macro_rules! docker {
    () => {
        "20.10.24"
    };
}
macro_rules! podman {
    () => {
        "4.3.1"
    };
}
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Where others have the commit that they were built from.
pub(crate) const BUILD: &str = concat!("bundles-", env!("CARGO_PKG_VERSION"));

impl Name {
    /// By the first word of a command line.
    pub(crate) fn of(word: Option<&OsStr>) -> Self {
        let name = word.and_then(|word| Path::new(word).file_name());
        match name.and_then(OsStr::to_str) {
            Some("docker") => Self::Docker,
            Some("podman") => Self::Podman,
            _ => Self::Bundles,
        }
    }

    pub(crate) fn this() -> Self {
        Self::of(std::env::args_os().next().as_deref())
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Bundles => "bundles",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Bundles => OWN,
            Self::Docker => docker!(),
            Self::Podman => podman!(),
        }
    }

    /// What `--version` says behind the name that [`Name::title`] is.
    pub(crate) fn version_line(self) -> &'static str {
        match self {
            Self::Bundles => OWN,
            Self::Docker => {
                concat!("version ", docker!(), ", build bundles-", env!("CARGO_PKG_VERSION"))
            }
            Self::Podman => concat!("version ", podman!()),
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Bundles | Self::Podman => self.program(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        for (word, name) in [
            ("docker", Name::Docker),
            ("/usr/local/bin/podman", Name::Podman),
            ("./bundles", Name::Bundles),
            ("docker/x", Name::Bundles),
            ("", Name::Bundles),
        ] {
            assert_eq!(Name::of(Some(OsStr::new(word))), name, "{word}");
        }
        assert_eq!(Name::of(None), Name::Bundles);
    }
}
