//! RTP through a server: calls are set up, then both ends of each send G.711 every 20 ms, and every packet tells when and
//! where it left. Counted at the other end: what is missing, late, twice, out of order, or came to the wrong place.

mod socket;

use crate::calls::{self, Engine};
use crate::measure::{Clock, Histogram, duration, snapshot};
use crate::net::Receiver;
use socket::{Sockets, time_of_day};
use std::net::{IpAddr, SocketAddr};

/// Time between two packets of a stream.
const PAUSE: u64 = 20_000_000;
/// How long received packets may wait in their sockets.
const TAKEN_EVERY: u64 = 300_000;
/// RTP header and 20 ms of G.711.
const PACKET: usize = 172;

/// What is to be done.
pub struct Plan {
    /// How the calls are set up; their hold has no end.
    pub calls: calls::Plan,
    /// Our address.
    pub ip: IpAddr,
    /// For how long packets are counted.
    pub seconds: u64,
    /// For how long they flow before.
    pub warm_up: u64,
    /// Sockets of each side; calls share them when there are fewer.
    pub sockets: usize,
}

/// One direction of one call.
struct Stream {
    from: usize,
    socket: usize,
    to: SocketAddr,
    payload: u8,
    /// The socket of the other side where it must arrive.
    arrives: usize,
    next: u32,
    seen: Vec<u64>,
    highest: u32,
    got: u32,
}

/// What became of one direction.
#[derive(Default)]
pub struct Direction {
    /// Packets sent while counting.
    pub sent: u64,
    /// Of those, arrived.
    pub arrived: u64,
    /// Arrived after a later one.
    pub disordered: u64,
    /// Sent to here by the server although another stream's.
    pub crossed: u64,
    /// Arrived more than once.
    pub twice: u64,
    /// From our send to the kernel's time stamp at the other end.
    pub delay: Histogram,
    /// The greatest share that one stream lost.
    pub worst: f64,
}

/// How it went.
#[derive(Default)]
pub struct Outcome {
    /// Calls that stood.
    pub calls: u64,
    /// Caller to callee, callee to caller.
    pub directions: [Direction; 2],
    /// Packets that were not ours.
    pub strays: u64,
    /// How late packets were sent.
    pub lag: Histogram,
    /// The share of the time in which the generator had something to do.
    pub busy: f64,
    /// Lost at our own sockets, and not taken by the kernel when sent.
    pub overflowed: [u64; 2],
    /// The server's CPU time in nanoseconds while packets were counted, and its resident memory in KiB before, and with
    /// all calls.
    pub server: Option<(u64, u64, u64)>,
    /// How long packets were counted, nanoseconds.
    pub lasted: u64,
}

/// Sets up the calls, sends, counts, and hangs up. The set-up's own outcome stays in the engine.
pub fn run(plan: &mut Plan, clock: Clock, pid: Option<u32>) -> Result<(Outcome, calls::Outcome), String> {
    socket::allow_files();
    let mut sockets = Sockets::open(plan.ip, plan.sockets).map_err(|e| {
        format!(
            "cannot open {} sockets: {e} (fewer with --rtp-sockets, or raise ulimit -n)",
            plan.sockets * 2
        )
    })?;
    plan.calls.ports = [sockets.ports(0), sockets.ports(1)];
    let empty = pid.and_then(snapshot).map_or(0, |look| look.resident);
    let (mut engine, mut receivers) = Engine::open(&plan.calls, clock)?;
    engine.set_up(&mut receivers);
    let pairs = engine.pairs();
    if pairs.is_empty() {
        return Err(match engine.out.failed.iter().next() {
            Some((why, _)) => format!("no call stands: {why}"),
            None => "no call stands: the answers had no SDP with G.711".to_owned(),
        });
    }
    let mut streams = Vec::new();
    for pair in &pairs {
        let (a, b) = (
            pair.caller as usize % plan.calls.ports[0].len(),
            pair.callee as usize % plan.calls.ports[1].len(),
        );
        let window = ((plan.seconds + plan.warm_up + 1) * 50).div_ceil(64) as usize;
        for (from, socket, arrives, (to, payload)) in
            [(0, a, b, pair.caller_media), (1, b, a, pair.callee_media)]
        {
            streams.push(Stream {
                from,
                socket,
                to,
                payload,
                arrives,
                next: 0,
                seen: vec![0; window],
                highest: 0,
                got: 0,
            });
        }
    }
    let mut out = Outcome { calls: pairs.len() as u64, ..Outcome::default() };
    let full = pid.and_then(snapshot);
    flow(plan, clock, &mut engine, &mut receivers, &mut sockets, &mut streams, &mut out, pid);
    if let (Some((_, before, with)), Some(full)) = (&mut out.server, full) {
        *before = empty;
        *with = full.resident;
    }
    engine.end(&mut receivers);
    Ok((out, engine.out))
}

/// Steps through the streams so that neighbours in time are not neighbours at the server.
fn scattered(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_u32;
    for i in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        order.swap(i, state as usize % (i + 1));
    }
    order
}

#[allow(clippy::too_many_arguments)]
fn flow(
    plan: &Plan,
    clock: Clock,
    engine: &mut Engine,
    receivers: &mut [Receiver],
    sockets: &mut Sockets,
    streams: &mut [Stream],
    out: &mut Outcome,
    pid: Option<u32>,
) {
    let run = rand::random::<u32>();
    let order = scattered(streams.len());
    let warm = (plan.warm_up * 50) as u32;
    let rounds = warm + (plan.seconds * 50) as u32;
    let total = u64::from(rounds) * streams.len() as u64;
    let counted_from = u64::from(warm) * streams.len() as u64;
    let step = PAUSE as f64 / streams.len() as f64;
    let mut packet = [0xd5_u8; PACKET];
    let begin = clock.now();
    let (mut sent, mut busy, mut last, mut looked, mut taken) = (0_u64, 0_u64, begin, 0_u64, 0_u64);
    let (mut counting_since, mut quiet_since) = (None, None);
    let mut before = None;
    loop {
        let now = clock.now();
        let mut worked = now > looked + 1_000_000 && {
            looked = now;
            engine.pass(receivers)
        };
        for _ in 0..16 {
            if sent >= total {
                break;
            }
            let due = begin + (sent as f64 * step) as u64;
            if now < due {
                break;
            }
            if sent == counted_from {
                counting_since = Some(now);
                busy = 0;
                before = pid.and_then(snapshot);
            }
            worked = true;
            let index = order[sent as usize % order.len()];
            sent += 1;
            let stream = &mut streams[index];
            if stream.next >= warm {
                out.directions[stream.from].sent += 1;
                out.lag.add(now - due);
            }
            write(&mut packet, run, index, stream);
            stream.next += 1;
            if !sockets.send(stream.from, stream.socket, &packet, stream.to) {
                out.overflowed[1] += 1;
            }
        }
        // When a packet came, its time stamp says; so they may wait and be taken many at once.
        if now > taken + TAKEN_EVERY {
            taken = now;
            worked |= sockets.receive(|side, socket, packet, came| {
                if !take(packet, side, socket, came, run, warm, streams, out) {
                    out.strays += 1;
                }
            });
        }
        let now = clock.now();
        if worked {
            busy += now - last;
        }
        last = now;
        if sent >= total {
            if quiet_since.is_none() {
                quiet_since = Some(now);
                let since = counting_since.unwrap_or(begin);
                out.lasted = now - since;
                out.busy = busy as f64 / out.lasted.max(1) as f64;
                if let (Some(before), Some(after)) = (before, pid.and_then(snapshot)) {
                    out.server = Some((after.cpu.saturating_sub(before.cpu), 0, 0));
                }
            } else if now > quiet_since.unwrap_or(now) + 700_000_000 {
                break;
            }
        }
    }
    out.overflowed[0] = sockets.overflowed();
    let expected = (rounds - warm).max(1);
    for stream in streams {
        let share = 1.0 - f64::from(stream.got) / f64::from(expected);
        let direction = &mut out.directions[stream.from];
        direction.worst = direction.worst.max(share);
    }
}

/// RTP's header, then: whose run, which stream, which packet, and when.
fn write(packet: &mut [u8; PACKET], run: u32, index: usize, stream: &Stream) {
    packet[0] = 0x80;
    packet[1] = stream.payload | if stream.next == 0 { 0x80 } else { 0 };
    packet[2..4].copy_from_slice(&(stream.next as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(stream.next.wrapping_mul(160)).to_be_bytes());
    packet[8..12].copy_from_slice(&(run ^ index as u32).to_be_bytes());
    packet[12..16].copy_from_slice(&run.to_be_bytes());
    packet[16..20].copy_from_slice(&(index as u32).to_be_bytes());
    packet[20..24].copy_from_slice(&stream.next.to_be_bytes());
    packet[24..32].copy_from_slice(&time_of_day().to_be_bytes());
}

#[allow(clippy::too_many_arguments)]
fn take(
    packet: &[u8],
    side: usize,
    socket: usize,
    came: u64,
    run: u32,
    warm: u32,
    streams: &mut [Stream],
    out: &mut Outcome,
) -> bool {
    let word = |at: usize| {
        let bytes = packet.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let (Some(theirs), Some(index), Some(number), Some(high), Some(low)) =
        (word(12), word(16), word(20), word(24), word(28))
    else {
        return false;
    };
    if theirs != run || packet.len() != PACKET {
        return false;
    }
    let Some(stream) = streams.get_mut(index as usize) else {
        return false;
    };
    let direction = &mut out.directions[stream.from];
    if side == stream.from || socket != stream.arrives {
        direction.crossed += 1;
        return true;
    }
    let Some(word) = stream.seen.get_mut(number as usize / 64) else {
        return false;
    };
    if *word & (1 << (number % 64)) != 0 {
        direction.twice += 1;
        return true;
    }
    *word |= 1 << (number % 64);
    if number < warm {
        stream.highest = stream.highest.max(number);
        return true;
    }
    stream.got += 1;
    direction.arrived += 1;
    if number < stream.highest {
        direction.disordered += 1;
    }
    stream.highest = stream.highest.max(number);
    let left = (u64::from(high) << 32) | u64::from(low);
    direction.delay.add(came.saturating_sub(left));
    true
}

impl Outcome {
    /// The share of counted packets that did not arrive.
    pub fn lost_share(&self) -> f64 {
        let sent: u64 = self.directions.iter().map(|way| way.sent).sum();
        let arrived: u64 = self.directions.iter().map(|way| way.arrived).sum();
        sent.saturating_sub(arrived) as f64 / sent.max(1) as f64
    }

    fn arrived(&self) -> u64 {
        self.directions.iter().map(|way| way.arrived).sum()
    }

    /// The figures whose medians are told.
    pub fn step(&self) -> crate::search::Step {
        let [there, back] = &self.directions;
        let most = |share: f64| there.delay.quantile(share).max(back.delay.quantile(share));
        let seconds = self.lasted.max(1) as f64 / 1e9;
        let mut figures = vec![
            ("delay p50 µs", most(0.5)),
            ("p99 µs", most(0.99)),
            ("p99.9 µs", most(0.999)),
            ("out of order", (there.disordered + back.disordered) as f64),
            ("generator busy %", self.busy * 100.0),
        ];
        if let Some((cpu, before, with)) = self.server {
            figures.insert(0, ("CPU µs/packet", cpu as f64 / 1000.0 / self.arrived().max(1) as f64));
            figures.push(("server %", cpu as f64 / seconds / 1e7));
            figures.push(("KiB/call", with.saturating_sub(before) as f64 / self.calls.max(1) as f64));
        }
        crate::search::Step {
            rate: (there.sent + back.sent) as f64 / seconds,
            good: self.arrived() as f64 / seconds,
            lost: self.lost_share(),
            limited: self.busy > 0.97,
            figures,
        }
    }

    /// Why the generator, and not the server, may have set the figure.
    pub fn doubts(&self, plan: &Plan) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.busy > 0.97 {
            doubts.push(format!(
                "the generator was busy {:.0} % of the time: it was the limit",
                self.busy * 100.0
            ));
        }
        if self.lag.quantile(0.999) > 20_000.0 {
            doubts.push(format!(
                "packets left late: p99.9 {}, at most {}",
                duration(self.lag.quantile(0.999)),
                duration(self.lag.max())
            ));
        }
        if self.overflowed != [0, 0] {
            doubts.push(format!(
                "{} packets were lost at the generator's own sockets, {} not taken by the kernel",
                self.overflowed[0], self.overflowed[1]
            ));
        }
        if self.calls < plan.calls.count {
            doubts.push(format!("only {} of {} calls stood", self.calls, plan.calls.count));
        }
        doubts
    }

    /// For a reader.
    pub fn print(&self, plan: &Plan, calls: &calls::Outcome) {
        println!(
            "RTP through {}: {} calls, G.711 every 20 ms both ways, {} s counted, {} sockets a side",
            plan.calls.server, self.calls, plan.seconds, plan.sockets
        );
        for (title, way) in ["caller to callee", "callee to caller"].iter().zip(&self.directions) {
            println!(
                "  {title}: {} sent, {} arrived, {} lost ({:.4} %; of the worst stream {:.2} %), {} out of order, {} twice, {} at the wrong place",
                way.sent,
                way.arrived,
                way.sent.saturating_sub(way.arrived),
                way.sent.saturating_sub(way.arrived) as f64 / way.sent.max(1) as f64 * 100.0,
                way.worst * 100.0,
                way.disordered,
                way.twice,
                way.crossed
            );
            println!("{}", way.delay.line("  delay"));
        }
        if let Some((cpu, before, with)) = self.server {
            println!(
                "  server: {:.2} µs CPU per relayed packet, {:.1} % of a core; memory {before} KiB before, {with} KiB with all calls",
                cpu as f64 / 1000.0 / self.arrived().max(1) as f64,
                cpu as f64 / self.lasted.max(1) as f64 * 100.0
            );
        }
        println!(
            "  generator: busy {:.0} %, {:.0} packets/s sent, late by p99 {}, at most {}; {} strays",
            self.busy * 100.0,
            self.directions.iter().map(|way| way.sent).sum::<u64>() as f64
                / (self.lasted.max(1) as f64 / 1e9),
            duration(self.lag.quantile(0.99)),
            duration(self.lag.max()),
            self.strays
        );
        println!("  calls: {} of {} answered, {} ended well", calls.answered, calls.offered, calls.carried);
        for (why, count) in &calls.failed {
            println!("    {count:>8}  {why}");
        }
        for doubt in self.doubts(plan) {
            println!("  NOTE: {doubt}");
        }
    }

    /// For scripts.
    pub fn json(&self, plan: &Plan, calls: &calls::Outcome) -> serde_json::Value {
        let way = |way: &Direction| {
            serde_json::json!({
                "sent": way.sent, "arrived": way.arrived, "disordered": way.disordered, "twice": way.twice,
                "crossed": way.crossed, "worst_stream_lost_share": way.worst, "delay": way.delay.json(),
            })
        };
        serde_json::json!({
            "kind": "rtp", "calls": self.calls, "calls_offered": calls.offered, "calls_ended_well": calls.carried,
            "failures": calls.failed, "seconds": plan.seconds, "lost_share": self.lost_share(),
            "caller_to_callee": way(&self.directions[0]), "callee_to_caller": way(&self.directions[1]),
            "strays": self.strays, "generator_busy": self.busy, "generator_lag": self.lag.json(),
            "doubts": self.doubts(plan),
            "server": self.server.map(|(cpu, before, with)| serde_json::json!({
                "cpu_us_per_packet": cpu as f64 / 1000.0 / self.arrived().max(1) as f64,
                "cpu_share": cpu as f64 / self.lasted.max(1) as f64,
                "resident_before": before, "resident_with_calls": with,
            })),
        })
    }
}
