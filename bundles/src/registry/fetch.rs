//! A file of any web server, for `ADD`.
//!
//! Runs in: an ordinary process of the user.

use super::http::{self, Verify};
use super::session::Options;
use crate::digest::{Digest, Hashing};
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use std::fs::File;
use std::io;
use std::time::SystemTime;

/// Writes it to a file; returns its digest, and when it was changed if the server knows.
pub(crate) fn fetch(url: &str, to: &mut File) -> Result<(Digest, Option<SystemTime>)> {
    let host = url.split('/').nth(2).unwrap_or_default();
    let verify = if url.starts_with("https:") { Verify::Yes } else { Verify::No };
    let agent = http::agent(host, verify, &Options::default())?;
    let answer = agent.get(url).call();
    let mut answer = answer
        .map_err(|err| anyhow!("GET {url}: {err}"))
        .hint("is there a network, and does this host reach it? files of the context need none")?;
    let status = answer.status();
    if !status.is_success() {
        return Err(anyhow!("GET {url}: {status}")).hint("look at the address");
    }
    let header = answer.headers().get("last-modified").and_then(|value| value.to_str().ok());
    let modified = header.and_then(httpdate);
    let mut hashing = Hashing::new(to);
    io::copy(&mut answer.body_mut().as_reader(), &mut hashing)
        .with_context(|| format!("GET {url}"))?;
    Ok((hashing.finish().0, modified))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send: RFC 9110, 5.6.7.
fn httpdate(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_whitespace().skip(1);
    let day: u8 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = 1 + MONTHS.iter().position(|month| *month == name)?;
    let year: u16 = words.next()?.parse().ok()?;
    humantime::parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T{}Z", words.next()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers() {
        let time = httpdate("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(humantime::format_rfc3339(time).to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(httpdate("now"), None);
    }
}
