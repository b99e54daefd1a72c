//! Who we are at which registry: auth.json, Docker's config.json, and their helpers.
//!
//! Runs in: an ordinary process of the user.
//!
//! Sources: containers-auth.json(5), `docker login`, and the protocol of docker-credential-helpers.

use super::{DOCKER_HUB, config_home};
use crate::called::Name;
use crate::error::OrHint as _;
use crate::home::replace;
use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Under which Docker keeps the login of its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// `--config`: what `$DOCKER_CONFIG` is to a whole process, and an environment cannot be changed.
static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Password {
        user: String,
        password: String,
    },
    /// For which the registry's server gives tokens.
    Token(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) secret: Secret,
    /// The file or the helper, for errors.
    pub(crate) from: String,
}

/// One file; what is not known here is kept.
#[derive(Debug)]
struct File {
    path: PathBuf,
    content: Map<String, Value>,
}

/// Of a helper, in its own spelling.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// Takes logins from `config.json` there, before all other files. Only the first call counts.
pub(crate) fn look_in(dir: &Path) {
    CHOSEN.set(dir.to_owned()).ok(); // there is one call, of main
}

/// The login for a repository: the first file that has one, in it the longest beginning.
pub(crate) fn find(registry: &str, path: &str) -> Result<Option<Login>> {
    for file in places() {
        let file = File::read(&file)?;
        if let Some(login) = file.login(registry, path)? {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

/// The files that are there, all of which can be read.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let present: Vec<PathBuf> = places().into_iter().filter(|path| path.exists()).collect();
    for path in &present {
        let file = File::read(path)?;
        let auths = file.content.get("auths").and_then(Value::as_object);
        for entry in auths.into_iter().flat_map(Map::values) {
            file.entry(entry)?;
        }
    }
    Ok(present)
}

/// Writes down a login. Returns where it is now.
pub(crate) fn store(registry: &str, user: &str, password: &str) -> Result<String> {
    let path = own()?;
    let mut file = File::read(&path)?;
    if let Some(helper) = file.helper(registry) {
        let kept = json!({"ServerURL": key(registry), "Username": user, "Secret": password});
        run(&helper, "store", &kept.to_string())?;
        return Ok(format!("docker-credential-{helper}"));
    }
    let pair = STANDARD.encode(format!("{user}:{password}"));
    file.auths_mut()?.insert(key(registry).to_owned(), json!({"auth": pair}));
    file.write()?;
    Ok(path.display().to_string())
}

/// Removes a login. Returns whether there was one, and another file that has one still.
pub(crate) fn erase(registry: &str) -> Result<(bool, Option<String>)> {
    let path = own()?;
    let mut file = File::read(&path)?;
    let mut had = false;
    if let Some(helper) = file.helper(registry) {
        had = ask(&helper, key(registry))?.is_some();
        if had {
            run(&helper, "erase", key(registry))?;
        }
    }
    let names = names(registry);
    let auths = file.auths_mut()?;
    let before = auths.len();
    auths.retain(|name, _| !names.contains(name));
    if auths.len() != before {
        file.write()?;
        had = true;
    }
    Ok((had, find(registry, "")?.map(|login| login.from)))
}

fn named(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Docker's file: of `--config`, of `$DOCKER_CONFIG`, or the user's own for who calls us by that name.
fn of_docker() -> Option<PathBuf> {
    let own =
        || named("HOME").filter(|_| Name::this() == Name::Docker).map(|home| home.join(".docker"));
    let dir = CHOSEN.get().cloned().or_else(|| named("DOCKER_CONFIG")).or_else(own);
    dir.map(|dir| dir.join("config.json"))
}

/// `$REGISTRY_AUTH_FILE`, which holds for podman and skopeo, too.
fn of_variable() -> Option<PathBuf> {
    named("REGISTRY_AUTH_FILE").filter(|_| CHOSEN.get().is_none())
}

/// What `login` and `logout` change: the file that was named, or auth.json of the user, which podman
/// and skopeo read too.
fn own() -> Result<PathBuf> {
    let config = || config_home().map(|dir| dir.join("containers/auth.json"));
    of_variable()
        .or_else(of_docker)
        .or_else(config)
        .context("neither $XDG_CONFIG_HOME nor $HOME is a directory")
        .hint("name a file in $REGISTRY_AUTH_FILE")
}

/// In the order of asking.
fn places() -> Vec<PathBuf> {
    if let Some(chosen) = of_variable() {
        return vec![chosen];
    }
    let first = of_docker();
    // podman's, until the user logs out of the machine.
    let uid = nix::unistd::geteuid();
    let run = named("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let run = run.or_else(|| Some(PathBuf::from(format!("/run/containers/{uid}/auth.json"))));
    let config = config_home().map(|dir| dir.join("containers/auth.json"));
    let home = named("HOME").map(|home| home.join(".docker/config.json"));
    let last = home.filter(|_| first.is_none());
    [first, run, config, last].into_iter().flatten().collect()
}

/// As which a registry is written down.
fn key(registry: &str) -> &str {
    if registry == DOCKER_HUB { HUB_KEY } else { registry }
}

/// As which it may have been written down, by programs and versions.
fn names(registry: &str) -> Vec<String> {
    let mut hosts = vec![registry];
    if registry == DOCKER_HUB {
        hosts.extend(["index.docker.io", "registry-1.docker.io"]);
    }
    let forms = |host: &&str| {
        ["", "https://", "http://"]
            .into_iter()
            .flat_map(|scheme| ["", "/", "/v1/", "/v2/"].map(|end| format!("{scheme}{host}{end}")))
            .collect::<Vec<_>>()
    };
    hosts.iter().flat_map(forms).collect()
}

impl File {
    fn read(path: &Path) -> Result<Self> {
        let content = match fs::read(path) {
            Ok(text) if text.trim_ascii().is_empty() => Map::new(),
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => Map::new(),
            // Root's own, seen from a user namespace.
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => Map::new(),
            Err(err) => return Err(err).with_context(|| path.display().to_string()),
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Only the owner may read it, and nobody sees the half of it.
    fn write(&self) -> Result<()> {
        if let Some(dir) = self.path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.with_context(|| format!("mkdir({})", dir.display()))?;
        }
        let mut text = serde_json::to_vec_pretty(&self.content).context("logins")?;
        text.push(b'\n');
        // A link to the file stays one.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        replace(&path, &text)
    }

    fn auths_mut(&mut self) -> Result<&mut Map<String, Value>> {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        let path = self.path.display();
        auths.as_object_mut().with_context(|| format!("{path}: auths is no object"))
    }

    /// The program that keeps logins for this file.
    fn helper(&self, registry: &str) -> Option<String> {
        let helpers = self.content.get("credHelpers").and_then(Value::as_object);
        let one = helpers.and_then(|all| names(registry).iter().find_map(|name| all.get(name)));
        let named = one.or_else(|| self.content.get("credsStore")).and_then(Value::as_str);
        named.filter(|name| !name.is_empty()).map(str::to_owned)
    }

    fn login(&self, registry: &str, path: &str) -> Result<Option<Login>> {
        if let Some(helper) = self.helper(registry)
            && let Some(login) = ask(&helper, key(registry))?
        {
            return Ok(Some(login));
        }
        let Some(auths) = self.content.get("auths").and_then(Value::as_object) else {
            return Ok(None);
        };
        // Of a repository, of those above it, of the registry.
        let mut full = format!("{registry}/{path}");
        while full.len() > registry.len() {
            if let Some(found) = auths.get(&full).and_then(|entry| self.entry(entry).transpose()) {
                return found.map(Some);
            }
            full.truncate(full.rfind('/').unwrap_or(0));
        }
        let known = names(registry);
        let found = known.iter().filter_map(|name| auths.get(name));
        found.filter_map(|entry| self.entry(entry).transpose()).next().transpose()
    }

    /// `None` for an empty one: Docker writes it when a helper has the login.
    fn entry(&self, entry: &Value) -> Result<Option<Login>> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let from = self.path.display().to_string();
        if !text("identitytoken").is_empty() {
            let secret = Secret::Token(text("identitytoken").to_owned());
            return Ok(Some(Login { secret, from }));
        }
        if text("auth").is_empty() {
            return Ok(None);
        }
        let pair = STANDARD.decode(text("auth").trim()).ok();
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
        let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
        let (user, password) = pair
            .with_context(|| format!("{from}: \"auth\" is not user:password in base64"))
            .hint("log in again: bundles login REGISTRY")?;
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(Login { secret: Secret::Password { user: user.to_owned(), password }, from }))
    }
}

fn ask(helper: &str, key: &str) -> Result<Option<Login>> {
    let Some(text) = run(helper, "get", key)? else { return Ok(None) };
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|err| anyhow!("docker-credential-{helper} get: its answer: {err}"))?;
    let secret = match kept.username.as_str() {
        "<token>" => Secret::Token(kept.secret),
        _ => Secret::Password { user: kept.username, password: kept.secret },
    };
    Ok(Some(Login { secret, from: format!("docker-credential-{helper}") }))
}

/// Calls `docker-credential-HELPER`. `None` if it knows no such login.
fn run(helper: &str, verb: &str, input: &str) -> Result<Option<String>> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        bail!("credential helper {helper:?}: a name without / is expected");
    }
    let piped = || Stdio::piped();
    let mut command = Command::new(&program);
    let started = command.arg(verb).stdin(piped()).stdout(piped()).stderr(piped()).spawn();
    let mut child = match started {
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return Err(anyhow!("{program}: executable file not found in $PATH"))
                .hint("install it, or take it out of credsStore and credHelpers");
        }
        started => started.with_context(|| program.clone())?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).ok(); // what it says afterwards counts
    }
    let done = child.wait_with_output().with_context(|| program.clone())?;
    let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    if done.status.success() {
        return Ok(Some(said));
    }
    let complaint = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    let text = if said.is_empty() { complaint } else { said };
    if text.contains("credentials not found") {
        return Ok(None);
    }
    let first = text.lines().next().unwrap_or("no reason given").to_owned();
    Err(anyhow!("{program} {verb}: {first}"))
        .hint(format!("try it by hand: echo {input:.60} | {program} {verb}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Value) -> File {
        let content = content.as_object().unwrap().clone();
        File { path: PathBuf::from("auth.json"), content }
    }

    fn user(file: &File, registry: &str, path: &str) -> Option<String> {
        file.login(registry, path).unwrap().map(|login| match login.secret {
            Secret::Password { user, password } => format!("{user}/{password}"),
            Secret::Token(token) => token,
        })
    }

    #[test]
    fn longest_beginning_of_the_name_wins() {
        let auth = |pair: &str| json!({"auth": STANDARD.encode(pair)});
        let file = file(json!({"auths": {
            "r.io": auth("all:1:2"), "r.io/team": auth("team:x"), "r.io/team/app": auth("app:y"),
            "https://index.docker.io/v1/": auth("hub:z"), "t.io": {"identitytoken": "tok"},
            "empty.io": {},
        }}));
        assert_eq!(user(&file, "r.io", "a/b").unwrap(), "all/1:2");
        assert_eq!(user(&file, "r.io", "team/b").unwrap(), "team/x");
        assert_eq!(user(&file, "r.io", "team/app").unwrap(), "app/y");
        assert_eq!(user(&file, "r.io", "teamwork").unwrap(), "all/1:2");
        assert_eq!(user(&file, "docker.io", "library/x").unwrap(), "hub/z");
        assert_eq!(user(&file, "t.io", "x").unwrap(), "tok");
        assert_eq!(user(&file, "empty.io", "x"), None);
        assert_eq!(user(&file, "other.io", "x"), None);
    }

    #[test]
    fn damaged_login_is_told_with_its_file() {
        let file = file(json!({"auths": {"r.io": {"auth": "!!"}}}));
        let err = file.login("r.io", "x").unwrap_err();
        let wanted = "auth.json: \"auth\" is not user:password in base64";
        assert_eq!(crate::error::chain(&err), wanted);
    }

    #[test]
    fn helper_of_a_registry_comes_before_the_common_one() {
        let file = file(json!({"credsStore": "all", "credHelpers": {"r.io": "one"}}));
        assert_eq!(file.helper("r.io").unwrap(), "one");
        assert_eq!(file.helper("x.io").unwrap(), "all");
    }
}
