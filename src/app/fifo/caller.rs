//! `fifo … in`: a caller waits until a consumer takes it, a member that is called for it answers, or its time is up.

use super::super::bridge::{By, joined, stay};
use super::super::call::Call;
use super::super::lamp;
use super::{now, stands, tell};
use crate::channel::{Cause, Happening, Leg, Letter, Order};
use crate::dial::{Winner, originate};
use crate::presence::State;
use crate::store::fifo::{Caller, Engaged, Engagement, PRIORITIES, Ticket};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Seconds a caller waits that has somewhere else to go.
const USUAL: u64 = 60;

/// Why a caller waits no longer.
enum Parting {
    /// It talks to somebody, or has talked.
    Served,
    /// Its time was up.
    TimeOut,
    /// It pressed a key to go.
    Key(char),
    /// It is gone, or was sent elsewhere.
    Gone,
}

pub(super) async fn run(call: &mut Call, name: &str, importance: u32, answers: bool) {
    let leg = &mut call.leg;
    if answers && leg.answer(None).is_err() {
        return;
    }
    let said = leg.variables.get("fifo_priority").map(|text| text.trim().parse::<u8>().unwrap_or(0));
    let priority = said.unwrap_or(0).min(PRIORITIES - 1);
    let caller = Caller {
        uuid: leg.uuid.clone(),
        since: Leg::now(),
        vip: leg.variables.is_true("fifo_vip"),
        skill: leg.variables.get("fifo_skill").map(Arc::from),
    };
    let fifos = leg.exchange.stores.fifos.clone();
    let ticket = match fifos.push(name, importance, priority, caller) {
        Ok(ticket) => ticket,
        Err(full) => return warn!("{} {}: does not wait in {name}: {full}", leg.uuid, leg.name()),
    };
    info!("{} {}: waits in {name}, {} of priority {priority}", leg.uuid, leg.name(), ticket.position);
    leg.variables.print("fifo_position", ticket.position);
    if said.is_none() {
        leg.variables.print("fifo_priority", priority);
    }
    leg.variables.unset("fifo_serviced_uuid");
    leg.variables.set("fifo_push_timestamp", now());
    stands(leg, "WAITING");
    tell(leg, name, "push", || vec![("FIFO-Slot".into(), priority.to_string())]);
    let orbit = Orbit::of(leg);
    let lamp = lamp::show(leg, "queue", name, State::Confirmed);
    let transfers = call.transfers();
    let parting = wait(call, name, &ticket, orbit.as_ref().map(|orbit| orbit.until)).await;
    let served_by = ticket.served_by();
    drop((ticket, lamp));
    match parting {
        Parting::Served => {}
        Parting::Gone if call.leg.takes_joined() => talk(call, name, served_by).await,
        Parting::Gone => return abort(&mut call.leg, name),
        Parting::TimeOut => {
            stands(&mut call.leg, "TIMEOUT");
            tell(&call.leg, name, "timeout", Vec::new);
            return Orbit::go(orbit, call);
        }
        Parting::Key(key) => {
            abort(&mut call.leg, name);
            call.leg.variables.print("fifo_caller_exit_key", key);
            if call.leg.variables.is_true("fifo_caller_exit_to_orbit") {
                Orbit::go(orbit, call);
            }
            return;
        }
    }
    stands(&mut call.leg, "DONE");
    // Who was served has nothing else to do.
    if !call.leg.is_leaving() && call.transfers() == transfers {
        call.leg.hangup(Cause::NORMAL_CLEARING);
    }
}

fn abort(leg: &mut Leg, name: &str) {
    stands(leg, "ABORTED");
    tell(leg, name, "abort", Vec::new);
}

async fn wait(call: &mut Call, name: &str, ticket: &Ticket, until: Option<Instant>) -> Parting {
    let keys = call.leg.variables.get("fifo_caller_exit_key").unwrap_or_default().to_owned();
    let fifos = call.leg.exchange.stores.fifos.clone();
    loop {
        let now = Leg::now();
        if call.leg.is_leaving() {
            return Parting::Gone;
        }
        if until.is_some_and(|at| at <= now) {
            return Parting::TimeOut;
        }
        let later = match fifos.engage(ticket, now) {
            Engaged::Now(engagement) => match ring(call, name, ticket, engagement, until).await {
                true => return Parting::Served,
                false => continue,
            },
            Engaged::Later(at) => at,
        };
        let deadline = later.into_iter().chain(until).min();
        let happening = tokio::select! {
            happening = call.leg.next_until(deadline) => happening,
            () = ticket.changed() => continue,
        };
        let happening = match happening {
            // It runs in the middle of the wait, whatever happens to the queue meanwhile.
            Happening::Execute => call.next_until(Some(Leg::now())).await,
            other => other,
        };
        match happening {
            Happening::Over => return Parting::Gone,
            Happening::Digit { digit, .. } if keys.contains(digit) => return Parting::Key(digit),
            _ => {}
        }
    }
}

/// A consumer has taken the caller.
async fn talk(call: &mut Call, name: &str, served_by: Option<Arc<str>>) {
    let leg = &mut call.leg;
    if let Some(uuid) = leg.partner_uuid().cloned() {
        begin(leg, "caller", &uuid);
        leg.variables.set("fifo_serviced_uuid", &uuid);
        leg.variables.set("fifo_serviced_by", served_by.as_deref().unwrap_or(&uuid));
    }
    tell(leg, name, "bridge-caller-start", Vec::new);
    stay(call).await;
    tell(&call.leg, name, "bridge-caller-stop", Vec::new);
}

/// What is known of a leg that has begun to talk to another.
pub(super) fn begin(leg: &mut Leg, role: &str, other: &str) {
    stands(leg, "TALKING");
    for (name, value) in [
        ("fifo_target", other),
        ("fifo_role", role),
        ("fifo_initiated_bridge", "true"),
        ("fifo_bridge_role", role),
    ] {
        leg.variables.set(name, value);
    }
}

//------------ Members ------------------------------------------------------------------------------------------

/// Calls members for the caller; true when one has talked to it.
async fn ring(
    call: &mut Call,
    name: &str,
    ticket: &Ticket,
    mut engagement: Engagement,
    until: Option<Instant>,
) -> bool {
    let text = dial_string(&call.leg, name, &engagement, until);
    let ids: Vec<&str> = engagement.called.iter().map(|called| &*called.id).collect();
    let told = [
        ("outbound-strategy".into(), "ringall".to_owned()),
        ("caller-uuid".into(), call.leg.uuid.to_string()),
        ("originate_string".into(), crate::dialplan::plain(&text).into_owned()),
        ("FIFO-Outbound-UUID-List".into(), ids.join(",")),
    ];
    tell(&call.leg, name, "pre-dial", || told.to_vec());
    let result = Box::pin(originate(&mut call.leg, &text)).await;
    let leg = &mut call.leg;
    let winner = match result {
        Ok(winner) => winner,
        Err(failure) => {
            tell(leg, name, "post-dial", || {
                let mut headers = told.to_vec();
                headers.push(("result".into(), "failure".to_owned()));
                headers.push(("cause".into(), failure.cause.name().to_owned()));
                headers
            });
            if !leg.is_leaving() {
                info!("{} {}: no member of {name} answers: {}", leg.uuid, leg.name(), failure.cause.name());
                engagement.failed(Leg::now());
            }
            return false;
        }
    };
    if leg.is_leaving() || !ticket.leave() {
        // A consumer was quicker, and comes at once.
        winner.mailbox.post(Letter::Order(Order::Hangup(Cause::PICKED_OFF)));
        leg.dialled_ended(winner.mailbox.token);
        return false;
    }
    let id = winner.said("fifo_outbound_uuid").unwrap_or_default();
    let at = engagement.called.iter().position(|called| *called.id == *id).unwrap_or(0);
    let id: Arc<str> = id.into();
    engagement.answered(at);
    tell(leg, name, "post-dial", || {
        let mut headers = told.to_vec();
        headers.push(("result".into(), "success".to_owned()));
        headers.push(("FIFO-Outbound-UUID".into(), id.to_string()));
        headers
    });
    served_by_member(leg, name, &winner, &id);
    joined(call, winner, By::Us).await;
    engagement.over(Leg::now());
    tell(&call.leg, name, "bridge-caller-stop", Vec::new);
    true
}

fn served_by_member(leg: &mut Leg, name: &str, winner: &Winner, id: &Arc<str>) {
    begin(leg, "caller", &winner.uuid);
    leg.variables.set("fifo_serviced_uuid", &winner.uuid);
    leg.variables.set("fifo_serviced_by", id);
    let member: Vec<(String, String)> = [
        ("fifo_status", "TALKING"),
        ("fifo_target", &leg.uuid),
        ("fifo_role", "consumer"),
        ("fifo_bridge_role", "consumer"),
        ("fifo_initiated_bridge", "true"),
        ("fifo_timestamp", &now()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    winner.mailbox.post(Letter::Order(Order::Set(member.into())));
    tell(leg, name, "bridge-caller-start", || {
        vec![
            ("FIFO-Consumer-Outbound-ID".into(), id.to_string()),
            ("FIFO-Consumer-UUID".into(), winner.uuid.to_string()),
        ]
    });
}

/// One dial string for all members, each independent of the others.
fn dial_string(leg: &Leg, name: &str, engagement: &Engagement, until: Option<Instant>) -> String {
    let longest = engagement.called.iter().map(|called| called.timeout).max().unwrap_or_default();
    let left = until.map(|at| at.saturating_duration_since(Leg::now()));
    let limit = left.map_or(longest, |left| left.min(longest)).max(Duration::from_secs(1)).as_secs();
    let guarded = |text: &str| crate::dialplan::guarded(text).into_owned();
    let mut text = format!(
        "<ignore_early_media=true,outbound_redirect_fatal=true,originate_timeout={limit},fifo_bridge_uuid={},fifo_name={}",
        leg.uuid,
        guarded(name)
    );
    if let Some(shown) = &engagement.terms.name {
        let shown = match shown.strip_prefix('=') {
            Some(whole) => whole.to_owned(),
            None => format!("({shown}) {}", leg.caller.caller_id_name),
        };
        let _ = write!(text, ",origination_caller_id_name={}", guarded(&shown));
    }
    text.push('>');
    let mut first = true;
    for called in &engagement.called {
        for part in called.url.split(":_:") {
            // Variables round all of a string stand only in front of the whole.
            let own = match part.trim_start().strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((variables, rest)) => format!("{{{variables}}}{rest}"),
                None => part.to_owned(),
            };
            if !std::mem::take(&mut first) {
                text.push_str(":_:");
            }
            let _ = write!(
                text,
                "{{leg_timeout={},fifo_outbound_uuid={}}}{own}",
                called.timeout.as_secs(),
                guarded(&called.id)
            );
        }
    }
    text
}

//------------ Elsewhere ----------------------------------------------------------------------------------------

/// Where a caller goes whose time is up.
struct Orbit {
    exten: String,
    dialplan: Option<String>,
    context: Option<String>,
    until: Instant,
}

impl Orbit {
    /// `fifo_orbit_exten=number[:seconds]`, `fifo_orbit_dialplan`, `fifo_orbit_context`.
    fn of(leg: &Leg) -> Option<Orbit> {
        let (text, wire) = leg.variables.get_marked("fifo_orbit_exten")?;
        let (exten, seconds) = text.split_once(':').unwrap_or((text, ""));
        let seconds = match seconds.trim().parse::<u64>() {
            Ok(seconds) => seconds,
            Err(_) => USUAL,
        };
        let word = |name: &str| leg.variables.get(name).map(str::to_owned);
        let dialplan = word("fifo_orbit_dialplan");
        if wire && dialplan.as_ref().is_some_and(|name| name.trim().eq_ignore_ascii_case("inline")) {
            warn!(
                "{} {}: a list of applications with text from the wire in it is not run",
                leg.uuid,
                leg.name()
            );
            return None;
        }
        let until = Leg::now() + Duration::from_secs(seconds.min(30 * 86_400));
        Some(Orbit { exten: exten.to_owned(), dialplan, context: word("fifo_orbit_context"), until })
    }

    fn go(orbit: Option<Orbit>, call: &mut Call) {
        if let Some(Orbit { exten, dialplan, context, .. }) =
            orbit.filter(|orbit| orbit.exten != "_continue_")
        {
            call.transfer(&exten, dialplan.as_deref(), context.as_deref());
        }
    }
}
