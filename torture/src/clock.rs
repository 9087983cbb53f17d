//! The server's clock, which can be wrong.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

const SOURCE: &str = include_str!("clock.c");

/// A clock that a program shows who loads [`Clock::library`].
#[derive(Debug)]
pub(crate) struct Clock {
    /// What is to be loaded first (`LD_PRELOAD`).
    pub(crate) library: PathBuf,
    /// What tells it by how much it is wrong (`TORTURE_CLOCK`).
    pub(crate) file: PathBuf,
}

impl Clock {
    /// Builds it in a directory, with `cc`.
    ///
    /// # Errors
    /// There is no compiler, or it fails.
    pub(crate) fn build(directory: &Path) -> anyhow::Result<Self> {
        let (source, library, file) = (directory.join("clock.c"), directory.join("clock.so"), directory.join("clock"));
        fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]);
        let built = compiler.status().context("a C compiler (cc) is needed for a clock that can be wrong")?;
        ensure!(built.success(), "cc failed");
        let this = Self { library, file };
        fs::write(&this.file, 0i64.to_ne_bytes())?;
        Ok(this)
    }

    /// Makes it wrong by so many seconds, from now on.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn set(&self, seconds: i64) -> anyhow::Result<()> {
        // In place: the program has it mapped, and would end if it were shorter for a moment.
        fs::OpenOptions::new().write(true).open(&self.file)?.write_all_at(&seconds.to_ne_bytes(), 0)?;
        Ok(())
    }
}
