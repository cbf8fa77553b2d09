//! Log lines in FreeSWITCH's shape, `YYYY-MM-DD HH:MM:SS.uuuuuu [LEVEL] source text`, or as JSON.
//!
//! FreeSWITCH's stock fail2ban filter reads these lines, so the shape is a contract
//! (`switch_log.c`; `sofia_reg.c` names the lines of failed authentication).

use super::feed::Feed;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

/// How a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// FreeSWITCH's lines.
    Text,
    /// One JSON object a line.
    Json,
}

/// The running log: its level can be changed at any time.
pub struct Log {
    set: Box<dyn Fn(LevelFilter) -> bool + Send + Sync>,
    /// As FreeSWITCH counts.
    level: AtomicU8,
    feed: Feed,
}

/// FreeSWITCH's number of a level: 3 (errors) to 7 (debug); what is below debug counts on.
fn number(level: LevelFilter) -> u8 {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 3,
        LevelFilter::WARN => 4,
        LevelFilter::INFO => 6,
        LevelFilter::DEBUG => 7,
        LevelFilter::TRACE => 17,
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Starts logging to standard output. A second start in one process changes nothing.
    pub fn start(format: Format, level: LevelFilter) -> Log {
        let (filter, handle) = reload::Layer::new(level);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stdout);
        let lines = match format {
            Format::Text => lines.event_format(Lines).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        // Its own filter: a program that watches sees what it asked for, whatever the log shows.
        let (feed_filter, feed_handle) = reload::Layer::new(LevelFilter::OFF);
        let (feed, filler) = Feed::new(move |level| drop(feed_handle.modify(|now| *now = level)));
        let _ = tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(filler.with_filter(feed_filter))
            .try_init();
        let set = Box::new(move |level| handle.modify(|now| *now = level).is_ok());
        Log { set, level: number(level).into(), feed }
    }

    /// Logs from now on what is at least as severe as `level`; false when the log is not running.
    pub fn set_level(&self, level: LevelFilter) -> bool {
        self.level.store(number(level), Ordering::Relaxed);
        (self.set)(level)
    }

    /// Where programs get the log's lines.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// The least severe level that is logged, as FreeSWITCH counts.
    pub fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    /// The same, set by FreeSWITCH's number.
    pub fn set(&self, level: u8) -> bool {
        self.set_level(match level {
            0..=3 => LevelFilter::ERROR,
            4 => LevelFilter::WARN,
            5 | 6 => LevelFilter::INFO,
            7 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }
}

/// FreeSWITCH's line.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (_, level) = severity(event);
        let now = jiff::Zoned::now();
        let source = source(event.metadata());
        write!(out, "{} [{level}] {source}", now.strftime("%Y-%m-%d %H:%M:%S.%6f"))?;
        write_fields(&mut out, event)?;
        writeln!(out)
    }
}

/// The field of an event that names a level of FreeSWITCH's which `tracing` does not have; its value is the level's number.
const SEVERITY: &str = "severity";

/// FreeSWITCH's number and word for how severe an event is.
pub(super) fn severity(event: &Event<'_>) -> (u8, &'static str) {
    let meta = event.metadata();
    if meta.fields().field(SEVERITY).is_some() {
        let mut said = Said(None);
        event.record(&mut said);
        match said.0 {
            Some(0) => return (0, "CONSOLE"),
            Some(1) => return (1, "ALERT"),
            Some(2) => return (2, "CRIT"),
            Some(5) => return (5, "NOTICE"),
            _ => {}
        }
    }
    match *meta.level() {
        Level::ERROR => (3, "ERR"),
        Level::WARN => (4, "WARNING"),
        Level::INFO => (6, "INFO"),
        Level::DEBUG => (7, "DEBUG"),
        Level::TRACE => (17, "DEBUG10"),
    }
}

/// Reads [`SEVERITY`].
struct Said(Option<u64>);

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == SEVERITY {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Who speaks, as lines name it.
pub(super) fn source(meta: &Metadata<'static>) -> &'static str {
    meta.target().strip_prefix("tandem::").unwrap_or(meta.target())
}

/// What is said, with a blank before it.
pub(super) fn write_fields(out: &mut dyn fmt::Write, event: &Event<'_>) -> fmt::Result {
    let mut fields = Fields { out, result: Ok(()) };
    event.record(&mut fields);
    fields.result
}

/// Writes the message plainly and every other field as `name=value`, control characters escaped so that
/// nothing from the wire can forge a line. Line feeds stay: SIP traces have many lines, each indented.
struct Fields<'a> {
    out: &'a mut dyn fmt::Write,
    result: fmt::Result,
}

impl Fields<'_> {
    fn text(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '\n' => self.out.write_str("\n    ")?,
                '\r' => {}
                '\t' => self.out.write_char('\t')?,
                c if c.is_control() => write!(self.out, "{}", c.escape_default())?,
                c => self.out.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_err() || field.name() == SEVERITY {
            return;
        }
        let text = format!("{value:?}");
        self.result = if field.name() == "message" {
            self.out.write_char(' ').and_then(|()| self.text(&text))
        } else {
            write!(self.out, " {}=", field.name()).and_then(|()| self.text(&text))
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
