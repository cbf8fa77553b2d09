//! Where something was written: file, line, column, and by which includes the file came in.

use std::fmt;
use std::sync::Arc;

/// One reading of one file. A file included twice is two sources, for its include chains differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as a user would type it: the configuration folder as given, then the way inside it.
    pub path: Box<str>,
    /// The directive that included this file; `None` for the root file.
    pub included_at: Option<Position>,
}

/// A place in a configuration file. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub source: Arc<Source>,
    /// Line, counted from 1; 0 when the problem is with the file as a whole.
    pub line: u32,
    /// Column in characters, counted from 1; 0 when the problem is with the whole line or file.
    pub column: u32,
}

impl Position {
    /// A place in a file that nothing included.
    pub fn new(file: &str, line: u32, column: u32) -> Self {
        Position { source: Arc::new(Source { path: file.into(), included_at: None }), line, column }
    }

    /// The file's path as shown to users.
    pub fn file(&self) -> &str {
        &self.source.path
    }

    /// The include directives that led here, innermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Position> {
        std::iter::successors(self.source.included_at.as_ref(), |p| p.source.included_at.as_ref())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
