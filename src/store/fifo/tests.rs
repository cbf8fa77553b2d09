use super::*;
use crate::config::fifo::{Fifo, FifoConf, FifoMember};
use std::time::Duration;

fn text(text: &str) -> Arc<str> {
    text.into()
}

fn caller(uuid: &str) -> Caller {
    Caller { uuid: text(uuid), since: Instant::now(), vip: false, skill: None }
}

fn names(list: &[&str]) -> Vec<(String, u32)> {
    list.iter().map(|name| ((*name).to_owned(), 0)).collect()
}

fn next(fifos: &Arc<Fifos>, list: &[&str], wish: &Wish) -> Option<Claim> {
    fifos.claim(&names(list), wish, &text("agent"))
}

fn empty(fifos: &Fifos) -> bool {
    fifos.waiting() == 0 && fifos.counts().is_empty()
}

#[test]
fn callers_are_served_in_order() {
    let fifos = Arc::new(Fifos::default());
    let push = |uuid: &str, priority| fifos.push("q", 0, priority, caller(uuid)).unwrap();
    let tickets = [push("late", 5), push("first", 1), push("second", 1), push("third", 1)];
    assert_eq!(tickets.each_ref().map(|ticket| ticket.position), [1, 1, 2, 3]);
    let order: Vec<Claim> = std::iter::from_fn(|| next(&fifos, &["q"], &Wish::default())).collect();
    let uuids: Vec<&str> = order.iter().map(|claim| &*claim.caller.uuid).collect();
    assert_eq!(uuids, ["first", "second", "third", "late"]);
    assert_eq!(tickets[1].served_by().as_deref(), Some("agent"));
    order.into_iter().for_each(Claim::done);
    assert!(empty(&fifos));
    drop(tickets);
    assert!(empty(&fifos));
}

#[test]
fn who_was_not_served_waits_again_before_others() {
    let fifos = Arc::new(Fifos::default());
    let push = |uuid: &str| fifos.push("q", 0, 0, caller(uuid)).unwrap();
    let (a, b) = (push("a"), push("b"));
    let first = next(&fifos, &["q"], &Wish::default()).unwrap();
    let second = next(&fifos, &["q"], &Wish::default()).unwrap();
    assert!(next(&fifos, &["q"], &Wish::default()).is_none(), "nobody is taken twice");
    assert_eq!(fifos.counts()[0].1.callers, 0);
    drop(second);
    drop(first);
    assert_eq!(&*next(&fifos, &["q"], &Wish::default()).unwrap().caller.uuid, "a");
    // A caller that goes while it is taken is gone.
    let taken = next(&fifos, &["q"], &Wish::default()).unwrap();
    drop(a);
    drop(taken);
    assert_eq!(&*next(&fifos, &["q"], &Wish::default()).unwrap().caller.uuid, "b");
    drop(b);
    assert!(empty(&fifos));
}

#[test]
fn a_consumer_may_wish() {
    let fifos = Arc::new(Fifos::default());
    let push = |caller: Caller, priority| fifos.push("q", 0, priority, caller).unwrap();
    let _plain = push(caller("plain"), 0);
    let _late = push(caller("late"), 3);
    let _skilled = push(Caller { skill: Some(text("french")), ..caller("skilled") }, 4);
    let _vip = push(Caller { vip: true, ..caller("vip") }, 9);
    let first = |wish: Wish| next(&fifos, &["q"], &wish).map(|claim| claim.caller.uuid.to_string());
    let wish = Wish::default;
    assert_eq!(first(wish()).as_deref(), Some("vip"));
    // Who was taken and given back counts as a vip from then on, so each wish has callers of its own.
    assert_eq!(first(Wish { skill: Some(text("french")), ..wish() }).as_deref(), Some("skilled"));
    assert_eq!(first(Wish { uuid: Some(text("late")), ..wish() }).as_deref(), Some("late"));
    assert_eq!(first(Wish { uuid: Some(text("nobody")), only: true, ..wish() }), None);
}

#[test]
fn priorities_in_another_order() {
    let fifos = Arc::new(Fifos::default());
    let tickets: Vec<Ticket> =
        (0..4).map(|p| fifos.push("q", 0, p, caller(&format!("p{p}"))).unwrap()).collect();
    let wish = Wish { order: vec![2, 3], ..Wish::default() };
    let claims: Vec<Claim> = std::iter::from_fn(|| next(&fifos, &["q"], &wish)).collect();
    let uuids: Vec<&str> = claims.iter().map(|claim| &*claim.caller.uuid).collect();
    assert_eq!(uuids, ["p2", "p3", "p0"], "1 is not named, and not served");
    drop(tickets);
}

#[test]
fn which_of_several_queues() {
    let fifos = Arc::new(Fifos::default());
    let start = Instant::now();
    let push = |name: &str, uuid: &str, second| {
        let since = start + Duration::from_secs(second);
        fifos.push(name, 0, 0, Caller { since, ..caller(uuid) }).unwrap()
    };
    let _tickets = [push("a", "a1", 1), push("b", "b1", 0), push("a", "a2", 2)];
    let queue = |list: &[&str], strategy| {
        next(&fifos, list, &Wish { strategy, ..Wish::default() }).map(|claim| claim.name.to_string())
    };
    let (longer, more) = (Strategy::WaitingLonger, Strategy::MorePeople);
    assert_eq!(queue(&["a", "b"], longer).as_deref(), Some("b"));
    assert_eq!(queue(&["b", "a"], longer).as_deref(), Some("b"));
    assert_eq!(queue(&["b", "a"], more).as_deref(), Some("a"));
    assert_eq!(queue(&["c"], more), None);
    assert_eq!((fifos.importance("a", Some(7)), fifos.importance("c", None)), (Some(7), None));
    // After an important one only a more important one counts.
    assert_eq!(queue(&["a", "b"], longer).as_deref(), Some("a"));
    assert_eq!(queue(&["b", "a"], longer).as_deref(), Some("b"));
}

#[tokio::test]
async fn whoever_waits_is_woken() {
    let fifos = Arc::new(Fifos::default());
    let post = fifos.attend(&names(&["a", "b"]), &text("agent")).unwrap();
    assert_eq!(fifos.counts()[1].1, Count { consumers: 1, idle: 1, ..Count::default() });
    let ticket = fifos.push("b", 0, 0, caller("x")).unwrap();
    post.changed().await;
    let claim = next(&fifos, &["a", "b"], &Wish::default()).unwrap();
    post.set_idle(false);
    drop(claim);
    post.set_idle(true);
    drop(ticket);
    drop(post);
    assert!(empty(&fifos));
}

//------------ Members ------------------------------------------------------------------------------------------

fn member(id: &str, simo: u32, lag: u64) -> Member {
    Member::new(id, &format!("user/{id}"), simo, Duration::from_secs(20), Duration::from_secs(lag))
}

fn engaged(fifos: &Arc<Fifos>, ticket: &Ticket, now: Instant) -> Result<Engagement, Option<Instant>> {
    match fifos.engage(ticket, now) {
        Engaged::Now(engagement) => Ok(engagement),
        Engaged::Later(at) => Err(at),
    }
}

fn ids(engagement: &Engagement) -> Vec<&str> {
    engagement.called.iter().map(|called| &*called.id).collect()
}

#[test]
fn members_are_called_for_one_caller_after_the_other() {
    let (fifos, now) = (Arc::new(Fifos::default()), Instant::now());
    fifos.add_member("q", member("a", 1, 5)).unwrap();
    fifos.add_member("q", member("b", 2, 5)).unwrap();
    let (first, second) =
        (fifos.push("q", 0, 0, caller("1")).unwrap(), fifos.push("q", 0, 0, caller("2")).unwrap());
    assert!(matches!(engaged(&fifos, &second, now), Err(None)), "it is not its turn");
    let mut ringing = engaged(&fifos, &first, now).unwrap();
    assert_eq!(ids(&ringing), ["a", "b"]);
    let more = engaged(&fifos, &second, now).unwrap();
    assert_eq!(ids(&more), ["b"], "b may have two calls");
    drop(more);
    assert_eq!(fifos.counts()[0].1.calling, 1);
    ringing.answered(1);
    assert!(first.leave() && !first.leave());
    let members = fifos.list("q").unwrap().members;
    assert_eq!(members.iter().map(|m| (m.used, m.ringing)).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
    ringing.over(now);
    // b is left alone for its lag and a second; then it is its turn last.
    assert_eq!(ids(&engaged(&fifos, &second, now).unwrap()), ["a"]);
    assert_eq!(ids(&engaged(&fifos, &second, now + Duration::from_secs(6)).unwrap()), ["a", "b"]);
}

#[test]
fn who_does_not_answer_is_left_alone_for_a_while() {
    let (fifos, now) = (Arc::new(Fifos::default()), Instant::now());
    fifos.add_member("q", member("a", 1, 5)).unwrap();
    let ticket = fifos.push("q", 0, 0, caller("1")).unwrap();
    engaged(&fifos, &ticket, now).unwrap().failed(now);
    let again = now + Duration::from_secs(6);
    assert_eq!(engaged(&fifos, &ticket, now).unwrap_err(), Some(again));
    assert!(engaged(&fifos, &ticket, again).is_ok());
    let post = fifos.attend(&names(&["q"]), &text("agent")).unwrap();
    assert_eq!(engaged(&fifos, &ticket, again).unwrap_err(), None, "a consumer is free");
    post.set_idle(false);
    assert!(engaged(&fifos, &ticket, again).is_ok());
    drop(post);
    assert!(fifos.remove_member("q", "a") && !fifos.remove_member("q", "a"));
    assert_eq!(engaged(&fifos, &ticket, again).unwrap_err(), None);
    let expiring = Member { expires: Some(again), ..member("b", 1, 5) };
    fifos.add_member("q", expiring).unwrap();
    assert!(engaged(&fifos, &ticket, now).is_ok() && engaged(&fifos, &ticket, again).is_err());
    drop(ticket);
    assert!(empty(&fifos));
}

#[test]
fn a_configuration_is_taken_and_what_goes_on_is_not_touched() {
    let (fifos, now) = (Arc::new(Fifos::default()), Instant::now());
    let conf = |ids: &[&str]| FifoConf {
        fifos: vec![Fifo {
            name: "q".to_owned(),
            importance: 2,
            per_cycle: 1,
            retry_delay: Duration::ZERO,
            outbound_name: None,
            members: ids
                .iter()
                .map(|id| FifoMember {
                    id: (*id).to_owned(),
                    url: format!("user/{id}"),
                    simo: 1,
                    timeout: Duration::from_secs(20),
                    lag: Duration::from_secs(5),
                })
                .collect(),
        }],
    };
    fifos.configure(&conf(&["a", "b"]));
    fifos.add_member("q", member("own", 1, 5)).unwrap();
    let ticket = fifos.push("q", 0, 0, caller("1")).unwrap();
    let ringing = engaged(&fifos, &ticket, now).unwrap();
    assert_eq!(ids(&ringing), ["a"], "one at a time");
    fifos.configure(&conf(&["b", "c"]));
    drop(ringing);
    let members = |fifos: &Fifos| -> Vec<String> {
        fifos.list("q").unwrap().members.iter().map(|member| member.id.to_string()).collect()
    };
    assert_eq!(members(&fifos), ["b", "own", "c"]);
    fifos.configure(&FifoConf::default());
    assert_eq!(members(&fifos), ["own"]);
    drop(ticket);
    assert!(fifos.remove_member("q", "own") && empty(&fifos));
}

#[test]
fn everything_is_bounded() {
    let fifos = Arc::new(Fifos::default());
    for n in 0..200 {
        let added = fifos.add_member("q", member(&n.to_string(), 1, 1));
        assert_eq!(added.is_ok(), n < 128, "{n}");
    }
    let tickets: Vec<_> = (0..WAITING)
        .map(|n| {
            // All in one queue would be slow to drop in order.
            fifos.push(&(n % 5_000).to_string(), 0, 0, caller("x")).unwrap()
        })
        .collect();
    assert!(fifos.push("q", 0, 0, caller("x")).is_err());
    drop(tickets);
    let posts: Vec<_> =
        (1..QUEUES).map(|n| fifos.attend(&names(&[&format!("n{n}")]), &text("agent")).unwrap()).collect();
    assert!(fifos.attend(&names(&["q", "one more"]), &text("agent")).is_err());
    drop(posts);
    assert_eq!(fifos.counts().len(), 1, "the one with members");
    assert_eq!(fifos.counts()[0].1.consumers, 0);
}
