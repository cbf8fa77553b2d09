use super::*;
use crate::registrar::{Multiple, Wish};

const UA: &str = "phone/1";

fn flow(connection: u64) -> Flow {
    let transport = if connection == 0 { crate::sip::Transport::Udp } else { crate::sip::Transport::Tcp };
    Flow {
        transport,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "198.51.100.7:40000".parse().unwrap(),
        connection,
    }
}

/// `uri[;q=…][;instance=…][;reg-id=…][;expires=…]`, header params after a blank.
fn wish(text: &str) -> Wish {
    let (uri, params) = text.split_once(' ').unwrap_or((text, ""));
    let param = |name: &str| params.split(' ').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    let mut wish = Wish::new("", uri, "", param("expires").map(|e| e.parse().unwrap())).unwrap();
    wish.q = param("q").map_or(1000, |q| q.parse().unwrap());
    wish.instance = param("instance").map(Into::into);
    wish.reg_id = param("reg-id").map(|r| r.parse().unwrap());
    wish
}

fn request(call_id: &str, cseq: u32, contacts: &[&str]) -> Request {
    let wanted = match contacts {
        [] => Wanted::Nothing,
        ["*"] => Wanted::RemoveAll,
        _ => Wanted::Contacts(contacts.iter().map(|c| wish(c)).collect()),
    };
    Request { call_id: call_id.into(), cseq, wanted, path: None, user_agent: UA.into() }
}

struct Bench {
    table: Registrar,
    now: Instant,
    policy: Policy,
}

impl Bench {
    fn new(multiple: Multiple) -> Self {
        let now = Instant::now();
        let mut policy = Policy::new("internal");
        policy.multiple = multiple;
        Bench { table: Registrar::new(now, Bounds::default()), now, policy }
    }

    fn wait(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.table.expire(self.now).iter().map(|b| b.uri().to_owned()).collect()
    }

    fn send(&self, call_id: &str, cseq: u32, contacts: &[&str]) -> Result<Registered, Refusal> {
        self.table.register(self.now, &request(call_id, cseq, contacts), flow(0), ("1000", "d"), &self.policy)
    }

    fn contacts(&self) -> Vec<String> {
        self.table.lookup(self.now, "1000", "d").iter().map(|b| b.uri().to_owned()).collect()
    }
}

#[test]
fn registers_refreshes_and_takes_back() {
    let mut b = Bench::new(Multiple::No);
    let done = b.send("c1", 1, &["sip:1000@10.0.0.9:5060;transport=udp expires=3600"]).unwrap();
    assert_eq!(done.contacts, ["<sip:1000@10.0.0.9:5060;transport=udp>;expires=3600"]);
    assert_eq!((done.first, done.granted, done.outbound), (true, Some(3600), false));
    assert!(matches!(done.changes.as_slice(), [Change::Added(_)]));
    assert!(b.wait(100).is_empty());
    let query = b.send("c9", 1, &[]).unwrap();
    assert_eq!(query.contacts, ["<sip:1000@10.0.0.9:5060;transport=udp>;expires=3500"]);
    assert!(query.changes.is_empty());
    let done = b.send("c1", 2, &["sip:1000@10.0.0.9:5060;transport=udp expires=600"]).unwrap();
    assert!(matches!(done.changes.as_slice(), [Change::Refreshed(x)] if x.since < x.refreshed));
    assert!(!done.first);
    let done = b.send("c1", 3, &["sip:1000@10.0.0.9:5060;transport=udp expires=0"]).unwrap();
    assert_eq!((done.contacts.len(), done.granted), (0, Some(0)));
    assert!(matches!(done.changes.as_slice(), [Change::Gone(_, Gone::Unregistered)]));
    assert!(b.table.is_empty() && b.contacts().is_empty());
}

#[test]
fn what_stays_of_earlier_contacts() {
    use Multiple::{CallId, Contact, No};
    const A: &str = "sip:a@10.0.0.1";
    const B: &str = "sip:b@10.0.0.2";
    const AI: &str = "sip:a@10.0.0.1 instance=i";
    const BI: &str = "sip:b@10.0.0.2 instance=i";
    const A1: &str = "sip:a@10.0.0.1 instance=i reg-id=1";
    const B1: &str = "sip:b@10.0.0.2 instance=i reg-id=1";
    const B2: &str = "sip:b@10.0.0.2 instance=i reg-id=2";
    const OFF_A: &str = "sip:a@10.0.0.1 expires=0";
    const OFF_A1: &str = "sip:a@10.0.0.1 expires=0 instance=i reg-id=1";
    const OFF_C: &str = "sip:c@10.0.0.3 expires=0";
    const OFF_CI: &str = "sip:c@10.0.0.3 expires=0 instance=i";
    type Sent<'a> = (&'a str, &'a [&'a str]);
    let cases: &[(Multiple, &[Sent<'_>], &[&str])] = &[
        // A second device.
        (No, &[("c1", &[A]), ("c2", &[B])], &[B]),
        (CallId, &[("c1", &[A]), ("c2", &[B])], &[A, B]),
        (Contact, &[("c1", &[A]), ("c2", &[B])], &[A, B]),
        // The device moved.
        (No, &[("c1", &[A]), ("c1", &[B])], &[B]),
        (CallId, &[("c1", &[A]), ("c1", &[B])], &[B]),
        (Contact, &[("c1", &[A]), ("c1", &[B])], &[A, B]),
        // It started again with another Call-ID.
        (CallId, &[("c1", &[A]), ("c2", &[A])], &[A]),
        (Contact, &[("c1", &[A]), ("c2", &[A])], &[A]),
        // The same instance, with and without reg-id.
        (CallId, &[("c1", &[AI]), ("c2", &[BI])], &[B]),
        (Contact, &[("c1", &[AI]), ("c2", &[BI])], &[B]),
        (Contact, &[("c1", &[A1]), ("c2", &[B1])], &[B]),
        (Contact, &[("c1", &[A1]), ("c2", &[B2])], &[A, B]),
        (Contact, &[("c1", &[A1]), ("c2", &[BI])], &[B]),
        // Two contacts in one request.
        (No, &[("c1", &[A, B])], &[A, B]),
        (CallId, &[("c1", &[A, B])], &[A, B]),
        (No, &[("c1", &[A, A])], &[A]),
        (No, &[("c1", &[A]), ("c1", &[A, A])], &[A]),
        // Old away, new in: one request, either order.
        (No, &[("c1", &[A]), ("c1", &[OFF_A, B])], &[B]),
        (No, &[("c1", &[A]), ("c1", &[B, OFF_A])], &[B]),
        (Contact, &[("c1", &[A]), ("c1", &[OFF_A, B])], &[B]),
        (Contact, &[("c1", &[A]), ("c1", &[B, OFF_A])], &[B]),
        (Contact, &[("c1", &[A1]), ("c1", &[OFF_A1, B1])], &[B]),
        (Contact, &[("c1", &[A1]), ("c1", &[B1, OFF_A1])], &[B]),
        // Taking back.
        (No, &[("c1", &[A]), ("c2", &[OFF_A])], &[]),
        (No, &[("c1", &[A]), ("c1", &[OFF_C])], &[A]),
        (No, &[("c1", &[A]), ("c2", &[OFF_C])], &[A]),
        (CallId, &[("c1", &[A]), ("c2", &[B]), ("c1", &[OFF_C])], &[A, B]),
        (Contact, &[("c1", &[A]), ("c1", &[OFF_C])], &[A]),
        (Contact, &[("c1", &[AI]), ("c2", &[OFF_CI])], &[]),
        (Contact, &[("c1", &[A]), ("c2", &[B]), ("c3", &["*"])], &[]),
        // A phone that took its old contact back after it had come anew (Zoiper).
        (No, &[("c1", &[A]), ("c2", &[B]), ("c2", &[OFF_A])], &[B]),
    ];
    for (at, (multiple, sent, want)) in cases.iter().enumerate() {
        let bench = Bench::new(*multiple);
        for (cseq, (call_id, contacts)) in sent.iter().enumerate() {
            bench.send(call_id, cseq as u32 + 1, contacts).unwrap();
        }
        let mut found = bench.contacts();
        found.sort();
        let want: Vec<&str> = want.iter().map(|w| w.split(' ').next().unwrap()).collect();
        assert_eq!(found, want, "case {at}: {multiple:?} {sent:?}");
        assert_eq!(bench.table.len(), want.len(), "case {at}");
    }
}

#[test]
fn several_flows_of_an_instance_live_side_by_side_with_outbound() {
    let mut b = Bench::new(Multiple::No);
    b.policy.outbound = true;
    assert!(b.send("c1", 1, &["sip:a@1 instance=i reg-id=1"]).unwrap().outbound);
    assert!(!b.send("c9", 1, &[]).unwrap().outbound);
    b.send("c2", 1, &["sip:b@2 instance=i reg-id=2"]).unwrap();
    assert_eq!(b.contacts(), ["sip:a@1", "sip:b@2"]);
    b.send("c3", 1, &["sip:c@3 instance=other reg-id=1"]).unwrap();
    assert_eq!(b.contacts(), ["sip:c@3"]);
}

#[test]
fn an_uri_is_the_same_in_other_clothes() {
    let b = Bench::new(Multiple::Contact);
    b.send("c1", 1, &["sip:a@10.0.0.1;transport=TLS;rinstance=1"]).unwrap();
    b.send("c2", 2, &["sip:a@10.0.0.1;rinstance=1;transport=tls"]).unwrap();
    assert_eq!(b.contacts(), ["sip:a@10.0.0.1;rinstance=1;transport=tls"]);
}

#[test]
fn requests_out_of_order_change_nothing() {
    let mut b = Bench::new(Multiple::Contact);
    b.send("c1", 5, &["sip:a@1 expires=600"]).unwrap();
    for (cseq, contacts) in [(5, &["sip:a@1 expires=0"][..]), (4, &["sip:b@2"]), (1, &["*"])] {
        assert_eq!(b.send("c1", cseq, contacts).unwrap_err().status, 500);
    }
    assert!(b.send("c1", 4, &[]).is_ok(), "a query is welcome at any time");
    assert_eq!(b.contacts(), ["sip:a@1"]);
    assert!(b.send("c2", 1, &["sip:b@2"]).is_ok(), "another Call-ID counts for itself");
    // A phone that started again and kept its Call-ID.
    b.wait(32);
    assert!(b.send("c1", 1, &["sip:a@1"]).is_ok());
}

#[test]
fn a_request_happens_whole_or_not_at_all() {
    let mut b = Bench::new(Multiple::Contact);
    b.policy.min_expires = Some(60);
    b.send("c1", 1, &["sip:a@1 expires=600"]).unwrap();
    let refused =
        b.send("c1", 2, &["sip:b@2 expires=600", "sip:a@1 expires=0", "sip:c@3 expires=5"]).unwrap_err();
    assert_eq!((refused.status, refused.headers), (423, vec![("Min-Expires", "60".to_owned())]));
    assert_eq!(b.contacts(), ["sip:a@1"]);
}

#[test]
fn no_more_than_the_limits_allow() {
    let mut b = Bench::new(Multiple::Contact);
    b.policy.max_per_extension = Some(2);
    b.send("c1", 1, &["sip:a@1"]).unwrap();
    b.send("c2", 1, &["sip:b@2"]).unwrap();
    assert_eq!(b.send("c3", 1, &["sip:c@3"]).unwrap_err().status, 403);
    b.send("c1", 2, &["sip:a@1"]).unwrap();
    b.send("c1", 3, &["sip:a@1 expires=0", "sip:c@3"]).unwrap();
    assert_eq!(b.contacts(), ["sip:b@2", "sip:c@3"]);
    // As in FreeSWITCH a limit of one refuses the second device even where it would replace the first.
    let mut b = Bench::new(Multiple::No);
    b.policy.max_per_extension = Some(1);
    b.send("c1", 1, &["sip:a@1"]).unwrap();
    assert_eq!(b.send("c2", 1, &["sip:b@2"]).unwrap_err().status, 403);
    b.send("c1", 2, &["sip:b@2"]).unwrap();
    b.send("c2", 1, &["sip:b@2"]).unwrap();

    let mut b = Bench::new(Multiple::Contact);
    b.table = Registrar::new(b.now, Bounds { per_aor: 2, total: 3 });
    b.send("c1", 1, &["sip:a@1", "sip:b@2"]).unwrap();
    assert_eq!(b.send("c1", 2, &["sip:c@3"]).unwrap_err().status, 403);
    let other =
        |user| b.table.register(b.now, &request("x", 1, &["sip:x@1"]), flow(0), (user, "d"), &b.policy);
    other("1001").unwrap();
    let refused = other("1002").unwrap_err();
    assert_eq!((refused.status, refused.headers.len()), (503, 1));
    b.send("c1", 2, &["sip:a@1", "sip:b@2"]).unwrap();
}

#[test]
fn expires_exactly() {
    let mut b = Bench::new(Multiple::Contact);
    b.policy.late_margin = Duration::from_secs(60);
    b.send("c1", 1, &["sip:a@1 expires=100"]).unwrap();
    b.send("c2", 1, &["sip:b@2 expires=200"]).unwrap();
    assert_eq!(b.table.next_timeout(), Some(b.now + Duration::from_secs(160)));
    assert!(b.wait(100).is_empty());
    assert_eq!(b.send("q", 1, &[]).unwrap().contacts, ["<sip:b@2>;expires=100"], "over for the phone");
    assert_eq!(b.contacts(), ["sip:a@1", "sip:b@2"], "but still called");
    b.now += Duration::from_millis(59_999);
    assert_eq!(b.contacts().len(), 2);
    assert!(b.wait(0).is_empty());
    b.now += Duration::from_millis(1);
    assert_eq!(b.contacts(), ["sip:b@2"], "gone at its time, whether or not anybody swept");
    assert_eq!(b.wait(0), ["sip:a@1"]);
    assert_eq!(b.table.next_timeout(), Some(b.now + Duration::from_secs(100)));
    b.send("c2", 2, &["sip:b@2 expires=1000"]).unwrap();
    assert!(b.wait(900).is_empty());
    assert_eq!(b.wait(160), ["sip:b@2"]);
    assert_eq!(b.table.next_timeout(), None);
}

#[test]
fn an_expired_contact_found_on_the_way_is_told_once() {
    let mut b = Bench::new(Multiple::Contact);
    b.send("c1", 1, &["sip:a@1 expires=100"]).unwrap();
    b.now += Duration::from_secs(161);
    let done = b.send("c1", 2, &["sip:a@1"]).unwrap();
    assert!(matches!(done.changes.as_slice(), [Change::Gone(_, Gone::Expired), Change::Added(_)]));
    assert!(done.first && b.wait(0).is_empty());
}

#[test]
fn a_closed_connection_takes_its_contacts_along() {
    let b = Bench::new(Multiple::Contact);
    let send = |call_id, contact: &str, connection| {
        b.table
            .register(b.now, &request(call_id, 1, &[contact]), flow(connection), ("1000", "d"), &b.policy)
            .unwrap()
    };
    send("c1", "sip:a@1", 7);
    send("c2", "sip:b@2", 8);
    send("c3", "sip:c@3", 0);
    send("c4", "sip:b@2", 9);
    assert!(b.table.connection_closed(0).is_empty());
    assert!(b.table.connection_closed(8).is_empty(), "b came back over another connection");
    let gone = b.table.connection_closed(7);
    assert_eq!(gone.iter().map(|b| b.uri()).collect::<Vec<_>>(), ["sip:a@1"]);
    assert_eq!(b.contacts(), ["sip:b@2", "sip:c@3"]);
    assert_eq!(b.table.connection_closed(9).len(), 1);
}

#[test]
fn profiles_keep_apart_and_lookups_see_all_by_q() {
    let b = Bench::new(Multiple::No);
    b.send("c1", 1, &["sip:a@1 q=500"]).unwrap();
    let mut external = b.policy.clone();
    external.profile = "external".into();
    let done =
        b.table.register(b.now, &request("c2", 1, &["sip:b@2"]), flow(0), ("1000", "D"), &external).unwrap();
    assert_eq!(done.contacts.len(), 1);
    assert_eq!(b.contacts(), ["sip:b@2", "sip:a@1"]);
    assert_eq!(b.table.lookup_at(b.now, "internal", "1000", "d").len(), 1);
    assert!(b.table.lookup(b.now, "1001", "d").is_empty());
    assert_eq!(b.table.list(|x| &*x.profile == "external").len(), 1);
    assert_eq!(b.table.flush(|x| &*x.profile == "external").len(), 1);
    assert_eq!(b.contacts(), ["sip:a@1"]);
}

#[test]
fn texts_are_freeswitchs() {
    let mut b = Bench::new(Multiple::Contact);
    b.send("c1", 1, &["sip:1000@10.0.0.9:5060;transport=udp"]).unwrap();
    b.policy.nat = true;
    b.send("c2", 1, &["sip:1000@10.0.0.8:5060;transport=udp"]).unwrap();
    let mut with_path = request("c3", 1, &["sip:1000@10.0.0.7"]);
    with_path.path = Some("<sip:p1;lr>, <sip:p2;lr>".into());
    b.policy.nat = false;
    let done = b.table.register(b.now, &with_path, flow(0), ("1000", "d"), &b.policy).unwrap();
    assert_eq!(done.path.as_deref(), Some("<sip:p1;lr>, <sip:p2;lr>"));
    b.send("c4", 1, &["sip:a,b|c@1"]).unwrap();
    let found = b.table.lookup(b.now, "1000", "d");
    let texts: Vec<String> = found.iter().map(|b| b.fs_contact()).collect();
    assert_eq!(texts[0], "\"\" <sip:1000@10.0.0.9:5060;transport=udp>");
    assert_eq!(
        texts[1],
        "\"\" <sip:1000@10.0.0.8:5060;transport=udp;fs_nat=yes;\
         fs_path=sip%3A1000%40198.51.100.7%3A40000%3Btransport%3Dudp>"
    );
    assert_eq!(texts[2], "\"\" <sip:1000@10.0.0.7;fs_path=%3Csip%3Ap1%3Blr%3E%2C%3Csip%3Ap2%3Blr%3E>");
    assert_eq!(found[3].dial_string(), "sofia/internal/sip:a%2Cb%7Cc@1");
    assert_eq!(
        crate::registrar::dial_string(found[..1].iter().map(|b| &**b)),
        "sofia/internal/sip:1000@10.0.0.9:5060;transport=udp"
    );
    assert_eq!(crate::registrar::dial_string([]), "error/user_not_registered");
    assert_eq!(crate::registrar::status(&found[1]), "Registered(UDP-NAT)");
}

//------------ Whatever comes, in whatever order -----------------------------

impl Registrar {
    /// Every index agrees with what lives.
    fn check(&self, now: Instant, policy: &Policy) {
        for shard in &self.shards {
            let state = shard.lock();
            assert_eq!(state.slots.len(), shard.len.load(Ordering::Relaxed));
            assert_eq!(state.aors.values().map(|s| s.len()).sum::<usize>(), state.slots.len());
            let connected = state.slots.iter().filter(|(_, s)| s.binding.flow.connection != 0).count();
            assert_eq!(state.connections.values().map(|s| s.len()).sum::<usize>(), connected);
            for (aor, slots) in &state.aors {
                assert!(!slots.is_empty() && slots.len() <= self.bounds.per_aor);
                let here: Vec<_> = slots.iter().map(|s| state.binding(*s).expect("a live slot")).collect();
                for (at, one) in here.iter().enumerate() {
                    assert_eq!(self.name(&one.user, &one.domain), *aor);
                    for other in here.iter().skip(at + 1) {
                        assert!(one.uri() != other.uri() || one.reg_id != other.reg_id, "{one:?} {other:?}");
                    }
                }
                if policy.multiple == Multiple::No {
                    assert!(
                        here.iter().all(|b| b.call_id == here[0].call_id && b.cseq == here[0].cseq),
                        "{here:?}"
                    );
                }
            }
            for (connection, slots) in &state.connections {
                assert!(
                    slots.iter().all(|s| state.binding(*s).is_some_and(|b| b.flow.connection == *connection))
                );
            }
            let first = state.slots.iter().map(|(_, s)| s.binding.gone_at()).min();
            if let Some(first) = first {
                let next = self.began + Duration::from_millis(state.queue.next().expect("something is due"));
                assert!(next <= first + Duration::from_millis(1));
            }
        }
        assert!(self.list(|b| b.gone_at() <= now).len() <= self.len());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { user: u8, call: u8, step: u32, connection: u64, wishes: Vec<(u8, u8, u8, u32)> },
    RemoveAll { user: u8, call: u8 },
    Wait(u64),
    Close(u64),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let wish = (0u8..4, 0u8..3, 0u8..3, prop_oneof![Just(0u32), 1u32..500]);
    let send = (0u8..3, 0u8..4, 0u32..3, 0u64..4, prop::collection::vec(wish, 0..4));
    prop::collection::vec(
        prop_oneof![
            6 => send.prop_map(|(user, call, step, connection, wishes)| Step::Send { user, call, step, connection, wishes }),
            1 => (0u8..3, 0u8..4).prop_map(|(user, call)| Step::RemoveAll { user, call }),
            2 => (0u64..300).prop_map(Step::Wait),
            1 => (0u64..4).prop_map(Step::Close),
        ],
        0..60,
    )
}

proptest::proptest! {
    #[test]
    fn whatever_comes_the_table_stays_whole(steps in steps(), mode in 0usize..3, outbound: bool) {
        let mut b = Bench::new([Multiple::No, Multiple::CallId, Multiple::Contact][mode]);
        b.table = Registrar::new(b.now, Bounds { per_aor: 6, total: 14 });
        b.policy.outbound = outbound && b.policy.multiple != Multiple::No;
        let mut cseqs = [0u32; 4];
        for step in steps {
            match step {
                Step::Send { user, call, step, connection, wishes } => {
                    let cseq = &mut cseqs[usize::from(call)];
                    *cseq += step;
                    let texts: Vec<String> = wishes.iter().map(|(uri, instance, reg_id, expires)| {
                        let mut text = format!("sip:{uri}@h expires={expires}");
                        if *instance > 0 {
                            text += &format!(" instance=i{instance}");
                            if *reg_id > 0 {
                                text += &format!(" reg-id={reg_id}");
                            }
                        }
                        text
                    }).collect();
                    let contacts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    let request = request(&format!("c{call}"), *cseq, &contacts);
                    let user = format!("100{user}");
                    let before = b.table.lookup(b.now, &user, "d").len();
                    match b.table.register(b.now, &request, flow(connection), (&user, "d"), &b.policy) {
                        Ok(done) => {
                            let after = b.table.lookup(b.now, &user, "d").len();
                            let count = |f: fn(&Change) -> bool| done.changes.iter().filter(|c| f(c)).count();
                            let added = count(|c| matches!(c, Change::Added(_)));
                            let gone = count(|c| matches!(c, Change::Gone(_, why) if *why != Gone::Expired));
                            proptest::prop_assert_eq!(before + added - gone, after);
                        }
                        Err(refusal) => {
                            proptest::prop_assert!([403, 500, 503].contains(&refusal.status));
                            proptest::prop_assert_eq!(b.table.lookup(b.now, &user, "d").len(), before);
                        }
                    }
                }
                Step::RemoveAll { user, call } => {
                    let cseq = &mut cseqs[usize::from(call)];
                    *cseq += 1;
                    let user = format!("100{user}");
                    let request = request(&format!("c{call}"), *cseq, &["*"]);
                    b.table.register(b.now, &request, flow(0), (&user, "d"), &b.policy).unwrap();
                    proptest::prop_assert!(b.table.lookup(b.now, &user, "d").is_empty());
                }
                Step::Wait(seconds) => {
                    b.wait(seconds);
                    proptest::prop_assert!(b.table.list(|x| x.gone_at() <= b.now).is_empty());
                }
                Step::Close(connection) => {
                    b.table.connection_closed(connection);
                    proptest::prop_assert!(connection == 0 || b.table.list(|x| x.flow.connection == connection).is_empty());
                }
            }
            b.table.check(b.now, &b.policy);
        }
    }
}

#[test]
fn contacts_follow_the_names_of_their_profiles() {
    let mut b = Bench::new(Multiple::No);
    b.send("c1", 1, &["sip:1000@10.0.0.9 expires=600"]).unwrap();
    let before = b.table.lookup(b.now, "1000", "d");
    // Two that take each other's name are not thrown together.
    b.table.rename_profiles(|name| match name {
        "internal" => Some("inside".into()),
        "inside" => Some("internal".into()),
        _ => None,
    });
    assert_eq!(b.table.lookup_at(b.now, "inside", "1000", "d").len(), 1);
    assert_eq!(&*before[0].profile, "internal", "who looked before keeps what it saw");
    b.policy = Policy::new("inside");
    let done = b.send("c1", 2, &["sip:1000@10.0.0.9 expires=300"]).unwrap();
    assert!(matches!(done.changes.as_slice(), [Change::Refreshed(_)]));
    assert_eq!(b.table.len(), 1);
    assert_eq!(b.wait(600).len(), 1);
}
