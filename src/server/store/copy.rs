//! Rows in the form of Postgres' binary `copy`: the cheapest way in for rows that are new.

use chrono::{DateTime, Utc};

/// What a binary `copy` begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: [u8; 2] = (-1i16).to_be_bytes();
/// Microseconds from 1970, where chrono counts from, to 2000, where Postgres does.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The version of `jsonb` on the wire, before its text.
const JSONB: u8 = 1;

/// Rows for `copy … from stdin (format binary)`. Each begins with [`CopyRows::begin`] and then has its fields in the order of the
/// statement's columns.
#[derive(Debug)]
pub(super) struct CopyRows(Vec<u8>);

impl CopyRows {
    /// No rows, with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut rows = Vec::with_capacity(bytes);
        rows.extend_from_slice(HEADER);
        Self(rows)
    }

    /// Begins a row of so many fields.
    pub(super) fn begin(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    /// A `text`.
    pub(super) fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.field(&[], text.as_bytes()),
            None => self.null(),
        }
    }

    /// A `jsonb`, from its text.
    pub(super) fn jsonb(&mut self, json: Option<&str>) {
        match json {
            Some(json) => self.field(&[JSONB], json.as_bytes()),
            None => self.null(),
        }
    }

    /// An `integer`.
    pub(super) fn integer(&mut self, number: Option<i32>) {
        match number {
            Some(number) => self.field(&[], &number.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A `bigint`.
    pub(super) fn bigint(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.field(&[], &number.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A `timestamptz`.
    pub(super) fn time(&mut self, time: Option<DateTime<Utc>>) {
        self.bigint(time.map(|time| time.timestamp_micros() - POSTGRES_EPOCH));
    }

    /// The bytes to send.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&TRAILER);
        self.0
    }

    fn null(&mut self) {
        self.0.extend_from_slice(&(-1i32).to_be_bytes());
    }

    fn field(&mut self, prefix: &[u8], bytes: &[u8]) {
        // What a client may send is a thousandth of what this number holds.
        let length = i32::try_from(prefix.len() + bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(prefix);
        self.0.extend_from_slice(bytes);
    }
}
