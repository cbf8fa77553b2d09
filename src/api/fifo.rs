//! `fifo`, `fifo_member` (mod_fifo.c).

use super::world::World;
use crate::channel::Leg;
use crate::config::fifo::member_id;
use crate::dialplan::{plain, separate};
use crate::store::fifo::{Count, List, Member};
use std::fmt::Write;
use std::time::Duration;

const USAGE: &str = "list|count|has_outbound|importance [<fifo name>]\n";
const MEMBER_USAGE: &str = "-USAGE: add <fifo_name> <originate_string> [<simo_count>] [<timeout>] [<lag>] [<expires>] \
                            [<taking_calls>] | del <fifo_name> <originate_string>\n";

/// `fifo list|count|has_outbound [NAME]`, `fifo importance NAME [NUMBER]`.
pub fn fifo(world: &dyn World, text: &str) -> String {
    let words: Vec<String> = separate(text, ' ', 5).iter().map(|word| plain(word).into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let fifos = &world.stores().fifos;
    let wanted = words.get(1).copied();
    let counts = || {
        let mut counts = fifos.counts();
        counts.retain(|(name, _)| wanted.is_none_or(|wanted| wanted == name));
        counts
    };
    let lines = |line: &dyn Fn(&str, &Count) -> String| {
        let all: String = counts().iter().map(|(name, count)| line(name, count)).collect();
        if all.is_empty() { "none\n".to_owned() } else { all }
    };
    match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("count") => lines(&|name, c| {
            format!("{name}:{}:{}:{}:{}:{}\n", c.consumers, c.callers, c.members, c.calling, c.idle)
        }),
        Some("has_outbound") => lines(&|name, c| format!("{name}:{}\n", u8::from(c.members > 0))),
        Some("importance") => {
            let set = words.get(2).map(|text| text.parse().unwrap_or(0));
            match wanted.and_then(|name| fifos.importance(name, set)) {
                Some(importance) => format!("importance: {importance}\n"),
                None => "no fifo by that name\n".to_owned(),
            }
        }
        Some("list" | "list_verbose") => list(world, &counts()),
        None => USAGE.to_owned(),
        Some(_) => format!("-ERR Usage: {USAGE}"),
    }
}

fn list(world: &dyn World, counts: &[(String, Count)]) -> String {
    let mut queues = String::new();
    for (name, count) in counts {
        // Writing to a String does not fail.
        let _ = write_queue(&mut queues, world, name, count);
    }
    format!("{}\n", element("fifo_report", 0, &queues))
}

/// An element around these, in a line of its own when there are none, as `switch_xml_toxml` writes it.
fn element(name: &str, indent: usize, inside: &str) -> String {
    match inside {
        "" => format!("{:indent$}<{name}></{name}>\n", ""),
        inside => format!("{:indent$}<{name}>\n{inside}{:indent$}</{name}>\n", "", ""),
    }
}

fn write_queue(out: &mut String, world: &dyn World, name: &str, count: &Count) -> std::fmt::Result {
    let Some(List { callers, consumers, members }) = world.stores().fifos.list(name) else { return Ok(()) };
    let now = Leg::now();
    writeln!(
        out,
        "  <fifo name=\"{}\" consumer_count=\"{}\" caller_count=\"{}\" waiting_count=\"{}\" importance=\"{}\" \
         outbound_strategy=\"ringall\">",
        xml(name),
        count.consumers,
        count.callers,
        count.callers,
        count.importance
    )?;
    let mut inside = String::new();
    for member in members {
        writeln!(
            inside,
            "      <member simo=\"{}\" use_count=\"{}\" ring_count=\"{}\" timeout=\"{}\" lag=\"{}\" \
             outbound-call-count=\"{}\" outbound-fail-count=\"{}\" outbound_uuid=\"{}\">{}</member>",
            member.simo,
            member.used,
            member.ringing,
            member.timeout.as_secs(),
            member.lag.as_secs(),
            member.calls,
            member.failures,
            xml(&member.id),
            xml(&plain(&member.url))
        )?;
    }
    out.push_str(&element("outbound", 4, &inside));
    inside.clear();
    for (position, (priority, caller)) in callers.iter().enumerate() {
        let waited = now.saturating_duration_since(caller.since).as_secs();
        writeln!(
            inside,
            "      <caller uuid=\"{}\" status=\"WAITING\" slot=\"{priority}\" position=\"{}\" \
             waiting=\"{waited}\"></caller>",
            caller.uuid,
            position + 1
        )?;
    }
    out.push_str(&element("callers", 4, &inside));
    inside.clear();
    for (uuid, idle) in consumers {
        let status = if idle { "WAITING" } else { "TALKING" };
        writeln!(inside, "      <consumer uuid=\"{uuid}\" status=\"{status}\"></consumer>")?;
    }
    out.push_str(&element("consumers", 4, &inside));
    writeln!(out, "  </fifo>")
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `fifo_member add NAME DIALSTRING [SIMO] [TIMEOUT] [LAG] [EXPIRES] [TAKING_CALLS]`, `fifo_member del NAME DIALSTRING`.
/// What came from the wire stays a word of the dial string.
pub fn fifo_member(world: &dyn World, text: &str) -> String {
    let words = separate(text, ' ', 8);
    let [verb, name, url, rest @ ..] = words.as_slice() else {
        return if text.is_empty() { MEMBER_USAGE } else { "-ERR Invalid!\n" }.to_owned();
    };
    let (name, id, fifos) = (plain(name), member_id(url), &world.stores().fifos);
    let number = |at: usize, usual: u64| match rest.get(at).map(|text| text.parse::<i64>().unwrap_or(0)) {
        Some(number) => u64::try_from(number).unwrap_or(usual).min(86_400 * 365),
        None => usual,
    };
    match verb.to_ascii_lowercase().as_str() {
        "add" => {
            let simo = u32::try_from(number(0, 1)).unwrap_or(u32::MAX);
            let (timeout, lag) = (Duration::from_secs(number(1, 60)), Duration::from_secs(number(2, 5)));
            let expires = rest.get(3).map(|_| Leg::now() + Duration::from_secs(number(3, 0)));
            let member = Member { expires, ..Member::new(&id, url, simo, timeout, lag) };
            match fifos.add_member(&name, member) {
                Ok(()) => "+OK\n".to_owned(),
                Err(full) => format!("-ERR {full}\n"),
            }
        }
        "del" => {
            fifos.remove_member(&name, &id);
            "+OK\n".to_owned()
        }
        _ => "-ERR Invalid!\n".to_owned(),
    }
}
