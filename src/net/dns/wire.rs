//! Questions and answers as DNS messages (RFC 1035). The messages are taken apart by NLnet Labs' `domain`.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::name::ToName;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::{A, Aaaa, Naptr as NaptrData, Soa, Srv as SrvData};

use super::question::{Kind, Naptr, Question, Records, Srv};

/// What we take by UDP: as much as goes through everywhere (DNS flag day 2020).
pub const DATAGRAM: u16 = 1232;
/// Records of one answer that are read.
const MOST: usize = 64;
/// How long an answer is kept at least and at most, whatever it says.
const HOLDS: std::ops::RangeInclusive<u64> = 1..=86_400;
/// The same for "there is none".
const NONE_HOLDS: std::ops::RangeInclusive<u64> = 1..=60;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The answer to our question, and how long it holds.
    Answer(Records, Duration),
    /// It did not go into a datagram.
    Truncated,
    /// The server cannot say.
    Refused,
    /// It is no answer to this question.
    Foreign,
}

/// The record types a question asks for.
pub fn types(kind: Kind) -> &'static [Rtype] {
    match kind {
        Kind::Address => &[Rtype::A, Rtype::AAAA],
        Kind::Srv => &[Rtype::SRV],
        Kind::Naptr => &[Rtype::NAPTR],
    }
}

/// A query. None when the name is none.
pub fn query(id: u16, name: &str, rtype: Rtype) -> Option<Vec<u8>> {
    let name = Name::vec_from_str(name).ok()?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question.push((&name, rtype)).ok()?;
    let mut additional = question.additional();
    additional
        .opt(|opt| {
            opt.set_udp_payload_size(DATAGRAM);
            Ok(())
        })
        .ok()?;
    Some(additional.finish())
}

/// Reads what came back for a query with that id.
pub fn reply(bytes: &[u8], id: u16, question: &Question, rtype: Rtype) -> Reply {
    let Ok(message) = Message::from_octets(bytes) else { return Reply::Foreign };
    let header = message.header();
    let ours = || {
        let asked = message.sole_question().ok()?;
        let name = Name::vec_from_str(&question.name).ok()?;
        (asked.qtype() == rtype && asked.qname().name_eq(&name)).then_some(())
    };
    if header.id() != id || !header.qr() || ours().is_none() {
        return Reply::Foreign;
    }
    if header.tc() {
        return Reply::Truncated;
    }
    match header.rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return none(&message),
        _ => return Reply::Refused,
    }
    let mut least = *HOLDS.end();
    let records = match rtype {
        Rtype::A => Records::Addresses(read(&message, &mut least, |a: A| Some(IpAddr::V4(a.addr())))),
        Rtype::AAAA => Records::Addresses(read(&message, &mut least, |a: Aaaa| Some(IpAddr::V6(a.addr())))),
        Rtype::SRV => Records::Srv(read(&message, &mut least, |srv: SrvData<_>| {
            let target = text(&srv.target().to_string());
            Some(Srv { priority: srv.priority(), weight: srv.weight(), port: srv.port(), target })
        })),
        Rtype::NAPTR => Records::Naptr(read(&message, &mut least, |naptr: NaptrData<_, _>| {
            let word = |octets: &[u8]| std::str::from_utf8(octets).ok().map(str::to_owned);
            Some(Naptr {
                order: naptr.order(),
                preference: naptr.preference(),
                flags: word(naptr.flags().as_slice())?,
                services: word(naptr.services().as_slice())?,
                replacement: text(&naptr.replacement().to_string()),
            })
        })),
        _ => Records::None,
    };
    match records.is_empty() {
        true => none(&message),
        false => Reply::Answer(records, Duration::from_secs(least.clamp(*HOLDS.start(), *HOLDS.end()))),
    }
}

/// A name without its last dot.
fn text(name: &str) -> String {
    name.trim_end_matches('.').to_owned()
}

/// The records of one type that belong to the name asked for, by whatever aliases.
fn read<'a, D, T>(message: &'a Message<&'a [u8]>, least: &mut u64, take: impl Fn(D) -> Option<T>) -> Vec<T>
where
    D: domain::base::ParseRecordData<'a, &'a [u8]>,
{
    let Some(name) = message.canonical_name() else { return Vec::new() };
    let Ok(answer) = message.answer() else { return Vec::new() };
    let mut found = Vec::new();
    for record in answer.limit_to::<D>().take(MOST).flatten() {
        if !record.owner().name_eq(&name) {
            continue;
        }
        let holds = u64::from(record.ttl().as_secs());
        if let Some(taken) = take(record.into_data()) {
            *least = (*least).min(holds);
            found.push(taken);
        }
    }
    found
}

/// There is no such record: for as long as the zone says (RFC 2308), but not long.
fn none(message: &Message<&[u8]>) -> Reply {
    let soa = message.authority().ok().and_then(|section| {
        let record = section.limit_to::<Soa<_>>().flatten().next()?;
        Some(u64::from(record.ttl().as_secs().min(record.data().minimum().as_secs())))
    });
    let seconds = soa.unwrap_or(5).clamp(*NONE_HOLDS.start(), *NONE_HOLDS.end());
    Reply::Answer(Records::None, Duration::from_secs(seconds))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use domain::base::iana::Class;
    use domain::base::{Record, Ttl};

    /// A server's answer with these SRV records.
    pub fn srv_answer(query: &[u8], records: &[(u16, u16, u16, &str)], ttl: u32) -> Vec<u8> {
        let query = Message::from_octets(query).expect("a query");
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).expect("room");
        let owner = query.sole_question().expect("a question").qname().to_name::<Vec<u8>>();
        for (priority, weight, port, target) in records {
            let target = Name::vec_from_str(target).expect("a name");
            let srv = SrvData::new(*priority, *weight, *port, target);
            answer.push(Record::new(owner.clone(), Class::IN, Ttl::from_secs(ttl), srv)).expect("room");
        }
        answer.finish()
    }

    fn question() -> Question {
        Question::new("_sip._udp.Example.com.", Kind::Srv)
    }

    #[test]
    fn questions_are_recognised_and_answers_read() {
        let query = query(77, "_sip._udp.example.com", Rtype::SRV).expect("a query");
        let answer = srv_answer(&query, &[(1, 2, 5070, "a.example.com"), (3, 4, 5080, ".")], 300);
        let Reply::Answer(Records::Srv(records), holds) = reply(&answer, 77, &question(), Rtype::SRV) else {
            panic!()
        };
        assert_eq!(holds, Duration::from_secs(300));
        let read: Vec<_> =
            records.iter().map(|r| (r.priority, r.weight, r.port, r.target.as_str())).collect();
        assert_eq!(read, [(1, 2, 5070, "a.example.com"), (3, 4, 5080, "")]);
    }

    #[test]
    fn what_is_no_answer_to_it_is_dropped() {
        let query = query(77, "_sip._udp.example.com", Rtype::SRV).expect("a query");
        let answer = srv_answer(&query, &[(1, 2, 5070, "a.example.com")], 300);
        assert_eq!(reply(&answer, 78, &question(), Rtype::SRV), Reply::Foreign, "another id");
        assert_eq!(reply(&answer, 77, &question(), Rtype::NAPTR), Reply::Foreign, "another type");
        let other = Question::new("_sip._tcp.example.com", Kind::Srv);
        assert_eq!(reply(&answer, 77, &other, Rtype::SRV), Reply::Foreign, "another name");
        assert_eq!(reply(&query, 77, &question(), Rtype::SRV), Reply::Foreign, "a question");
        for length in 0..answer.len() {
            let _ = reply(&answer[..length], 77, &question(), Rtype::SRV); // whatever it says, it does not panic
        }
        let mut cut = answer.clone();
        cut[2] |= 2;
        assert_eq!(reply(&cut, 77, &question(), Rtype::SRV), Reply::Truncated);
        let mut refused = answer.clone();
        refused[3] = (refused[3] & 0xf0) | 5;
        assert_eq!(reply(&refused, 77, &question(), Rtype::SRV), Reply::Refused);
    }

    #[test]
    fn none_holds_for_a_while_and_no_time_is_endless() {
        let query = query(77, "_sip._udp.example.com", Rtype::SRV).expect("a query");
        let none = srv_answer(&query, &[], 0);
        let read = reply(&none, 77, &question(), Rtype::SRV);
        assert_eq!(read, Reply::Answer(Records::None, Duration::from_secs(5)));
        for (ttl, expected) in [(0, 1), (u32::MAX, 86_400)] {
            let answer = srv_answer(&query, &[(1, 2, 5070, "a")], ttl);
            let Reply::Answer(_, holds) = reply(&answer, 77, &question(), Rtype::SRV) else { panic!() };
            assert_eq!(holds.as_secs(), expected, "{ttl}");
        }
    }

    /// Answers with an alias, written as servers write them: names point back to where they stood before.
    fn seeds(query: &[u8], rtype: Rtype) -> Vec<Vec<u8>> {
        let mut head = query.to_vec();
        head.truncate(query.len() - 11); // its OPT record
        head[2] |= 0x80;
        head[11] = 0;
        let alias = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x04\x01a\xc0\x10";
        let at = u8::try_from(head.len() + 12).expect("small"); // where the alias's target stands
        let data: Vec<u8> = match rtype {
            Rtype::A => b"\0\x04\xc0\0\x02\x01".to_vec(),
            Rtype::AAAA => b"\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01".to_vec(),
            Rtype::SRV => [b"\0\x0a\0\x01\0\x02\x13\xc4\x01b\xc0".as_slice(), &[at]].concat(),
            _ => b"\0\x1a\0\x0a\0\x14\x01s\x07SIP+D2U\0\x04_sip\x04_udp\0".to_vec(),
        };
        let mut all = Vec::new();
        for (count, owner) in [(1, vec![0xc0, 0x0c]), (2, vec![0xc0, at])] {
            let mut answer = head.clone();
            answer[7] = count;
            if count == 2 {
                answer.extend_from_slice(alias);
            }
            answer.extend_from_slice(&owner);
            answer.extend_from_slice(&rtype.to_int().to_be_bytes());
            answer.extend_from_slice(b"\0\x01\0\0\x01\x2c");
            answer.extend_from_slice(&data);
            all.push(answer);
        }
        all
    }

    /// Real answers with bytes changed, put in, taken out and doubled: whatever comes back is bounded, and nothing panics.
    #[test]
    fn answers_that_were_tampered_with_are_bounded() {
        use rand::rngs::SmallRng;
        use rand::{Rng, SeedableRng};
        let mut rng = SmallRng::seed_from_u64(7);
        let (mut answers, mut foreign) = (0, 0);
        for rtype in [Rtype::A, Rtype::AAAA, Rtype::SRV, Rtype::NAPTR] {
            let kind = match rtype {
                Rtype::SRV => Kind::Srv,
                Rtype::NAPTR => Kind::Naptr,
                _ => Kind::Address,
            };
            let question = Question::new("sip.example.com", kind);
            let query = query(77, "sip.example.com", rtype).expect("a query");
            let mut corpus = seeds(&query, rtype);
            if rtype == Rtype::SRV {
                corpus.push(srv_answer(&query, &[(1, 2, 5070, "a.example.com"), (3, 4, 5080, ".")], 300));
            }
            for seed in &corpus {
                let read = reply(seed, 77, &question, rtype);
                assert!(
                    matches!(&read, Reply::Answer(records, _) if !records.is_empty()),
                    "{rtype}: {read:?}"
                );
            }
            for _ in 0..20_000 {
                let mut bytes = corpus[rng.random_range(0..corpus.len())].clone();
                for _ in 0..rng.random_range(1..6) {
                    let at = rng.random_range(0..bytes.len());
                    match rng.random_range(0..5) {
                        0 => bytes[at] = rng.random(),
                        1 => bytes[at] ^= 1 << rng.random_range(0..8),
                        2 => bytes.insert(at, rng.random()),
                        3 if bytes.len() > 1 => drop(bytes.remove(at)),
                        _ => {
                            let part = bytes[at..].to_vec();
                            let room = usize::from(u16::MAX) - bytes.len();
                            bytes.extend_from_slice(&part[..part.len().min(room)]);
                        }
                    }
                }
                match reply(&bytes, 77, &question, rtype) {
                    Reply::Answer(records, holds) => {
                        answers += 1;
                        assert!((1..=86_400).contains(&holds.as_secs()), "{holds:?}");
                        let (count, longest) = match &records {
                            Records::None => (0, 0),
                            Records::Addresses(all) => (all.len(), 0),
                            Records::Srv(all) => {
                                (all.len(), all.iter().map(|r| r.target.len()).max().unwrap_or(0))
                            }
                            Records::Naptr(all) => {
                                (all.len(), all.iter().map(|r| r.replacement.len()).max().unwrap_or(0))
                            }
                        };
                        assert!(count <= MOST && longest <= 4 * 255, "{count} records, a name of {longest}");
                    }
                    _ => foreign += 1,
                }
            }
        }
        assert!(answers > 10_000 && foreign > 10_000, "both kinds are seen: {answers} {foreign}");
    }
}
