//! What is wrong with a configuration, where, and what would be right.

use std::fmt;

use super::position::Position;

/// How bad a [`Problem`] is. `Error` sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used as it is; `check` exits 1 and `reloadxml` keeps the running one.
    Error,
    /// It works, but surely not as the writer means.
    Warning,
    /// Worth knowing; nothing to repair.
    Note,
}

/// One finding about the configuration.
///
/// `{}` prints one line in the form compilers use, `file:line:col: message; hint`; `{:#}` adds a line for each
/// include that led to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub at: Position,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Problem {
    /// An error at `at`.
    pub fn error(at: &Position, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, at: at.clone(), message: message.into(), hint: None }
    }

    /// A warning at `at`.
    pub fn warning(at: &Position, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(at, message) }
    }

    /// A note at `at`.
    pub fn note(at: &Position, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Note, ..Problem::error(at, message) }
    }

    /// Adds what would be right.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// True for [`Severity::Error`].
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
            Severity::Note => f.write_str("note: ")?,
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        if f.alternate() {
            for at in self.at.chain() {
                write!(f, "\n    included from {at}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::position::Source;
    use super::*;

    #[test]
    fn prints_like_a_compiler_with_the_include_chain_on_request() {
        let root = Position::new("conf/freeswitch.xml", 24, 5);
        let inner = Arc::new(Source { path: "conf/dialplan/default.xml".into(), included_at: Some(root) });
        let at = Position { source: inner, line: 57, column: 9 };
        let p = Problem::error(&at, "<condition> has no expression").hint("add expression=\"…\"");
        assert_eq!(
            p.to_string(),
            "conf/dialplan/default.xml:57:9: <condition> has no expression; add expression=\"…\""
        );
        let w = Problem::warning(&at, "odd");
        assert_eq!(
            format!("{w:#}"),
            "conf/dialplan/default.xml:57:9: warning: odd\n    included from conf/freeswitch.xml:24:5"
        );
    }
}
