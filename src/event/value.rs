//! An event as a value.

use super::lines::Lines;
use super::names::EventName;
use super::write;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::OnceLock;

/// Some header names and values that go into an event, in the order they were added.
pub type Headers = Vec<(Cow<'static, str>, String)>;

/// The header that names a `CUSTOM` event.
pub const SUBCLASS: &str = "Event-Subclass";

/// How an event is written for a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Headers line by line, values percent-encoded.
    #[default]
    Plain,
    /// One object, every value a string.
    Json,
    /// `<event><headers>…`.
    Xml,
}

impl Format {
    /// `plain`, `json` or `xml`, as commands name it.
    pub fn find(word: &str) -> Option<Format> {
        [Format::Plain, Format::Json, Format::Xml].into_iter().find(|f| f.as_str().eq_ignore_ascii_case(word))
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Plain => "plain",
            Format::Json => "json",
            Format::Xml => "xml",
        }
    }
}

/// Something that happened, with its headers in order.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind.
    pub name: EventName,
    /// Grows by one with every event of this process; a gap tells a listener what it lost.
    pub sequence: u64,
    /// Name and value, in the order they were added.
    pub headers: Lines,
    /// Where among them its number goes, until it is there.
    unnumbered: Option<usize>,
    /// What it carries beside its headers.
    pub body: Option<String>,
    /// The frame of each format, once somebody wanted it.
    frames: [OnceLock<Bytes>; 3],
}

impl Event {
    /// An event that has its general headers already; its number is to be filled in at `place`.
    pub(super) fn new(name: EventName, headers: Lines, place: usize, body: Option<String>) -> Event {
        Event { name, sequence: 0, headers, unnumbered: Some(place), body, frames: Default::default() }
    }

    /// It is complete: its number is written, and it holds no more than it needs.
    pub(super) fn settle(&mut self) {
        if let Some(place) = self.unnumbered.take() {
            self.headers.number(place, self.sequence);
            self.headers.settle();
        }
    }

    /// The first value of the header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The subclass of a `CUSTOM` event; empty for others.
    pub fn subclass(&self) -> &str {
        match self.name {
            EventName::Custom("") => self.header(SUBCLASS).unwrap_or(""),
            name => name.subclass(),
        }
    }

    /// The event in that format, without what the event socket puts before it.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Plain => write::plain(self, true),
            Format::Json => write::json(self),
            Format::Xml => write::xml(self),
        }
    }

    /// The same, but plain values stand in brackets and are not encoded (`uuid_dump UUID plain`).
    pub fn readable(&self) -> String {
        write::plain(self, false)
    }

    /// The frame the event socket sends. It is written once, however many want it.
    pub fn frame(&self, format: Format) -> &Bytes {
        let [plain, json, xml] = &self.frames;
        let held = match format {
            Format::Plain => plain,
            Format::Json => json,
            Format::Xml => xml,
        };
        held.get_or_init(|| {
            let text = self.text(format);
            let head =
                format!("Content-Length: {}\nContent-Type: text/event-{}\n\n", text.len(), format.as_str());
            Bytes::from([head, text].concat())
        })
    }

    /// About how many bytes it holds.
    pub(super) fn weight(&self) -> usize {
        size_of::<Event>() + self.headers.weight() + self.body.as_ref().map_or(0, String::len)
    }

    /// About how long it is as a text.
    pub(super) fn length(&self) -> usize {
        self.headers.text_len() + self.headers.len() * 3 + self.body.as_ref().map_or(0, String::len) + 64
    }
}
