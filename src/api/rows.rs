//! Tables of records as `show` prints them: with commas or another sign between, as JSON, as XML.

use std::fmt::Write;

/// How a table is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum As {
    /// A line of names, a line per record, the count; with this between two values.
    Delim(String),
    /// `{"row_count":N,"rows":[…]}`.
    Json,
    /// `<result row_count="N">…`.
    Xml,
}

impl Default for As {
    fn default() -> Self {
        As::Delim(",".to_owned())
    }
}

impl As {
    /// What stands behind `as`: `json`, `xml`, `csv` or `delim |`; nothing is commas. An error is what the command answers.
    pub fn read(words: &[&str]) -> Result<As, String> {
        let Some((word, more)) = words.split_first() else { return Ok(As::default()) };
        match word.to_ascii_lowercase().as_str() {
            "json" => Ok(As::Json),
            "xml" => Ok(As::Xml),
            "csv" | "delim" => Ok(As::Delim(more.first().copied().unwrap_or(",").to_owned())),
            _ => Err(format!("-ERR Cannot find format {word}\n")),
        }
    }
}

impl As {
    /// A number of records alone (`show … count`). Elements are closed by name, as `switch_xml_toxml` does.
    pub fn count(&self, count: usize) -> String {
        match self {
            As::Delim(_) => format!("\n{count} total.\n"),
            As::Json => format!("{{\"row_count\":{count},\"rows\":[]}}"),
            As::Xml => format!("<result row_count=\"{count}\"></result>\n"),
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// The records, each with a value per column.
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    /// The table in words; of nothing only the count.
    pub fn print(&self, form: &As) -> String {
        let count = self.rows.len();
        let mut out = String::new();
        match form {
            As::Delim(sign) => {
                if count > 0 {
                    let _ = writeln!(out, "{}", self.columns.join(sign));
                }
                for row in &self.rows {
                    // A record is one line, whatever stands in it.
                    let clean: Vec<String> = row.iter().map(|v| one_line(v)).collect();
                    let _ = writeln!(out, "{}", clean.join(sign));
                }
                let _ = write!(out, "\n{count} total.\n");
            }
            As::Json if count == 0 => out.push_str("{\"row_count\": 0}\n"),
            As::Json => {
                let _ = write!(out, "{{\"row_count\":{count},\"rows\":[");
                for (n, row) in self.rows.iter().enumerate() {
                    out.push_str(if n > 0 { ",{" } else { "{" });
                    for (m, (name, value)) in self.columns.iter().zip(row).enumerate() {
                        let value = serde_json::Value::from(value.as_str());
                        let _ = write!(out, "{}\"{name}\":{value}", if m > 0 { "," } else { "" });
                    }
                    out.push('}');
                }
                out.push_str("]}");
            }
            As::Xml if count == 0 => out.push_str("<result row_count=\"0\"/>\n"),
            As::Xml => {
                let _ = writeln!(out, "<result row_count=\"{count}\">");
                for (n, row) in self.rows.iter().enumerate() {
                    let _ = writeln!(out, "  <row row_id=\"{}\">", n + 1);
                    for (name, value) in self.columns.iter().zip(row) {
                        let _ = writeln!(out, "    <{name}>{}</{name}>", escaped(value));
                    }
                    out.push_str("  </row>\n");
                }
                out.push_str("</result>\n");
            }
        }
        out
    }
}

/// A text that stays in its line and moves no terminal's cursor, whoever wrote it.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text between two tags of XML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_printed_in_every_form() {
        let none = Rows { columns: &["a", "b"], rows: Vec::new() };
        assert_eq!(none.print(&As::default()), "\n0 total.\n");
        assert_eq!(none.print(&As::Json), "{\"row_count\": 0}\n");
        assert_eq!(As::default().count(2), "\n2 total.\n");
        assert_eq!(As::Json.count(2), "{\"row_count\":2,\"rows\":[]}");
        assert_eq!(As::Xml.count(2), "<result row_count=\"2\"></result>\n");
        assert_eq!(none.print(&As::Xml), "<result row_count=\"0\"/>\n");
        let coloured =
            Rows { rows: vec![vec!["a\u{1b}[2J\r\n".to_owned(), "\u{9b}b".to_owned()]], ..none.clone() };
        assert_eq!(coloured.print(&As::Delim("|".to_owned())), "a|b\na [2J  | b\n\n1 total.\n");
        let one = Rows { rows: vec![vec!["x\"\n".to_owned(), "<1>".to_owned()]], ..none };
        assert_eq!(one.print(&As::Delim("|".to_owned())), "a|b\nx\" |<1>\n\n1 total.\n");
        assert_eq!(one.print(&As::Json), r#"{"row_count":1,"rows":[{"a":"x\"\n","b":"<1>"}]}"#);
        let xml = "<result row_count=\"1\">\n  <row row_id=\"1\">\n    <a>x&quot;\n</a>\n    <b>&lt;1&gt;</b>\n  </row>\n</result>\n";
        assert_eq!(one.print(&As::Xml), xml);
    }

    #[test]
    fn the_form_is_read() {
        assert_eq!(As::read(&[]), Ok(As::default()));
        assert_eq!(As::read(&["JSON"]), Ok(As::Json));
        assert_eq!(As::read(&["delim", "|"]), Ok(As::Delim("|".to_owned())));
        assert_eq!(As::read(&["yaml"]), Err("-ERR Cannot find format yaml\n".to_owned()));
    }
}
