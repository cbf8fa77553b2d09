//! `fifo.conf`: queues and their members.

use super::element::{Element, configuration};
use super::problem::Problem;
use md5::{Digest, Md5};
use std::time::Duration;

/// The least seconds a member is rung.
const LEAST_RING: u64 = 10;

/// The typed view of `fifo.conf`.
#[derive(Clone, Debug, Default)]
pub struct FifoConf {
    /// In the order of the file.
    pub fifos: Vec<Fifo>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Its name.
    pub name: String,
    /// Among several of a consumer, the more important one is served first.
    pub importance: u32,
    /// So many members are called at a time; 0: all.
    pub per_cycle: usize,
    /// How much longer a member is left alone that did not answer.
    pub retry_delay: Duration,
    /// What members see before the caller's name; with `=` in front, instead of it.
    pub outbound_name: Option<String>,
    /// Who is called when callers wait.
    pub members: Vec<FifoMember>,
}

/// A member of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FifoMember {
    /// `fifo_outbound_uuid` of the dial string, else its MD5.
    pub id: String,
    /// The dial string.
    pub url: String,
    /// Calls at a time.
    pub simo: u32,
    /// How long it is rung.
    pub timeout: Duration,
    /// How long it is left alone after a call.
    pub lag: Duration,
}

/// What names a member whose dial string this is.
pub fn member_id(url: &str) -> String {
    const NAMED: &str = "fifo_outbound_uuid=";
    match url.to_ascii_lowercase().find(NAMED).and_then(|at| url.get(at + NAMED.len()..)) {
        Some(rest) => rest.split([',', '}', ']', '>']).next().unwrap_or("").to_owned(),
        None => Md5::digest(url.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

impl FifoConf {
    /// Reads `fifo.conf` out of the tree.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> FifoConf {
        let fifos = configuration(root, "fifo.conf").and_then(|conf| conf.child("fifos"));
        let read = |element: &Element| Fifo::read(element, problems);
        FifoConf {
            fifos: fifos.into_iter().flat_map(|f| f.children_named("fifo")).filter_map(read).collect(),
        }
    }
}

impl Fifo {
    fn read(element: &Element, problems: &mut Vec<Problem>) -> Option<Fifo> {
        let Some(name) = element.attr("name").filter(|name| !name.is_empty()) else {
            problems.push(
                Problem::warning(&element.at, "<fifo> has no name, so nobody can wait in it")
                    .hint("write <fifo name=\"sales@$${domain}\">"),
            );
            return None;
        };
        if element.attr("outbound_strategy").is_some_and(|strategy| !strategy.eq_ignore_ascii_case("ringall"))
        {
            problems.push(
                Problem::warning(
                    element.attr_at("outbound_strategy"),
                    "outbound_strategy: only ringall is provided, and taken",
                )
                .hint("outbound_per_cycle says how many members are called for a caller"),
            );
        }
        let mut number = |of: &Element, name: &str, usual: u64| number(of, name, usual, problems);
        let importance = number(element, "importance", 0);
        let per_cycle = number(element, "outbound_per_cycle", 1);
        let retry_delay = number(element, "retry_delay", 0);
        let ring = number(element, "outbound_ring_timeout", 60).max(LEAST_RING);
        let members = element
            .children_named("member")
            .filter(|member| !member.text.trim().is_empty())
            .map(|member| {
                let url = member.text.trim().to_owned();
                let timeout = number(member, "timeout", 60);
                FifoMember {
                    id: member_id(&url),
                    url,
                    simo: u32::try_from(number(member, "simo", 1)).unwrap_or(u32::MAX),
                    timeout: Duration::from_secs(if timeout < LEAST_RING { ring } else { timeout }),
                    lag: Duration::from_secs(number(member, "lag", 10)),
                }
            })
            .collect();
        Some(Fifo {
            name: name.to_owned(),
            importance: u32::try_from(importance).unwrap_or(u32::MAX),
            per_cycle: usize::try_from(per_cycle).unwrap_or(usize::MAX),
            retry_delay: Duration::from_secs(retry_delay),
            outbound_name: element.attr("outbound_name").map(str::to_owned),
            members,
        })
    }
}

/// A number, at most a day's seconds.
fn number(of: &Element, name: &str, usual: u64, problems: &mut Vec<Problem>) -> u64 {
    let Some(text) = of.attr(name) else { return usual };
    match text.trim().parse::<u64>() {
        Ok(number) => number.min(86_400),
        Err(_) => {
            problems.push(
                Problem::warning(
                    of.attr_at(name),
                    format!("{name}=\"{text}\" is no number; {usual} is taken"),
                )
                .hint("write a number"),
            );
            usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::{Options, parse};
    use super::*;

    #[test]
    fn queues_and_members() {
        let text = r#"<document type="freeswitch/xml"><section name="configuration"><configuration name="fifo.conf">
          <fifos>
            <fifo name="a@x" importance="3" outbound_per_cycle="0" retry_delay="5" outbound_name="Sales">
              <member timeout="20" simo="2" lag="7">{member_wait=nowait}user/1005@x</member>
              <member timeout="3">{fifo_outbound_uuid=desk}user/1006@x</member>
              <member> </member>
            </fifo>
            <fifo name="b@x" importance="much"/>
            <fifo importance="1"/>
            <fifo name="c@x" outbound_strategy="enterprise"/>
          </fifos></configuration></section></document>"#;
        let loaded = parse("freeswitch.xml", text, &Options::new("/nowhere"));
        let mut problems = Vec::new();
        let conf = FifoConf::read(&loaded.root, &mut problems);
        assert_eq!(problems.len(), 3, "{problems:?}");
        let [a, b, c] = conf.fifos.as_slice() else { panic!("{conf:?}") };
        assert_eq!((a.importance, a.per_cycle, a.retry_delay.as_secs()), (3, 0, 5));
        let [first, desk] = a.members.as_slice() else { panic!("{a:?}") };
        assert_eq!((first.simo, first.timeout.as_secs(), first.lag.as_secs()), (2, 20, 7));
        assert_eq!(first.id, "ea6c7694a5f9da21770ae92a16cbdaf4");
        assert_eq!((desk.id.as_str(), desk.timeout.as_secs(), desk.simo), ("desk", 60, 1));
        assert_eq!((b.importance, b.per_cycle, c.members.len()), (0, 1, 0));
    }
}
