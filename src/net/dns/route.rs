//! RFC 3263 §4.1 and §4.2: from a host, a port and a transport, as far as they are given, to addresses in order.
//!
//! A function of what is known: it answers with the places, or with the questions that must be answered first.

use std::net::IpAddr;

use rand::Rng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::Speaks;
use super::question::{Kind, Naptr, Question, Records, Srv};
use crate::sip::Transport;

/// Places one name may have.
const PLACES: usize = 16;
/// SRV targets of one name that are looked at.
const TARGETS: usize = 16;

/// Where a message shall go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// A name.
    pub host: String,
    /// The port, when one is given: then there is nothing but addresses to ask for.
    pub port: Option<u16>,
    /// The transport, when one is given.
    pub transport: Option<Transport>,
    /// What the profile can do.
    pub speaks: Speaks,
}

/// Where it may go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub ip: IpAddr,
    /// None: the transport's own.
    pub port: Option<u16>,
    /// None: nobody says which.
    pub transport: Option<Transport>,
}

/// What is known of a question, and until when.
type Known<'a> = &'a dyn Fn(&Question) -> Option<(Records, Instant)>;

/// The places, best first, and until when that holds; or what must be asked first.
pub fn places(
    wanted: &Wanted,
    known: Known<'_>,
    rng: &mut SmallRng,
) -> Result<(Vec<Place>, Instant), Vec<Question>> {
    let mut search = Search { wanted, known, until: None, missing: Vec::new() };
    let found = search.run(rng);
    if !search.missing.is_empty() {
        return Err(search.missing);
    }
    let until = search.until.unwrap_or_else(Instant::now);
    Ok((found, until))
}

struct Search<'a> {
    wanted: &'a Wanted,
    known: Known<'a>,
    until: Option<Instant>,
    missing: Vec<Question>,
}

impl Search<'_> {
    fn run(&mut self, rng: &mut SmallRng) -> Vec<Place> {
        let wanted = self.wanted;
        if wanted.port.is_some() {
            return self.addresses(&wanted.host, wanted.port, wanted.transport);
        }
        if let Some(transport) = wanted.transport {
            let services = self.srv(&srv_name(transport, &wanted.host));
            return match services {
                Some(services) => self.hosts(services, transport, rng),
                None => self.addresses(&wanted.host, None, Some(transport)),
            };
        }
        let ways = match self.naptr(&wanted.host) {
            Some(ways) => ways,
            // No NAPTR (§4.1): the transports we have, UDP first.
            None => [Transport::Udp, Transport::Tcp]
                .into_iter()
                .filter(|t| wanted.speaks.any(*t))
                .map(|t| (t, srv_name(t, &wanted.host)))
                .collect(),
        };
        let mut found = Vec::new();
        let mut served = false;
        for (transport, name) in ways {
            if let Some(services) = self.srv(&name) {
                served = true;
                found.extend(self.hosts(services, transport, rng));
            }
        }
        if !served {
            found = self.addresses(&wanted.host, None, None);
        }
        found.truncate(PLACES);
        found
    }

    /// What is known; otherwise it is put on the list of questions.
    fn look(&mut self, name: &str, kind: Kind) -> Option<Records> {
        let question = Question::new(name, kind);
        match (self.known)(&question) {
            Some((records, until)) => {
                self.until = Some(self.until.map_or(until, |u| u.min(until)));
                Some(records).filter(|r| !r.is_empty())
            }
            None => {
                if !self.missing.contains(&question) {
                    self.missing.push(question);
                }
                None
            }
        }
    }

    /// Transports and SRV names, in the order the domain prefers; none when it does not say.
    fn naptr(&mut self, host: &str) -> Option<Vec<(Transport, String)>> {
        let Records::Naptr(mut records) = self.look(host, Kind::Naptr)? else { return None };
        records.sort_by_key(|r| (r.order, r.preference));
        let usable = |r: Naptr| {
            let transport = match r.services.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                _ => return None, // TLS, SCTP, WebSocket, or nothing of SIP
            };
            let fits = self.wanted.speaks.any(transport) && r.flags.eq_ignore_ascii_case("s");
            (fits && !r.replacement.is_empty()).then_some((transport, r.replacement))
        };
        let ways: Vec<_> = records.into_iter().filter_map(usable).take(TARGETS).collect();
        (!ways.is_empty()).then_some(ways)
    }

    fn srv(&mut self, name: &str) -> Option<Vec<Srv>> {
        match self.look(name, Kind::Srv)? {
            Records::Srv(records) => Some(records),
            _ => None,
        }
    }

    fn hosts(&mut self, services: Vec<Srv>, transport: Transport, rng: &mut SmallRng) -> Vec<Place> {
        let mut found = Vec::new();
        for service in in_order(services, rng).into_iter().take(TARGETS) {
            // "." says that there is no such service (RFC 2782).
            if !service.target.is_empty() {
                found.extend(self.addresses(&service.target, Some(service.port), Some(transport)));
            }
        }
        found.truncate(PLACES);
        found
    }

    fn addresses(&mut self, host: &str, port: Option<u16>, transport: Option<Transport>) -> Vec<Place> {
        let found = match host.parse::<IpAddr>() {
            Ok(ip) => vec![ip], // against RFC 2782, but it is met
            Err(_) => match self.look(host, Kind::Address) {
                Some(Records::Addresses(found)) => found,
                _ => Vec::new(),
            },
        };
        let speaks = self.wanted.speaks;
        let fits = |ip: &IpAddr| match transport {
            Some(transport) => speaks.can(transport, *ip),
            None => speaks.can(Transport::Udp, *ip) || speaks.can(Transport::Tcp, *ip),
        };
        found.into_iter().filter(fits).take(PLACES).map(|ip| Place { ip, port, transport }).collect()
    }
}

fn srv_name(transport: Transport, host: &str) -> String {
    let word = if transport == Transport::Udp { "_udp" } else { "_tcp" };
    format!("_sip.{word}.{host}")
}

/// By priority; among equals by chance, the heavier the likelier first (RFC 2782).
fn in_order(mut services: Vec<Srv>, rng: &mut SmallRng) -> Vec<Srv> {
    services.sort_by_key(|s| (s.priority, s.weight != 0)); // those without weight first, as the RFC has it
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|s| s.priority) {
        let equals = services.iter().take_while(|s| s.priority == priority);
        let total: u32 = equals.clone().map(|s| u32::from(s.weight)).sum();
        let mut left = rng.random_range(0..=total);
        let chosen = equals.clone().position(|s| match left.checked_sub(s.weight.into()) {
            None | Some(0) => true,
            Some(rest) => {
                left = rest;
                false
            }
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::HashMap;
    use std::time::Duration;

    const V4: Speaks = Speaks { udp: [true, false], tcp: [true, false] };

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    /// A zone that is asked as often as it takes.
    #[derive(Default)]
    struct Zone(HashMap<Question, Records>);

    impl Zone {
        fn a(mut self, name: &str, last: &[u8]) -> Zone {
            let all = last.iter().map(|n| ip(*n)).collect();
            self.0.insert(Question::new(name, Kind::Address), Records::Addresses(all));
            self
        }

        fn srv(mut self, name: &str, records: &[(u16, u16, u16, &str)]) -> Zone {
            let srv = |(priority, weight, port, target): &(u16, u16, u16, &str)| Srv {
                priority: *priority,
                weight: *weight,
                port: *port,
                target: (*target).to_owned(),
            };
            let all = records.iter().map(srv).collect();
            self.0.insert(Question::new(name, Kind::Srv), Records::Srv(all));
            self
        }

        fn naptr(mut self, name: &str, records: &[(u16, u16, &str, &str, &str)]) -> Zone {
            let naptr =
                |(order, preference, flags, services, replacement): &(u16, u16, &str, &str, &str)| Naptr {
                    order: *order,
                    preference: *preference,
                    flags: (*flags).to_owned(),
                    services: (*services).to_owned(),
                    replacement: (*replacement).to_owned(),
                };
            let all = records.iter().map(naptr).collect();
            self.0.insert(Question::new(name, Kind::Naptr), Records::Naptr(all));
            self
        }

        /// As `ip:port/transport`, and how many rounds of questions it took.
        fn ask(
            &self,
            host: &str,
            port: Option<u16>,
            transport: Option<Transport>,
            speaks: Speaks,
        ) -> (Vec<String>, usize) {
            let wanted = Wanted { host: host.into(), port, transport, speaks };
            let mut answered: HashMap<Question, Records> = HashMap::new();
            let mut rng = SmallRng::seed_from_u64(1);
            for round in 0..5 {
                let until = Instant::now() + Duration::from_secs(60);
                let known = |q: &Question| answered.get(q).map(|r| (r.clone(), until));
                match places(&wanted, &known, &mut rng) {
                    Ok((found, _)) => {
                        let text = |p: Place| {
                            let port = p.port.map_or(String::new(), |p| format!(":{p}"));
                            format!("{}{port}/{}", p.ip, p.transport.map_or("-", Transport::as_param))
                        };
                        return (found.into_iter().map(text).collect(), round);
                    }
                    Err(questions) => {
                        for question in questions {
                            let records = self.0.get(&question).cloned().unwrap_or(Records::None);
                            assert!(answered.insert(question, records).is_none(), "asked twice");
                        }
                    }
                }
            }
            panic!("it asks for ever")
        }

        fn found(&self, host: &str, port: Option<u16>, transport: Option<Transport>) -> Vec<String> {
            self.ask(host, port, transport, V4).0
        }
    }

    #[test]
    fn a_port_leaves_only_addresses_to_ask_for() {
        let zone = Zone::default().a("h", &[1, 2]).srv("_sip._udp.h", &[(1, 1, 9, "x")]);
        assert_eq!(zone.found("h", Some(5070), None), ["192.0.2.1:5070/-", "192.0.2.2:5070/-"]);
        assert_eq!(
            zone.found("H.", Some(5070), Some(Transport::Tcp)),
            ["192.0.2.1:5070/tcp", "192.0.2.2:5070/tcp"]
        );
    }

    #[test]
    fn a_transport_leaves_its_srv() {
        let zone = Zone::default()
            .srv("_sip._udp.h", &[(20, 0, 5062, "b"), (10, 0, 5061, "a"), (30, 0, 5063, "")])
            .a("a", &[1, 2])
            .a("b", &[3])
            .a("h", &[9]);
        let expected = ["192.0.2.1:5061/udp", "192.0.2.2:5061/udp", "192.0.2.3:5062/udp"];
        assert_eq!(zone.found("h", None, Some(Transport::Udp)), expected);
        assert_eq!(
            zone.found("h", None, Some(Transport::Tcp)),
            ["192.0.2.9/tcp"],
            "no SRV: its own addresses"
        );
    }

    #[test]
    fn nothing_given_follows_naptr() {
        let zone = Zone::default()
            .naptr(
                "h",
                &[
                    (20, 1, "s", "SIP+D2U", "_sip._udp.u"),
                    (10, 9, "S", "sip+d2t", "_sip._tcp.t"),
                    (5, 1, "s", "SIPS+D2T", "_sips._tcp.s"),
                    (1, 1, "u", "E2U+sip", ""),
                ],
            )
            .srv("_sip._udp.u", &[(1, 1, 5060, "a")])
            .srv("_sip._tcp.t", &[(1, 1, 5065, "b")])
            .a("a", &[1])
            .a("b", &[2]);
        assert_eq!(zone.found("h", None, None), ["192.0.2.2:5065/tcp", "192.0.2.1:5060/udp"]);
        let only_udp = Speaks { tcp: [false; 2], ..V4 };
        assert_eq!(zone.ask("h", None, None, only_udp).0, ["192.0.2.1:5060/udp"]);
    }

    #[test]
    fn without_naptr_srv_and_without_srv_addresses() {
        let zone = Zone::default().srv("_sip._tcp.h", &[(1, 1, 5065, "b")]).a("b", &[2]).a("h", &[9]);
        assert_eq!(zone.found("h", None, None), ["192.0.2.2:5065/tcp"]);
        let zone = Zone::default().a("h", &[9]);
        let (found, rounds) = zone.ask("h", None, None, V4);
        assert_eq!((found.as_slice(), rounds), (&["192.0.2.9/-".to_owned()][..], 1), "all at once");
        assert!(Zone::default().found("h", None, None).is_empty());
        let none = Zone::default().srv("_sip._udp.h", &[(0, 0, 0, "")]).a("h", &[9]);
        assert!(none.found("h", None, None).is_empty(), "decidedly no such service");
    }

    #[test]
    fn only_addresses_we_can_speak_to() {
        let mut zone = Zone::default().a("h", &[1]);
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        zone.0.insert(Question::new("h", Kind::Address), Records::Addresses(vec![six, ip(1)]));
        assert_eq!(zone.found("h", Some(1), None), ["192.0.2.1:1/-"]);
        let both = Speaks { udp: [true; 2], tcp: [false; 2] };
        assert_eq!(zone.ask("h", Some(1), None, both).0, ["2001:db8::1:1/-", "192.0.2.1:1/-"]);
    }

    #[test]
    fn weights_are_kept() {
        let srv = |weight| Srv { priority: 1, weight, port: weight, target: "x".into() };
        let mut rng = SmallRng::seed_from_u64(7);
        let mut first: HashMap<u16, u32> = HashMap::new();
        for _ in 0..10_000 {
            let ordered = in_order(vec![srv(10), srv(0), srv(30), srv(60)], &mut rng);
            assert_eq!(ordered.len(), 4);
            *first.entry(ordered[0].weight).or_default() += 1;
        }
        for (weight, share) in [(60, 6000), (30, 3000), (10, 1000)] {
            let count = first.get(&weight).copied().unwrap_or(0);
            assert!(count.abs_diff(share) < 300, "{weight}: {count} of 10000");
        }
        assert!(first.get(&0).is_some_and(|n| *n < 300), "without weight: seldom, but now and then");
    }

    #[test]
    fn a_name_with_a_thousand_hosts_is_cut() {
        let many: Vec<(u16, u16, u16, &str)> = (0..1000).map(|n| (n, 0, n, "a")).collect();
        let zone = Zone::default().srv("_sip._udp.h", &many).a("a", &[1, 2, 3]);
        assert_eq!(zone.found("h", None, Some(Transport::Udp)).len(), PLACES);
    }
}
