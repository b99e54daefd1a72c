//! Where commands write what people and scripts read.
//!
//! Runs in: an ordinary process of the user. Only `main` makes one of the real streams.

use crate::error::Closed;
use anyhow::{Context as _, Result};
use std::io::{self, BufRead, Write};

pub(crate) struct Screen<'a> {
    pub(crate) input: &'a mut dyn BufRead,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

impl Screen<'_> {
    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        let said = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        match said {
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
            said => said.context("write to standard output"),
        }
    }

    /// For people only, and nobody may be there.
    pub(crate) fn note(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).ok();
    }

    /// Whether they are sure; the end of input is a no.
    pub(crate) fn confirm(&mut self, warning: &str) -> Result<bool> {
        self.say(&format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "))?;
        let mut answer = String::new();
        self.input.read_line(&mut answer).context("read the answer from standard input")?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }
}
