//! One who watches a user: subscribes, answers each NOTIFY, and remembers what it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tandem::net::{DatagramSocket, Sockets};
use tandem::sip::digest::{Credentials, ha1};
use tandem::sip::{Builder, Flow, Limits, Message, Method, Name};
use tokio::sync::mpsc;

use crate::net::receive;
use crate::office::{DOMAIN, Office, PASSWORD, switch_address};

/// One NOTIFY, its copies counted.
#[derive(Clone, Debug)]
pub struct Told {
    pub cseq: u32,
    pub at: tokio::time::Instant,
    /// Subscription-State.
    pub state: String,
    pub body: String,
    pub copies: u32,
}

pub struct Watcher {
    socket: Arc<dyn DatagramSocket>,
    task: tokio::task::JoinHandle<()>,
    told: Arc<Mutex<Vec<Told>>>,
    answers: mpsc::UnboundedReceiver<Message>,
    watched: String,
    event: &'static str,
    name: String,
    cseq: u32,
    tag: Option<String>,
}

impl Watcher {
    /// One at this address, who has not asked for anything.
    pub fn new(office: &Office, at: SocketAddr, watched: &str, event: &'static str) -> Watcher {
        let socket: Arc<dyn DatagramSocket> = office.net.bind_udp(at).expect("a free address");
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let (answered, answers) = mpsc::unbounded_channel();
        let task = tokio::spawn(hear(socket.clone(), told.clone(), answered));
        let name = format!("w{}", at.to_string().replace([':', '.'], "-"));
        Watcher { socket, task, told, answers, watched: watched.to_owned(), event, name, cseq: 0, tag: None }
    }

    /// SUBSCRIBE for so many seconds, logging in when asked to; the final status.
    pub async fn subscribe(&mut self, expires: u32) -> u16 {
        let answer = self.ask(expires, None).await;
        let answer = match answer.status() {
            Some(407) => {
                let (_, challenge) = answer.challenges().next().expect("a challenge");
                let challenge = challenge.expect("a good one");
                let ha1 = ha1(challenge.algorithm().unwrap(), "1000", challenge.realm(), PASSWORD);
                let uri = self.uri();
                let login = Credentials::answer(&challenge, "1000", &ha1, "SUBSCRIBE", &uri, "c", 1).unwrap();
                self.ask(expires, Some(login.to_string())).await
            }
            _ => answer,
        };
        if answer.status() == Some(200) {
            self.tag = answer.to_tag().map(str::to_owned);
        }
        answer.status().unwrap_or(0)
    }

    fn uri(&self) -> String {
        format!("sip:{}@{DOMAIN}", self.watched)
    }

    /// Sends a SUBSCRIBE again and again until it has a final answer.
    async fn ask(&mut self, expires: u32, login: Option<String>) -> Message {
        self.cseq += 1;
        let (uri, local, name, cseq) = (self.uri(), self.socket.local_addr(), &self.name, self.cseq);
        let tag = self.tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let bytes = Builder::request(&Method::Subscribe, &uri.parse().unwrap())
            .header(Name::Via, format!("SIP/2.0/UDP {local};rport;branch=z9hG4bK{name}.{cseq}"))
            .header(Name::MaxForwards, 70)
            .header(Name::From, format!("<sip:1000@{DOMAIN}>;tag={name}"))
            .header(Name::To, format!("<{uri}>{tag}"))
            .header(Name::CallId, name)
            .header(Name::CSeq, format!("{cseq} SUBSCRIBE"))
            .header(Name::Contact, format!("<sip:1000@{local}>"))
            .header(Name::Event, self.event)
            .header(Name::Expires, expires)
            .header_opt(Name::ProxyAuthorization, login)
            .finish();
        for _ in 0..11 {
            self.socket.try_send_to(&bytes, switch_address()).unwrap();
            let until = tokio::time::Instant::now() + Duration::from_millis(1500);
            while let Ok(Some(answer)) = tokio::time::timeout_at(until, self.answers.recv()).await {
                if answer.cseq().number == cseq && answer.status().is_some_and(|s| s >= 200) {
                    return answer;
                }
            }
        }
        panic!("{name}: a SUBSCRIBE is not answered");
    }

    /// What it has been told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The last that it was told.
    pub fn last(&self) -> Told {
        self.told().last().cloned().expect("it was told something")
    }

    /// It is switched off.
    pub async fn vanish(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn hear(
    socket: Arc<dyn DatagramSocket>,
    told: Arc<Mutex<Vec<Told>>>,
    answered: mpsc::UnboundedSender<Message>,
) {
    let flow = Flow::udp(socket.local_addr(), switch_address());
    loop {
        let (datagram, from) = receive(&*socket).await;
        assert_eq!(from, switch_address());
        let message = Message::parse(Bytes::from(datagram), &Limits::default()).expect("good messages");
        if !message.is_request() {
            let _ = answered.send(message);
            continue;
        }
        assert_eq!(*message.method(), Method::Notify, "{message:?}");
        let answer = Builder::response(&message, &flow, 200, "OK").finish();
        socket.try_send_to(&answer, switch_address()).unwrap();
        let (mut told, cseq) = (told.lock().unwrap(), message.cseq().number);
        match told.iter_mut().find(|t| t.cseq == cseq) {
            Some(known) => known.copies += 1,
            None => told.push(Told {
                cseq,
                at: tokio::time::Instant::now(),
                state: message.header(Name::SubscriptionState).expect("it must be there").to_owned(),
                body: String::from_utf8_lossy(message.body()).into_owned(),
                copies: 0,
            }),
        }
    }
}

impl Told {
    /// The states of the dialogs it tells.
    pub fn states(&self) -> Vec<&str> {
        self.body.split("<state>").skip(1).filter_map(|rest| Some(rest.split_once('<')?.0)).collect()
    }

    /// The version of a dialog-info.
    pub fn version(&self) -> u32 {
        let rest = self.body.split_once("dialog-info\" version=\"").expect("a version").1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    }

    /// The note of a PIDF.
    pub fn note(&self) -> &str {
        let rest = self.body.split_once("<dm:note>").expect("a note").1;
        rest.split_once('<').unwrap().0
    }
}
