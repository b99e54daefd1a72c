//! Where commands write what people and scripts read.
//!
//! Runs in: an ordinary process of the user. Only `main` makes one of the real streams.

use crate::error::Closed;
use anyhow::{Context as _, Result, ensure};
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

    /// Asks before something is removed, unless they want that by `force`; the end of input is a no.
    pub(crate) fn confirm(&mut self, force: bool, warning: &str) -> Result<()> {
        if force {
            return Ok(());
        }
        self.say(&format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "))?;
        let mut answer = String::new();
        self.input.read_line(&mut answer).context("read the answer from standard input")?;
        let is_sure = matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES");
        ensure!(is_sure, "nothing was removed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails as a pipe or a full disk does.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(kind: io::ErrorKind) -> String {
        let (input, out, err) = (&mut io::empty(), &mut Broken(kind), &mut io::sink());
        crate::error::report(&Screen { input, out, err }.say("x").unwrap_err())
    }

    #[test]
    fn closed_pipe_is_not_told() {
        assert_eq!(said(io::ErrorKind::BrokenPipe), "");
        assert!(
            said(io::ErrorKind::StorageFull).starts_with("bundles: write to standard output: ")
        );
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in
            [("y\n", true), ("yes\n", true), ("\n", false), ("", false), ("no\n", false)]
        {
            let (mut input, mut out) = (answer.as_bytes(), Vec::new());
            let mut screen = Screen { input: &mut input, out: &mut out, err: &mut io::sink() };
            let confirmed = screen.confirm(false, "All goes.").map_err(|err| err.to_string());
            let refused = || "nothing was removed".to_owned();
            assert_eq!(confirmed, yes.then_some(()).ok_or_else(refused), "{answer:?}");
            assert!(String::from_utf8(out).unwrap().starts_with("WARNING! All goes.\n"));
        }
    }

    #[test]
    fn whoever_forces_is_not_asked() {
        let (mut input, mut out) = (&b"n\n"[..], Vec::new());
        let mut screen = Screen { input: &mut input, out: &mut out, err: &mut io::sink() };
        screen.confirm(true, "All goes.").unwrap();
        assert!(out.is_empty());
    }
}
