//! A name server on the virtual network.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, Record, Rtype, Ttl};
use domain::rdata::{A, Srv};
use tandem::net::Sockets;

use crate::net::{SimNet, receive};
use crate::office::NAME_SERVER;

/// Its zone; clones are the same one.
#[derive(Clone, Default)]
pub struct Zone(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    addresses: HashMap<String, Vec<Ipv4Addr>>,
    services: HashMap<String, Vec<(u16, u16, String)>>,
    asked: u32,
}

impl Zone {
    pub fn a(&self, name: &str, addresses: &[[u8; 4]]) {
        let all = addresses.iter().map(|a| Ipv4Addr::from(*a)).collect();
        self.0.lock().unwrap().addresses.insert(name.to_owned(), all);
    }

    /// SRV records: priority, port, target.
    pub fn srv(&self, name: &str, services: &[(u16, u16, &str)]) {
        let all = services.iter().map(|(p, port, t)| (*p, *port, (*t).to_owned())).collect();
        self.0.lock().unwrap().services.insert(name.to_owned(), all);
    }

    /// How often SRV was asked for.
    pub fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }

    /// Serves until the task is ended.
    pub fn serve(&self, net: &SimNet) -> tokio::task::JoinHandle<()> {
        let at: SocketAddr = NAME_SERVER.parse().unwrap();
        let socket = net.bind_udp(at).unwrap();
        let zone = self.clone();
        tokio::spawn(async move {
            loop {
                let (query, from) = receive(&*socket).await;
                let answer = zone.answer(&query);
                socket.try_send_to(&answer, from).unwrap();
            }
        })
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let mut zone = self.0.lock().unwrap();
        let query = Message::from_octets(query).expect("a query");
        let question = query.sole_question().expect("a question");
        let owner: Name<Vec<u8>> = Name::vec_from_str(&question.qname().to_string()).expect("a name");
        let name = owner.to_string().trim_end_matches('.').to_owned();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).expect("room");
        let ttl = Ttl::from_secs(60);
        match question.qtype() {
            Rtype::A => {
                for ip in zone.addresses.get(&name).into_iter().flatten() {
                    answer.push(Record::new(owner.clone(), Class::IN, ttl, A::new(*ip))).unwrap();
                }
            }
            Rtype::SRV => {
                zone.asked += 1;
                for (priority, port, target) in zone.services.get(&name).into_iter().flatten() {
                    let target: Name<Vec<u8>> = Name::vec_from_str(target).unwrap();
                    let srv = Srv::new(*priority, 0, *port, target);
                    answer.push(Record::new(owner.clone(), Class::IN, ttl, srv)).unwrap();
                }
            }
            _ => {}
        }
        answer.finish()
    }
}
