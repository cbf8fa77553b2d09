//! One connection: reads requests, answers them in order, sends events and log lines as fast as the peer takes them.
//!
//! All of a client is this one task. What waits to be sent is bounded: beyond [`EVENTS`] no event is taken, beyond
//! [`HIGH_WATER`] no log line and no further request; events wait in the ring meanwhile, and the oldest are lost there.

use super::choice::Choice;
use super::doors::Place;
use super::frame::Inbox;
use super::rights::Rights;
use super::service::Hall;
use super::verbs;
use crate::channel::{Control, Mailbox};
use crate::event::{Ear, Event, EventName, Quiet, SUBCLASS};
use crate::observe::{LogEar, LogLine};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// How much may wait to be sent before nothing more is taken that can wait.
const HIGH_WATER: usize = 256 << 10;
/// The same at the end of a call, whose last events are not to be lost.
const LAST_ROOM: usize = 4 << 20;
/// How many bytes of requests may wait while one is being answered.
const READ_AHEAD: usize = 64 << 10;
/// How much of it events may be, which wait in the ring as well. It is what a client is sent in one turn.
const EVENTS: usize = 64 << 10;
/// How many events are taken from the ring at a time, and how many are looked at in one turn.
const BATCH: usize = 16;
const MOST_LOOKED_AT: usize = 512;
/// How long a client may take to log in, or to say `connect`.
const LOGIN: Duration = Duration::from_secs(25);
/// How long a peer may take nothing of what waits for it.
const STALLED: Duration = Duration::from_secs(600);
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the last notice says.
pub(super) const GOODBYE: &str = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n";

/// What a client waits for before its next request is answered.
pub(super) enum Running {
    /// A command's answer.
    Command(JoinHandle<String>),
    /// The end of an application it wanted.
    Application(oneshot::Receiver<()>),
    /// A while, for who had a wrong password; then the answer and the end.
    Penance(Instant),
}

/// The call a client has to do with.
pub(super) struct Held {
    pub uuid: Arc<str>,
    pub channel: Arc<str>,
    pub mailbox: Mailbox,
    gone: oneshot::Receiver<()>,
    /// It is over, and the client lingers.
    pub over: bool,
    /// How long it may stay when the call is over: not at all, so many seconds, for ever.
    pub linger: Option<Option<u64>>,
    /// The call was handed to the program at the other end.
    pub hands: Option<Hands>,
}

/// How a program holds a call that was handed to it.
pub(super) struct Hands {
    pub is_async: bool,
    pub is_full: bool,
    released: Option<oneshot::Sender<()>>,
}

impl Held {
    pub fn new(uuid: Arc<str>, channel: Arc<str>, mailbox: Mailbox, gone: oneshot::Receiver<()>) -> Held {
        Held { uuid, channel, mailbox, gone, over: false, linger: None, hands: None }
    }
}

/// What waits to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    frames: VecDeque<Bytes>,
    /// How much of the first has been sent.
    sent: usize,
    bytes: usize,
}

impl Outbox {
    pub fn push(&mut self, frame: impl Into<Bytes>) {
        let frame = frame.into();
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// `Reply-Text`, one line whatever is in it.
    pub fn reply(&mut self, text: &str) {
        self.push(format!("Content-Type: command/reply\nReply-Text: {}\n\n", one_line(text)));
    }

    fn sent(&mut self, mut count: usize) {
        self.bytes -= count;
        count += self.sent;
        while let Some(first) = self.frames.front().map(Bytes::len).filter(|first| *first <= count) {
            count -= first;
            self.frames.pop_front();
        }
        self.sent = count;
    }
}

/// A text that stays in its line.
pub(super) fn one_line(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A connection and all that is known of it.
pub(super) struct Client {
    pub hall: Arc<Hall>,
    stream: TcpStream,
    pub peer: SocketAddr,
    pub place: Place,
    pub inbox: Inbox,
    pub out: Outbox,
    /// What it may do; nothing before it has logged in.
    pub rights: Option<Rights>,
    /// Commands before it logged in.
    pub tries: u32,
    pub choice: Choice,
    pub ear: Option<Ear>,
    /// What has just been taken from the ring; empty between two turns.
    batch: Vec<Arc<Event>>,
    pub logs: Option<LogEar>,
    pub running: Option<Running>,
    pub call: Option<Held>,
    bell: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    /// When it has to have done something, or is dismissed.
    pub deadline: Option<Instant>,
    /// The bell was rung: it is this client's turn to be sent events.
    turn: bool,
    /// There are events for it that did not go in its turn.
    behind: bool,
    /// It says nothing more.
    eof: bool,
    /// It is dismissed as soon as all is sent.
    pub ending: bool,
    /// Since when the peer takes nothing.
    stalled: Option<Instant>,
    lost: u64,
}

impl Client {
    /// A client that has to log in.
    pub fn stranger(hall: Arc<Hall>, stream: TcpStream, peer: SocketAddr, place: Place) -> Client {
        let mut client = Client::new(hall, stream, peer, place);
        client.out.push("Content-Type: auth/request\n\n");
        client.deadline = Some(Instant::now() + LOGIN);
        client
    }

    /// A program that a call is handed to.
    pub fn program(hall: Arc<Hall>, stream: TcpStream, place: Place, control: Control) -> Client {
        let peer = stream.peer_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let mut client = Client::new(hall, stream, peer, place);
        let Control { uuid, channel, mailbox, gone, is_async, is_full, released, .. } = control;
        let mut held = Held::new(uuid, channel, mailbox, gone);
        held.hands = Some(Hands { is_async, is_full, released: Some(released) });
        client.call = Some(held);
        client.rights = Some(Rights::default());
        client.inbox.trust();
        client.deadline = Some(Instant::now() + LOGIN);
        client
    }

    fn new(hall: Arc<Hall>, stream: TcpStream, peer: SocketAddr, place: Place) -> Client {
        Client {
            bell: hall.bell(),
            stop: hall.stop.subscribe(),
            hall,
            stream,
            peer,
            place,
            inbox: Inbox::default(),
            out: Outbox::default(),
            rights: None,
            tries: 0,
            choice: Choice::default(),
            ear: None,
            batch: Vec::new(),
            logs: None,
            running: None,
            call: None,
            deadline: None,
            turn: false,
            behind: false,
            eof: false,
            ending: false,
            stalled: None,
            lost: 0,
        }
    }

    /// The whole life of the connection.
    pub async fn run(mut self) {
        if let Err(error) = self.serve().await {
            debug!("event socket {}: {error}", self.peer);
        }
        if self.lost > 0 {
            warn!(
                "event socket {}: {} events were lost for it in all, it read too slowly",
                self.peer, self.lost
            );
        }
        self.release();
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.answer().await;
            if std::mem::take(&mut self.turn) {
                self.behind = (0..MOST_LOOKED_AT / BATCH).all(|_| self.pump(EVENTS));
            }
            self.flush()?;
            let done = self.ending || self.eof && self.running.is_none();
            if done {
                return self.farewell().await;
            }
            if self.behind && self.out.bytes < EVENTS {
                self.hall.more.notify_one();
            }
            self.wait().await?;
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> io::Result<()> {
        let has_room = self.out.bytes < HIGH_WATER;
        // While nothing runs all that is whole has been answered: what is left is a piece of one request.
        let reads = !self.eof && has_room && (self.running.is_none() || self.inbox.len() < READ_AHEAD);
        let limits = [self.deadline, self.stalled.map(|since| since + STALLED)];
        let limit = limits.into_iter().flatten().min();
        let Client { stream, running, logs, bell, stop, call, ear, out, place, .. } = self;
        tokio::select! {
            ready = stream.readable(), if reads => {
                ready?;
                self.read()?;
            }
            ready = stream.writable(), if !out.frames.is_empty() => ready?,
            answer = finished(running), if running.is_some() => self.finish(answer),
            _ = bell.changed(), if ear.is_some() => self.turn = true,
            line = next_line(logs), if logs.is_some() && has_room => self.out.push(frame_of(&line)),
            () = gone(call), if call.as_ref().is_some_and(|call| !call.over) => self.call_is_over(),
            _ = stop.changed() => self.ending = true,
            () = place.dismissed(), if place.is_stranger() => {
                debug!("event socket {}: has not logged in, and others wait at the door; dismissed", self.peer);
                self.ending = true;
            }
            () = at(limit), if limit.is_some() => self.too_late(),
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.eof = true,
            Ok(count) => self.inbox.push(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers what has been said, one request after the other.
    async fn answer(&mut self) {
        while self.running.is_none() && !self.ending && self.out.bytes < HIGH_WATER {
            match self.inbox.next() {
                Ok(Some(request)) => verbs::answer(self, request).await,
                Ok(None) => break,
                Err(refused) => {
                    info!("event socket {}: {refused}; dismissed", self.peer);
                    self.out.reply(&format!("-ERR {refused}"));
                    self.ending = true;
                }
            }
        }
    }

    /// Listens for what is wanted now.
    pub fn listen(&mut self) {
        let names = self.choice.names();
        match (&mut self.ear, names.is_empty()) {
            (_, true) => self.ear = None,
            (Some(ear), false) => ear.want(names),
            (none, false) => {
                let mut ear = self.hall.desk.exchange.events.listen_for(names);
                ear.be_remembered();
                *none = Some(ear);
            }
        }
        self.behind = self.ear.is_some();
    }

    /// Puts some events out if there is room for them; true when there may be more.
    fn pump(&mut self, room: usize) -> bool {
        let Some(ear) = &mut self.ear else { return false };
        if self.out.bytes >= room {
            return true;
        }
        match ear.take(&mut self.batch, BATCH) {
            Ok(()) => {}
            Err(Quiet::Lagged { lost, until }) => {
                self.tell_lost(lost, until);
                return true;
            }
            Err(Quiet::Empty) => return false,
        }
        for event in self.batch.drain(..) {
            if self.choice.wants(&event) && self.rights.as_ref().is_some_and(|r| r.sees(&event)) {
                self.out.push(event.frame(self.choice.format).clone());
            }
        }
        true
    }

    /// Tells the client that it was too slow: so many events were lost, the last of them with the number `until`.
    pub fn tell_lost(&mut self, count: u64, until: u64) {
        if self.lost == 0 {
            warn!("event socket {}: reads too slowly and loses events", self.peer);
        }
        self.lost += count;
        let subclass = "tandem::events_lost";
        let headers = vec![
            (SUBCLASS.into(), subclass.to_owned()),
            ("Lost-Events".into(), count.to_string()),
            ("Lost-Events-Total".into(), self.lost.to_string()),
        ];
        let events = &self.hall.desk.exchange.events;
        let event = events.answer_at(until, EventName::Custom(subclass), headers);
        self.out.push(event.frame(self.choice.format).clone());
    }

    /// Sends what the peer takes without waiting.
    fn flush(&mut self) -> io::Result<()> {
        while !self.out.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let frames = self.out.frames.iter().enumerate();
            let rest = frames.map(|(at, frame)| frame.get(if at == 0 { self.out.sent } else { 0 }..));
            let mut used = 0;
            for (slice, frame) in slices.iter_mut().zip(rest) {
                *slice = IoSlice::new(frame.unwrap_or_default());
                used += 1;
            }
            match self.stream.try_write_vectored(slices.get(..used).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.out.sent(count);
                    self.stalled = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.stalled = None;
        Ok(())
    }

    /// What was waited for has come.
    fn finish(&mut self, answer: Answer) {
        self.running = None;
        match answer {
            Answer::Command(text) => {
                let text = if text.is_empty() { "-ERR no reply\n".to_owned() } else { text };
                let head = format!("Content-Type: api/response\nContent-Length: {}\n\n", text.len());
                self.out.push([head, text].concat());
            }
            Answer::Application => self.out.reply("+OK"),
            Answer::Penance => {
                self.out.reply("-ERR invalid");
                self.ending = true;
            }
        }
    }

    /// The call is over: a client that lingers is told, another dismissed.
    fn call_is_over(&mut self) {
        // What it told last comes before.
        while self.pump(LAST_ROOM) && self.out.bytes < LAST_ROOM {}
        let Some(call) = &mut self.call else { return };
        call.over = true;
        let Some(linger) = call.linger else {
            self.ending = true;
            return;
        };
        let seconds = linger.map_or("-1".to_owned(), |seconds| seconds.to_string());
        let notice = format!(
            "Content-Type: text/disconnect-notice\nControlled-Session-UUID: {}\nContent-Disposition: linger\n\
             Channel-Name: {}\nLinger-Time: {seconds}\nContent-Length: 0\n\n",
            call.uuid,
            one_line(&call.channel)
        );
        self.out.push(notice);
        self.deadline = linger.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    }

    fn too_late(&mut self) {
        if self.rights.is_none() {
            info!("event socket {}: did not log in within {} s", self.peer, LOGIN.as_secs());
        } else if self.stalled.is_some_and(|since| since + STALLED <= Instant::now()) {
            warn!("event socket {}: took nothing for {} s; dismissed", self.peer, STALLED.as_secs());
            self.out = Outbox::default();
        }
        self.deadline = None;
        self.ending = true;
    }

    /// The notice of the end, and all that waits to be sent.
    async fn farewell(&mut self) -> io::Result<()> {
        while self.pump(LAST_ROOM) && self.out.bytes < LAST_ROOM {}
        let of_call = self
            .call
            .as_ref()
            .map(|call| format!("Controlled-Session-UUID: {}\nContent-Disposition: disconnect\n", call.uuid));
        self.out.push(format!(
            "Content-Type: text/disconnect-notice\n{}Content-Length: {}\n\n{GOODBYE}",
            of_call.unwrap_or_default(),
            GOODBYE.len()
        ));
        let all = async {
            loop {
                self.flush()?;
                if self.out.frames.is_empty() {
                    return Ok(());
                }
                self.stream.writable().await?;
            }
        };
        tokio::time::timeout(FAREWELL, all).await.unwrap_or(Ok(()))
    }

    /// Lets go of the call that was handed to it.
    fn release(&mut self) {
        let Some(call) = &mut self.call else { return };
        let Some(released) = call.hands.as_mut().and_then(|hands| hands.released.take()) else { return };
        drop(released);
        let mailbox = call.mailbox.clone();
        // The leg wakes; one that is gone need not.
        tokio::spawn(async move { mailbox.ask(|leg| leg.release()).await });
    }
}

/// What has come of what was running.
enum Answer {
    Command(String),
    Application,
    Penance,
}

async fn finished(running: &mut Option<Running>) -> Answer {
    match running {
        Some(Running::Command(work)) => {
            let said = work.await;
            Answer::Command(said.unwrap_or_else(|_| "-ERR the command failed\n".to_owned()))
        }
        Some(Running::Application(done)) => {
            let _ = done.await;
            Answer::Application
        }
        Some(Running::Penance(until)) => {
            tokio::time::sleep_until((*until).into()).await;
            Answer::Penance
        }
        None => std::future::pending().await,
    }
}

async fn next_line(logs: &mut Option<LogEar>) -> Arc<LogLine> {
    match logs {
        Some(logs) => logs.next().await,
        None => std::future::pending().await,
    }
}

async fn gone(call: &mut Option<Held>) {
    match call {
        Some(call) => drop((&mut call.gone).await),
        None => std::future::pending().await,
    }
}

async fn at(limit: Option<Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit.into()).await,
        None => std::future::pending().await,
    }
}

fn frame_of(line: &LogLine) -> String {
    format!(
        "Content-Type: log/data\nContent-Length: {}\nLog-Level: {}\nText-Channel: 0\nLog-File: {}\nLog-Func: {}\n\
         Log-Line: {}\nUser-Data: {}\n\n{}",
        line.text.len(),
        line.level,
        line.file,
        line.file.trim_end_matches(".rs"),
        line.line,
        line.uuid,
        line.text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_taken_off() {
        let mut out = Outbox::default();
        for text in ["abc", "de", "f"] {
            out.push(text);
        }
        out.sent(4);
        assert_eq!((out.bytes, out.sent, out.frames.len()), (2, 1, 2));
        out.sent(2);
        assert_eq!((out.bytes, out.sent, out.frames.len()), (0, 0, 0));
    }

    #[test]
    fn a_reply_is_one_line() {
        let mut out = Outbox::default();
        out.reply("+OK a\r\nContent-Type: x\n\n");
        assert_eq!(out.frames[0], "Content-Type: command/reply\nReply-Text: +OK a  Content-Type: x\n\n");
    }
}
