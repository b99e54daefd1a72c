//! What a registry gets to see when it asks who we are: a password, or a token for it.
//!
//! Runs in: an ordinary process of the user.
//!
//! Sources: RFC 9110 (section 11), and "Token Authentication Specification" of distribution.

use super::credentials::{Login, Secret};
use super::http::{self, Verify};
use super::session::{Failure, Right, Session};
use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

/// Of an answer with a token, in bytes.
const LONGEST_TOKEN: u64 = 256 * 1024;

#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The header `Authorization` that the registry wants. `None` if we have nothing to show.
pub(super) fn answer<'a>(
    session: &Session,
    challenges: impl Iterator<Item = &'a str>,
) -> Result<Option<String>, Failure> {
    match challenges.filter_map(parse).next() {
        Some(Challenge::Basic) => Ok(session.login.as_ref().and_then(basic)),
        Some(Challenge::Bearer { realm, service, scope: asked }) => {
            // Who pushes has his token for all that will be asked, not a new one at each step.
            let own = asked.is_none() || session.right == Right::Push;
            let own = if own { session.scopes.as_slice() } else { &[] };
            let scopes = merged(
                asked.iter().flat_map(|text| text.split(' ')).chain(own.iter().map(String::as_str)),
            );
            token(session, &realm, service.as_deref(), &scopes).map(Some)
        }
        None => Ok(None),
    }
}

/// `None` for a token, which cannot be shown so.
fn basic(login: &Login) -> Option<String> {
    match &login.secret {
        Secret::Password { user, password } => {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        }
        Secret::Token(_) => None,
    }
}

/// Each thing once, with all that is to be done to it.
fn merged<'a>(scopes: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for scope in scopes.filter(|scope| !scope.is_empty()) {
        let (thing, deeds) = scope.rsplit_once(':').unwrap_or((scope, ""));
        all.entry(thing).or_default().extend(deeds.split(','));
    }
    let text = |(thing, deeds): (&str, BTreeSet<&str>)| {
        format!("{thing}:{}", deeds.into_iter().collect::<Vec<_>>().join(","))
    };
    all.into_iter().map(text).collect()
}

fn token(
    session: &Session,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
    }
    let registry = &session.endpoint.registry;
    let place = realm.strip_prefix("https://").or_else(|| {
        // A password would be seen by all on the way.
        realm.strip_prefix("http://").filter(|_| session.endpoint.insecure)
    });
    let host = place
        .with_context(|| format!("{registry}: gives tokens at {realm:?}, which is not https"))?;
    let host = host.split(['/', '?']).next().unwrap_or(host);
    let verify = if session.endpoint.insecure { Verify::No } else { Verify::Yes };
    let other = match host == registry {
        true => None,
        false => Some(http::agent(host, verify, &session.options)?),
    };
    let agent = other.as_ref().unwrap_or(&session.agent);
    let of = service.map(|service| ("service", service)).into_iter();
    let answer = match session.login.as_ref().map(|login| &login.secret) {
        Some(Secret::Token(token)) => {
            let known = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            let client = [("client_id", "bundles")];
            let scope = scopes.join(" ");
            let scope = Some(("scope", scope.as_str())).filter(|(_, scope)| !scope.is_empty());
            agent.post(realm).send_form(known.into_iter().chain(client).chain(of).chain(scope))
        }
        Some(Secret::Password { .. }) | None => {
            let each = scopes.iter().map(|scope| ("scope", scope.as_str()));
            let mut request = agent.get(realm).query_pairs(of.chain(each));
            if let Some(shown) = session.login.as_ref().and_then(basic) {
                request = request.header("Authorization", shown);
            }
            request.call()
        }
    };
    let mut answer = answer.map_err(|err| session.broken(err))?;
    if answer.status() != 200 {
        return Err(session.refused(&mut answer, ""));
    }
    let mut text = String::new();
    let read = answer.body_mut().as_reader().take(LONGEST_TOKEN).read_to_string(&mut text);
    read.map_err(|err| session.broken(err.into()))?;
    let answer: Answer =
        serde_json::from_str(&text).with_context(|| format!("{host}: no token in its answer"))?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    match token.is_empty() {
        true => Err(anyhow!("{host}: no token in its answer").into()),
        false => Ok(format!("Bearer {token}")),
    }
}

/// The parameters may be quoted; a comma inside of quotes is none between two of them.
fn parse(header: &str) -> Option<Challenge> {
    let (scheme, mut rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        let value = Some(value.to_owned());
        match name.trim().to_ascii_lowercase().as_str() {
            "realm" => realm = value,
            "service" => service = value,
            "scope" => scope = value,
            _ => {}
        }
        rest = after.trim_start_matches([',', ' ']);
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_asked_for_once_each() {
        let asked = ["repository:b:pull", "repository:h:5000/a:push", "", "repository:b:push,pull"];
        let wanted = ["repository:b:pull,push", "repository:h:5000/a:push"];
        assert_eq!(merged(asked.into_iter()), wanted);
    }

    #[test]
    fn challenges_are_told_apart() {
        assert_eq!(parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(parse("Negotiate"), None);
        assert_eq!(parse("Bearer service=\"x\""), None);
        let full = "Bearer realm=\"https://a/t\",service=\"s\", scope=\"repository:a/b:pull,push\"";
        let wanted = |service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: "https://a/t".to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        assert_eq!(parse(full), wanted(Some("s"), Some("repository:a/b:pull,push")));
        assert_eq!(parse("bearer realm=https://a/t,error=x"), wanted(None, None));
        assert_eq!(parse("Bearer realm=\"https://a/t"), None);
    }
}
