//! Whatever comes in whatever order: no panic, an end within 64·T1 and a little, and silence after it.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tandem::sip::{Destination, Transport};
use tandem::transaction::{Id, Output, Timers, Transactions};

use crate::bench::{flow, request, response_to};

#[derive(Clone, Debug)]
enum Step {
    /// One of a few requests of ours.
    Ask {
        method: usize,
        branch: u8,
        reliable: bool,
    },
    /// One of a few requests of a peer.
    Hear {
        method: usize,
        branch: u8,
        reliable: bool,
    },
    /// A response to one of ours.
    Answered {
        method: usize,
        branch: u8,
        status: u16,
    },
    /// We answer the nth request that came up.
    Answer {
        nth: usize,
        status: u16,
        stateless: bool,
    },
    Fail {
        nth: usize,
    },
    Pass {
        ms: u64,
    },
    /// The owner wakes late or for nothing.
    Wake,
}

const METHODS: [&str; 5] = ["INVITE", "BYE", "CANCEL", "OPTIONS", "ACK"];

fn step() -> impl Strategy<Value = Step> {
    let status = || prop_oneof![Just(100), Just(180), Just(200), Just(302), Just(487), Just(699)];
    prop_oneof![
        2 => (0..4_usize, 0..3_u8, any::<bool>())
            .prop_map(|(method, branch, reliable)| Step::Ask { method, branch, reliable }),
        4 => (0..5_usize, 0..3_u8, any::<bool>())
            .prop_map(|(method, branch, reliable)| Step::Hear { method, branch, reliable }),
        4 => (0..4_usize, 0..3_u8, status())
            .prop_map(|(method, branch, status)| Step::Answered { method, branch, status }),
        4 => (0..8_usize, status(), prop::bool::weighted(0.1))
            .prop_map(|(nth, status, stateless)| Step::Answer { nth, status, stateless }),
        1 => (0..8_usize).prop_map(|nth| Step::Fail { nth }),
        4 => prop_oneof![0..300_u64, 300..6_000_u64, 30_000..33_000_u64].prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Wake),
    ]
}

struct Run {
    table: Transactions,
    now: Instant,
    heard: Vec<(tandem::transaction::ServerId, tandem::sip::Message)>,
    ids: Vec<Id>,
}

impl Run {
    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.table.poll() {
            count += 1;
            match output {
                Output::Request { id, message, .. } | Output::Cancel { id, message, .. } => {
                    assert_ne!(message.method().as_str(), "ACK");
                    self.heard.push((id, message));
                    self.ids.push(Id::Server(id));
                }
                Output::Send { by: Some(by), .. } => self.ids.push(by),
                Output::TimedOut { id } | Output::Unreachable { id } => {
                    assert!(!self.table.is_pending(Id::Client(id)));
                }
                _ => {}
            }
        }
        count
    }

    fn pass(&mut self, until: Instant) {
        while let Some(next) = self.table.next_timeout().filter(|next| *next <= until) {
            assert!(next >= self.now, "a deadline lies in the past");
            self.now = next;
            self.table.timeout(self.now);
            self.drain();
        }
        self.now = until;
    }
}

fn transport(reliable: bool) -> Transport {
    if reliable { Transport::Tcp } else { Transport::Udp }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_ends(steps in prop::collection::vec(step(), 1..60)) {
        let start = Instant::now();
        let table = Transactions::new(Timers::default(), 8);
        let mut run = Run { table, now: start, heard: Vec::new(), ids: Vec::new() };
        let branch = |n: u8| format!("z9hG4bK{n}");
        for step in steps {
            match step {
                Step::Ask { method, branch: b, reliable } => {
                    let to = Destination::Flow(flow(transport(reliable)));
                    let _ = run.table.request(run.now, request(METHODS[method], &branch(b)), to, reliable);
                }
                Step::Hear { method, branch: b, reliable } => {
                    run.table.receive(run.now, request(METHODS[method], &branch(b)), flow(transport(reliable)));
                }
                Step::Answered { method, branch: b, status } => {
                    let response = response_to(&request(METHODS[method], &branch(b)), status);
                    run.table.receive(run.now, response, flow(Transport::Udp));
                }
                Step::Answer { nth, status, stateless } => {
                    if let Some((id, message)) = run.heard.get(nth) {
                        let response = response_to(message, status).raw().clone();
                        if stateless {
                            run.table.respond_stateless(*id, response);
                        } else {
                            run.table.respond(run.now, *id, response, status);
                        }
                    }
                }
                Step::Fail { nth } => {
                    if let Some(id) = run.ids.get(nth) {
                        run.table.transport_failed(*id);
                    }
                }
                Step::Pass { ms } => {
                    let until = run.now + Duration::from_millis(ms);
                    run.pass(until);
                }
                Step::Wake => run.table.timeout(run.now),
            }
            run.drain();
            // Eight, and a CANCEL for each INVITE among them.
            prop_assert!(run.table.len() <= 16);
        }
        // The two waits that are the owner's: it answers every INVITE, and cancels its own.
        for (id, message) in std::mem::take(&mut run.heard) {
            run.table.respond(run.now, id, response_to(&message, 500).raw().clone(), 500);
        }
        for b in 0..3 {
            let to = Destination::Flow(flow(Transport::Udp));
            let _ = run.table.request(run.now, request("CANCEL", &branch(b)), to, false);
        }
        run.drain();
        // A CANCEL already under way keeps its INVITE's time; 64·T1, and Timer I, K or D after it.
        let end = run.now + Duration::from_secs(32 + 32 + 5);
        run.pass(end);
        prop_assert!(run.table.is_empty(), "{:?}", run.table);
        prop_assert_eq!(run.table.next_timeout(), None);
        run.pass(end + Duration::from_secs(1000));
        run.table.timeout(run.now);
        for id in std::mem::take(&mut run.ids) {
            run.table.transport_failed(id);
        }
        prop_assert_eq!(run.drain(), 0, "nothing comes after the end");
    }
}
