//! The log: what others send stands in it, and must neither begin lines of its own nor steer the terminal that shows it (ASVS V16).

use std::io::{self, Write};

/// Writes each event of the log as one line, with control characters written out.
#[derive(Debug)]
pub struct LogLines<W>(pub W);

impl<W: Write> Write for LogLines<W> {
    /// Takes a whole event: that is how `tracing_subscriber` writes them.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut safe = String::with_capacity(text.len() + 1);
        for character in line.chars() {
            // Characters that turn the direction of writing hide what a line says as well.
            if character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                safe.extend(character.escape_default());
            } else {
                safe.push(character);
            }
        }
        safe.push('\n');
        self.0.write_all(safe.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut written = Vec::new();
        let event = "INFO a\r\nERROR forged \u{1b}[2J\u{202e}\u{7}\t\u{9b}ü\n";
        assert_eq!(LogLines(&mut written).write(event.as_bytes()).unwrap(), event.len());
        assert_eq!(String::from_utf8(written).unwrap(), "INFO a\\r\\nERROR forged \\u{1b}[2J\\u{202e}\\u{7}\\t\\u{9b}ü\n");
    }
}
