use super::*;

const SDP: &str = "10.0.0.4:7078";
const PHONE: &str = "203.0.113.7:40000"; // the phone as its NAT shows it
const PHONE2: &str = "203.0.113.7:40022"; // after the NAT gave it another port
const EVIL: &str = "198.51.100.66:9";

fn at(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

fn nat(signalling: Option<&str>) -> Remote {
    Remote { signalling: signalling.map(|s| at(s).ip()), ..Remote::at(at(SDP)).behind_nat() }
}

/// Plays `(milliseconds, source, ssrc, expected)`; a letter stands for the admission:
/// L latched, T taken, M moved, - refused.
fn play(latch: &mut Latch, t0: Instant, script: &[(u64, &str, u32, char)]) {
    for (i, (ms, from, ssrc, want)) in script.iter().enumerate() {
        let got = match latch.admit(t0 + Duration::from_millis(*ms), at(from), Some(*ssrc)) {
            Admission::Latched => 'L',
            Admission::Taken => 'T',
            Admission::Moved(_) => 'M',
            Admission::Refused => '-',
        };
        assert_eq!(got, *want, "step {i}: {from} at {ms} ms");
    }
}

#[test]
fn the_table() {
    type Script<'a> = &'a [(u64, &'a str, u32, char)];
    let never = Remote::at(at(SDP));
    let port = Remote { learn: Learn::Port, ..never };
    let table: &[(&str, Remote, Script<'_>)] = &[
        ("never: exact only", never, &[(0, PHONE, 1, '-'), (20, "10.0.0.4:9", 1, '-'), (40, SDP, 1, 'L')]),
        (
            "never: a silent source is not replaced",
            never,
            &[
                (0, SDP, 1, 'L'),
                (9000, PHONE, 1, '-'),
                (9020, PHONE, 1, '-'),
                (9040, PHONE, 1, '-'),
                (9060, SDP, 2, 'T'),
            ],
        ),
        ("port: another port of the same host", port, &[(0, PHONE, 1, '-'), (20, "10.0.0.4:9", 1, 'L')]),
        (
            "nat: first stranger in the window, then hold",
            nat(None),
            &[
                (100, PHONE, 1, 'L'),
                (120, EVIL, 2, '-'),
                (140, PHONE, 1, 'T'),
                (160, EVIL, 2, '-'),
                (180, EVIL, 2, '-'),
                (200, EVIL, 2, '-'),
                (220, PHONE, 1, 'T'),
            ],
        ),
        ("nat: no stranger after the window", nat(None), &[(10_001, PHONE, 1, '-'), (10_020, SDP, 1, 'L')]),
        (
            "nat: the SIP source's host may come late",
            nat(Some(PHONE)),
            &[(60_000, EVIL, 2, '-'), (60_020, PHONE, 1, 'L')],
        ),
        (
            "attacker first, phone sends from the signalled address",
            nat(None),
            &[
                (0, EVIL, 2, 'L'),
                (20, SDP, 1, '-'),
                (30, EVIL, 2, 'T'),
                (40, SDP, 1, '-'),
                (60, SDP, 1, 'M'),
                (70, EVIL, 2, '-'),
                (80, SDP, 1, 'T'),
            ],
        ),
        (
            "attacker first and long before, phone behind NAT known by its SIP",
            nat(Some(PHONE)),
            &[
                (0, EVIL, 2, 'L'),
                (30_000, EVIL, 2, 'T'),
                (30_020, PHONE, 1, '-'),
                (30_040, PHONE, 1, '-'),
                (30_060, PHONE, 1, 'M'),
                (30_080, EVIL, 2, '-'),
            ],
        ),
        (
            "attacker sprayed once, phone unknown to signalling",
            nat(None),
            &[
                (0, EVIL, 2, 'L'),
                (100, PHONE, 1, '-'),
                (220, PHONE, 1, '-'),
                (240, PHONE, 1, '-'),
                (260, PHONE, 1, 'M'),
            ],
        ),
        (
            "two strangers who both keep sending: the first holds",
            nat(None),
            &[
                (0, EVIL, 2, 'L'),
                (20, PHONE, 1, '-'),
                (40, EVIL, 2, 'T'),
                (60, PHONE, 1, '-'),
                (80, EVIL, 2, 'T'),
                (100, PHONE, 1, '-'),
            ],
        ),
        (
            "NAT rebinding: same SSRC after silence",
            nat(None),
            &[
                (0, PHONE, 1, 'L'),
                (20_000, PHONE, 1, 'T'),
                (20_500, PHONE2, 1, '-'),
                (21_000, PHONE2, 1, '-'),
                (21_020, PHONE2, 1, '-'),
                (21_040, PHONE2, 1, 'M'),
            ],
        ),
        (
            "silence does not let a stranger with another SSRC in",
            nat(None),
            &[
                (0, PHONE, 1, 'L'),
                (20_000, PHONE, 1, 'T'),
                (40_000, EVIL, 2, '-'),
                (40_020, EVIL, 2, '-'),
                (40_040, EVIL, 2, '-'),
                (40_060, EVIL, 2, '-'),
                (40_080, PHONE, 3, 'T'),
            ],
        ),
        (
            "attackers taking turns never pass probation",
            nat(None),
            &[
                (0, PHONE, 1, 'L'),
                (300, EVIL, 2, '-'),
                (320, "198.51.100.67:9", 2, '-'),
                (340, EVIL, 2, '-'),
                (360, "198.51.100.67:9", 2, '-'),
                (380, PHONE, 1, 'T'),
            ],
        ),
    ];
    for (what, remote, script) in table {
        println!("{what}");
        let t0 = Instant::now();
        let mut latch = Latch::default();
        assert_eq!(latch.admit(t0, at(SDP), Some(1)), Admission::Refused, "nobody before signalling");
        assert!(latch.signalled(t0, *remote));
        play(&mut latch, t0, script);
    }
}

#[test]
fn signalling_opens_the_latch_only_when_it_changes_something() {
    let t0 = Instant::now();
    let mut latch = Latch::default();
    latch.signalled(t0, nat(None));
    assert_eq!(latch.target(), Some(at(SDP)));
    play(&mut latch, t0, &[(0, EVIL, 2, 'L')]);
    assert!(!latch.signalled(t0, nat(None)), "a session refresh");
    assert_eq!(latch.source(), Some(at(EVIL)));
    latch.unlatch(t0);
    play(&mut latch, t0, &[(0, PHONE, 1, 'L'), (20, EVIL, 2, '-')]);

    let new_port = Remote { rtp: at("10.0.0.4:7080"), ..nat(None) };
    assert!(latch.signalled(t0, new_port));
    assert_eq!((latch.source(), latch.target()), (None, Some(at(PHONE))), "never back to a private address");
    let new_host = Remote { rtp: at("192.0.2.1:5000"), ..nat(None) };
    assert!(latch.signalled(t0, new_host));
    assert_eq!(latch.target(), Some(at("192.0.2.1:5000")));

    play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
    let strict = Remote { learn: Learn::Never, ..new_host };
    assert!(latch.signalled(t0, strict), "what is held would not count any more");
    assert_eq!(latch.target(), Some(at("192.0.2.1:5000")));
}

#[test]
fn without_ssrc_nobody_is_followed_after_silence() {
    let (t0, mut latch) = (Instant::now(), Latch::default());
    latch.signalled(t0, nat(None));
    assert_eq!(latch.admit(t0, at(PHONE), None), Admission::Latched);
    for s in 20..30 {
        assert_eq!(latch.admit(t0 + Duration::from_secs(s), at(EVIL), None), Admission::Refused);
    }
}

#[test]
fn what_to_expect_follows_from_sdp_and_sip() {
    assert_eq!(Remote::seen_from(at(SDP), at(SDP).ip()).learn, Learn::Port);
    let behind = Remote::seen_from(at(SDP), at(PHONE).ip());
    assert_eq!((behind.learn, behind.signalling), (nat(None).learn, Some(at(PHONE).ip())));
}

#[test]
fn only_the_signalled_address_is_certain() {
    let t0 = Instant::now();
    let mut latch = Latch::default();
    latch.signalled(t0, nat(Some(PHONE)));
    play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
    assert_eq!(latch.certain(), None);
    play(&mut latch, t0, &[(20, SDP, 1, '-'), (40, SDP, 1, '-'), (60, SDP, 1, 'M')]);
    assert_eq!(latch.certain(), Some(at(SDP)));
    assert!(!latch.is_silent(t0 + Duration::from_millis(1059)));
    assert!(latch.is_silent(t0 + Duration::from_millis(1060)));
}

#[test]
fn rtcp_follows_rtp() {
    let t0 = Instant::now();
    let mut latch = Latch::default();
    let mut rtcp = RtcpLatch::default();
    assert!(!rtcp.admit(at(SDP), &latch));
    latch.signalled(t0, nat(None));
    assert!(!rtcp.admit(at(EVIL), &latch), "never a stranger");
    assert_eq!(rtcp.target(&latch), Some(at("10.0.0.4:7079")));
    assert!(rtcp.admit(at("10.0.0.4:7079"), &latch));
    rtcp.unlatch();
    play(&mut latch, t0, &[(0, PHONE, 1, 'L')]);
    assert_eq!(rtcp.target(&latch), Some(at("203.0.113.7:40001")));
    assert!(rtcp.admit(at("203.0.113.7:51000"), &latch), "a NAT picks any port");
    assert!(!rtcp.admit(at("203.0.113.7:51002"), &latch), "the first holds");
    assert_eq!(rtcp.target(&latch), Some(at("203.0.113.7:51000")));
    assert!(rtcp.admit(at("203.0.113.7:40001"), &latch), "port + 1 is better");

    let mut strict = Latch::default();
    strict.signalled(t0, Remote { rtcp: Some(at("10.0.0.5:99")), ..Remote::at(at(SDP)) });
    let mut rtcp = RtcpLatch::default();
    assert_eq!(rtcp.target(&strict), Some(at("10.0.0.5:99")));
    assert!(!rtcp.admit(at("10.0.0.4:7079"), &strict));
    assert!(rtcp.admit(at("10.0.0.5:99"), &strict));
}
