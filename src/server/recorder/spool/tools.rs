//! What can be done with a spool while no server uses it: looked through, written out, and filled.
//!
//! A line is a [`TaskEvent`] as the spool keeps it, so that what was exported can be imported, here or into another spool.

use std::{
    fmt,
    io::{BufRead, Write},
    path::Path,
};

use anyhow::Context;
use rusqlite::{Connection, Row};
use taskscope_wire::TaskEvent;

use super::{FILE, encode, insert, open};
use crate::server::redact::Redactor;

/// Events that an import puts into one batch: as many as the recorder writes together.
const BATCH: usize = 1000;
/// Flaws of the file that are told at the most.
const MOST_FLAWS: usize = 20;

/// A spool that no server uses.
#[derive(Debug)]
pub struct SpoolFile(Connection);

/// What a look through a spool has found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Batches of events that wait.
    pub batches: u64,
    /// Events that can be read.
    pub events: u64,
    /// Bytes of all lines.
    pub bytes: u64,
    /// What is wrong, each with its place. Nothing of it keeps a server from starting: it buries what it can't read, with the reason.
    pub flaws: Vec<String>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, events, bytes, flaws } = self;
        for flaw in flaws {
            writeln!(f, "{flaw}")?;
        }
        write!(f, "{events} events in {batches} batches wait for the database, {bytes} bytes")
    }
}

/// A batch as it is in the file.
struct Stored {
    id: i64,
    count: u64,
    bytes: u64,
    lines: String,
}

impl SpoolFile {
    /// Opens the spool in a directory, which makes it where there is none.
    ///
    /// # Errors
    /// The file is no spool.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(FILE);
        Ok(Self(open(&path).with_context(|| format!("{} can't be opened", path.display()))?))
    }

    /// Looks at every page and every event, in as much memory as one batch and what is told of flaws take.
    ///
    /// # Errors
    /// The file can't be read any further.
    pub fn verify(&self) -> anyhow::Result<Findings> {
        let mut findings = Findings { flaws: self.damage()?, ..Findings::default() };
        self.each(|Stored { id, count, bytes, lines }| {
            findings.batches += 1;
            findings.bytes += lines.len() as u64;
            if bytes != lines.len() as u64 {
                findings.flaws.push(format!("batch {id} has {} bytes, and {bytes} are noted", lines.len()));
            }
            if count != lines.lines().count() as u64 {
                findings.flaws.push(format!("batch {id} has {} events, and {count} are noted", lines.lines().count()));
            }
            for (number, line) in lines.lines().enumerate() {
                match serde_json::from_str::<TaskEvent>(line) {
                    Ok(_) => findings.events += 1,
                    Err(error) => findings.flaws.push(format!("batch {id}, line {}: no event: {error}", number + 1)),
                }
            }
            Ok(())
        })?;
        Ok(findings)
    }

    /// Writes all events without their secrets, one a line, oldest first; their number. Lines that are no events are written, too.
    ///
    /// # Errors
    /// The file can't be read any further, or what is written to refuses more.
    pub fn export(&self, redactor: &Redactor, mut to: impl Write) -> anyhow::Result<u64> {
        let mut written = 0;
        self.each(|batch| {
            for line in batch.lines.lines() {
                writeln!(to, "{}", redactor.line(line))?;
                written += 1;
            }
            Ok(())
        })?;
        to.flush()?;
        Ok(written)
    }

    /// Appends events without their secrets, one a line, after those that wait: all of them, or none; their number.
    ///
    /// # Errors
    /// A line is no event, which is named, or the disk is full.
    pub fn import(&mut self, redactor: &Redactor, from: impl BufRead) -> anyhow::Result<u64> {
        let transaction = self.0.transaction()?;
        let (mut events, mut imported) = (Vec::with_capacity(BATCH), 0);
        let append = |events: &mut Vec<TaskEvent>| -> anyhow::Result<()> {
            redactor.events(events);
            insert(&transaction, &encode(events)?, events.len() as u64)?;
            events.clear();
            Ok(())
        };
        for (number, line) in from.lines().enumerate() {
            let line = line.with_context(|| format!("line {} can't be read", number + 1))?;
            if line.trim().is_empty() {
                continue;
            }
            let event =
                serde_json::from_str(&line).with_context(|| format!("line {} is no event; nothing was imported", number + 1))?;
            events.push(event);
            imported += 1;
            if events.len() == BATCH {
                append(&mut events)?;
            }
        }
        if !events.is_empty() {
            append(&mut events)?;
        }
        transaction.commit()?;
        Ok(imported)
    }

    /// What SQLite finds wrong with the file's pages.
    fn damage(&self) -> anyhow::Result<Vec<String>> {
        let mut statement = self.0.prepare(&format!("pragma integrity_check({MOST_FLAWS})"))?;
        let flaws: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(flaws.into_iter().filter(|flaw| flaw != "ok").map(|flaw| format!("the file is damaged: {flaw}")).collect())
    }

    /// Calls for each batch, oldest first.
    fn each(&self, mut call: impl FnMut(Stored) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let stored = |row: &Row<'_>| Ok(Stored { id: row.get(0)?, count: row.get(1)?, bytes: row.get(2)?, lines: row.get(3)? });
        let mut statement = self.0.prepare("select id, count, bytes, lines from batches order by id")?;
        for batch in statement.query_map([], stored)? {
            call(batch.context("the spool can't be read any further")?)?;
        }
        Ok(())
    }
}
