//! `login` and `logout`.
//!
//! Runs in: an ordinary process of the user.

use crate::cli::pull::{Login, Logout};
use crate::error::{self, OrHint as _};
use crate::registry::credentials::{self, Secret};
use crate::registry::{DOCKER_HUB, Endpoint, Registries, Session};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal as _};

pub(crate) fn login(args: &Login, screen: &mut Screen<'_>) -> Result<()> {
    let registry = host(args.host.as_deref())?;
    if args.password.is_some() {
        screen.note(
            "warning: others see the password in lists of processes; --password-stdin hides it\n",
        );
    }
    if args.username.is_none()
        && args.password.is_none()
        && !args.password_stdin
        && let Some(known) = credentials::find(&registry, "")?
    {
        let from = error::plain(&known.from);
        match check(&registry, known, args) {
            Ok(()) => {
                screen.note(&format!("by the login that is kept in {from}\n"));
                return screen.say("Login Succeeded\n");
            }
            Err(err) => {
                screen.note(&format!("login in {from}: {}\n", error::plain(&error::chain(&err))));
            }
        }
    }
    let user = match &args.username {
        Some(user) => user.clone(),
        None if args.password_stdin => {
            return Err(anyhow!("login: --password-stdin without a user name"))
                .hint("name the user with -u");
        }
        None => answer(screen, "Username: ")?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None if args.password_stdin => line(screen)?,
        None => hidden(screen)?,
    };
    ensure!(!user.is_empty() && !user.contains(':'), "login: no user name: {user:?}");
    ensure!(!password.is_empty(), "login: the password is empty");
    let secret = Secret::Password { user: user.clone(), password: password.clone() };
    let shown = credentials::Login { secret, from: "what was typed".to_owned() };
    check(&registry, shown, args).with_context(|| format!("login {registry}"))?;
    let place = credentials::store(&registry, &user, &password)?;
    screen.note(&format!("kept in {place}\n"));
    screen.say("Login Succeeded\n")
}

fn check(registry: &str, shown: credentials::Login, args: &Login) -> Result<()> {
    let insecure = args.registry.insecure || Registries::read()?.is_insecure(registry);
    let endpoint = Endpoint { registry: registry.to_owned(), path: String::new(), insecure };
    Session::open(&endpoint, Some(shown), &args.registry.options())?.check()
}

pub(crate) fn logout(args: &Logout, screen: &mut Screen<'_>) -> Result<()> {
    let registry = host(args.host.as_deref())?;
    let (had, other) = credentials::erase(&registry)?;
    if let Some(other) = other {
        screen.note(&format!("warning: {other} has a login for {registry} still\n"));
    }
    if had {
        return screen.say(&format!("Removing login credentials for {registry}\n"));
    }
    screen.say(&format!("Not logged in to {registry}\n"))
}

/// What people type may be a URL, or a name of Docker's own registry.
fn host(typed: Option<&str>) -> Result<String> {
    let typed = typed.unwrap_or(DOCKER_HUB);
    let host = typed.split_once("://").map_or(typed, |(_, host)| host);
    let host = host.split('/').next().unwrap_or(host);
    let hub = matches!(host, "index.docker.io" | "registry-1.docker.io");
    let host = if hub { DOCKER_HUB } else { host };
    // The grammar of names knows what a registry is.
    let name = crate::reference::Reference::parse(&format!("{host}/x"));
    match name {
        Ok(name) if name.registry == host => Ok(host.to_owned()),
        Ok(_) | Err(_) => Err(anyhow!("registry {typed:?}: no name of a host"))
            .hint("write it as in names of images: HOST or HOST:PORT"),
    }
}

fn answer(screen: &mut Screen<'_>, question: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        return Err(anyhow!("login: no terminal to ask for the user name and the password"))
            .hint("type: bundles login -u USER --password-stdin REGISTRY");
    }
    screen.note(question);
    line(screen)
}

fn line(screen: &mut Screen<'_>) -> Result<String> {
    let mut text = String::new();
    screen.input.read_line(&mut text).context("read from standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Does not show what is typed.
fn hidden(screen: &mut Screen<'_>) -> Result<String> {
    let stdin = io::stdin();
    let usual = match stdin.is_terminal() {
        true => Some(tcgetattr(&stdin).context("tcgetattr(0)")?),
        false => None,
    };
    if let Some(usual) = &usual {
        let mut dark = usual.clone();
        dark.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &dark).context("tcsetattr(0)")?;
    }
    let typed = answer(screen, "Password: ");
    if let Some(usual) = &usual {
        screen.note("\n");
        tcsetattr(&stdin, OptionalActions::Flush, usual).context("tcsetattr(0)")?;
    }
    typed
}
