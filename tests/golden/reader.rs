//! What commands say to the letter: one file per scene, lines and answers as on a console.
//!
//! ```text
//! # a remark
//! > uuid_exists AAA
//! true\
//! > uuid_kill NOBODY
//! -ERR No such channel!
//! ```
//!
//! An answer is all lines up to the next `>`. It ends with a line feed unless its last line ends with `\`. `AAA`, `BBB`,
//! `NOBODY` and `HOST` are names of the scene; `{n}` is a number, `{uuid}` a uuid, `{*}` anything in one line, `{**}`
//! anything. The texts are FreeSWITCH's (mod_commands.c, mod_sofia.c, mod_hash.c, …) but where a remark says otherwise.

use fancy_regex::Regex;

/// A command line and what is said to it.
#[derive(Clone, Debug)]
pub struct Row {
    pub line: String,
    pub answer: String,
}

impl Row {
    /// The command's name.
    pub fn name(&self) -> &str {
        self.line.split(' ').next().unwrap_or("")
    }

    /// The row with the scene's names in the place of `AAA`, ….
    pub fn named(&self, names: &[(&str, &str)]) -> Row {
        let named =
            |text: &str| names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        Row { line: named(&self.line), answer: named(&self.answer) }
    }

    /// Whether this is what must be said.
    pub fn fits(&self, said: &str) -> bool {
        const HOLES: [(&str, &str); 4] = [
            (r"\{n\}", r"-?\d+(\.\d+)?"),
            (r"\{uuid\}", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
            (r"\{\*\*\}", r"[\s\S]*"),
            (r"\{\*\}", r"[^\n]*"),
        ];
        let pattern = fancy_regex::escape(&self.answer).into_owned();
        let pattern = HOLES.iter().fold(pattern, |pattern, (hole, fill)| pattern.replace(hole, fill));
        Regex::new(&format!(r"\A{pattern}\z")).expect("a pattern").is_match(said).expect("a short pattern")
    }
}

/// The rows of a file.
pub fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        match (line.strip_prefix("> "), rows.last_mut()) {
            (Some(line), _) => rows.push(Row { line: line.to_owned(), answer: String::new() }),
            (None, Some(row)) => row.answer.extend([line, "\n"]),
            (None, None) => panic!("{line}: an answer to nothing"),
        }
    }
    for row in &mut rows {
        assert!(row.answer.ends_with('\n'), "{}: no answer", row.line);
        if row.answer.ends_with("\\\n") {
            row.answer.truncate(row.answer.len() - 2);
        }
    }
    rows
}

/// A line and its answer as they stand in a file.
pub fn written(line: &str, said: &str) -> String {
    match said.strip_suffix('\n') {
        Some(said) => format!("> {line}\n{said}\n"),
        None => format!("> {line}\n{said}\\\n"),
    }
}

/// Compares what was said with what must be said, and shows all that differs.
pub fn compare(said: &[(Row, String)]) {
    let wrong: Vec<String> = said
        .iter()
        .filter(|(row, said)| !row.fits(said))
        .map(|(row, said)| {
            format!("{}# must be\n{}", written(&row.line, said), written(&row.line, &row.answer))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows differ\n{}", wrong.len(), said.len(), wrong.join("\n"));
}

#[test]
fn an_answer_is_read_and_compared() {
    let read = rows("# what\n> a b\nx {n}\n\n> c\nno {uuid}\\\n");
    assert_eq!((read[0].line.as_str(), read[0].answer.as_str()), ("a b", "x {n}\n\n"));
    assert_eq!((read[1].name(), read[1].answer.as_str()), ("c", "no {uuid}"));
    for (said, fits) in [("x 12\n\n", true), ("x 12.5\n\n", true), ("x 12\n", false), ("x y\n\n", false)] {
        assert_eq!(read[0].fits(said), fits, "{said:?}");
    }
    assert!(read[1].fits("no aaaaaaaa-0000-4000-8000-000000000001"));
    assert_eq!(rows(&written("c", "x")).len(), 1);
}
