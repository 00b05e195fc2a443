//! What a gateway's access log has written.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use prox::middleware::AccessLog;

use crate::wait::eventually;

/// An output for an access log, kept in memory; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

/// One line.
#[derive(Clone, PartialEq, Eq)]
pub struct Line(String);

impl Log {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer that writes here.
    pub fn layer(&self) -> AccessLog {
        AccessLog::json().writer(self.clone())
    }

    /// The lines so far.
    pub fn so_far(&self) -> Vec<Line> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(|line| Line(line.to_owned())).collect()
    }

    /// Waits until there are so many lines.
    ///
    /// # Panics
    ///
    /// When there are more.
    pub async fn lines(&self, count: usize) -> Vec<Line> {
        let what = format!("{count} lines of the access log");
        eventually(&what, || self.so_far().len() >= count).await;
        let lines = self.so_far();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// Waits for the only line.
    ///
    /// # Panics
    ///
    /// When there are more.
    pub async fn line(&self) -> Line {
        self.lines(1).await.remove(0)
    }

    /// Forgets what was written.
    pub fn clear(&self) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clear();
    }
}

impl Line {
    /// A field, as it is written; text without its quotes.
    pub fn field(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.split_once(&format!("\"{name}\":"))?;
        if let Some(text) = value.strip_prefix('"') {
            let mut escaped = false;
            let end = text.find(|char| {
                let ends = char == '"' && !escaped;
                escaped = char == '\\' && !escaped;
                ends
            });
            return text.get(..end?);
        }
        value.split([',', '}']).next()
    }

    /// The status; 0 when there was none.
    pub fn status(&self) -> u16 {
        self.field("status")
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }

    /// The name of the failure.
    pub fn error_type(&self) -> Option<&str> {
        self.field("error_type")
    }

    /// Whether the response was not sent to its end.
    pub fn is_aborted(&self) -> bool {
        self.field("aborted") == Some("true")
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_with_and_without_quotes() {
        let line = Line(r#"{"path":"/a\"b","status":499,"aborted":true}"#.to_owned());
        assert_eq!(line.field("path"), Some(r#"/a\"b"#));
        assert_eq!((line.status(), line.is_aborted()), (499, true));
        assert_eq!(line.error_type(), None);
    }
}
