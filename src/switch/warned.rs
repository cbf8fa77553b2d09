//! What the last load of the configuration warned of, so that a reload tells what is new alone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::config::{Problem, Severity};

/// How many new warnings of a reload are logged one by one; the rest is counted.
const TOLD: usize = 20;

/// The warnings of a load. One that has only moved to another line of its file is the same.
#[derive(Default)]
pub(super) struct Warned(HashMap<u64, usize>);

impl Warned {
    /// Those among `problems`.
    pub fn of(problems: &[Problem]) -> Warned {
        let mut counts = HashMap::new();
        for problem in warnings(problems) {
            *counts.entry(key(problem)).or_default() += 1;
        }
        Warned(counts)
    }

    /// What is to be logged about the next load: the first new warnings with their places, and how many more there are.
    pub fn news(&self, problems: &[Problem]) -> Vec<String> {
        let mut left = self.0.clone();
        let mut new = warnings(problems).filter(|problem| match left.get_mut(&key(problem)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        let mut lines: Vec<String> = new.by_ref().take(TOLD).map(ToString::to_string).collect();
        let more = new.count();
        if more > 0 {
            lines.push(format!("{more} more new warnings; tandem check names them all"));
        }
        lines
    }
}

fn warnings(problems: &[Problem]) -> impl Iterator<Item = &Problem> {
    problems.iter().filter(|problem| problem.severity == Severity::Warning)
}

fn key(problem: &Problem) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&problem.at.source.path, &problem.message, &problem.hint).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;

    fn warning(line: u32, message: &str) -> Problem {
        Problem::warning(&Position::new("conf/a.xml", line, 3), message)
    }

    #[test]
    fn only_what_is_new_is_told() {
        let warned = Warned::of(&[warning(1, "old"), warning(2, "twice")]);
        let moved = [warning(5, "old"), warning(6, "twice")];
        assert_eq!(warned.news(&moved), Vec::<String>::new());
        let note = Problem::note(&Position::new("conf/a.xml", 1, 1), "a note");
        let next = [warning(5, "old"), warning(6, "twice"), warning(7, "twice"), warning(8, "new"), note];
        assert_eq!(warned.news(&next), ["conf/a.xml:7:3: warning: twice", "conf/a.xml:8:3: warning: new"]);
        assert_eq!(Warned::of(&next).news(&next), Vec::<String>::new(), "told once");
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<Problem> = (0..1000).map(|n| warning(n, &format!("problem {n}"))).collect();
        let told = Warned::default().news(&many);
        assert_eq!(told.len(), TOLD + 1);
        assert_eq!(told.last().unwrap(), "980 more new warnings; tandem check names them all");
        assert_eq!(Warned::default().news(&many[..TOLD]).len(), TOLD);
    }
}
