use super::*;

fn uuid(name: &str) -> Arc<str> {
    name.into()
}

#[test]
fn a_slot_is_given_back_however_its_leg_goes() {
    let (lots, now) = (Arc::new(Lots::default()), Instant::now());
    let space = lots.park("lot", "6001", &uuid("a"), now).unwrap();
    assert_eq!(lots.look("lot", "6001", now), Found::Parked(uuid("a")));
    assert_eq!(lots.look("lot", "6002", now), Found::Nobody);
    assert_eq!(lots.look("other", "6001", now), Found::Nobody);
    // Who is put in its place keeps it when the first goes.
    let other = lots.park("lot", "6001", &uuid("b"), now).unwrap();
    drop(space);
    assert_eq!(lots.look("lot", "6001", now), Found::Parked(uuid("b")));
    drop(other);
    assert!(lots.is_empty() && lots.entries().is_empty());
}

#[test]
fn one_at_a_time_takes_a_call() {
    let (lots, now) = (Arc::new(Lots::default()), Instant::now());
    let space = lots.park("lot", "6001", &uuid("a"), now).unwrap();
    let taken = lots.take("lot", "6001").unwrap();
    assert_eq!(&*taken.uuid, "a");
    assert!(lots.take("lot", "6001").is_none());
    assert_eq!(lots.look("lot", "6001", now), Found::Taken);
    drop(taken);
    assert_eq!(lots.look("lot", "6001", now), Found::Parked(uuid("a")), "they did not meet");
    lots.take("lot", "6001").unwrap().met();
    assert_eq!(lots.look("lot", "6001", now), Found::Nobody);
    let next = lots.park("lot", "6001", &uuid("b"), now).unwrap();
    drop(space);
    assert_eq!(lots.look("lot", "6001", now), Found::Parked(uuid("b")));
    drop(next);
    assert!(lots.take("lot", "6001").is_none() && lots.is_empty());
}

#[test]
fn slots_are_found() {
    let (lots, start) = (Arc::new(Lots::default()), Instant::now());
    let second = |n| start + Duration::from_secs(n);
    let range = (5, 7);
    let _five = lots.park_next("lot", range, &uuid("a"), second(1)).unwrap();
    let six = lots.park_next("lot", range, &uuid("b"), second(2)).unwrap();
    let _seven = lots.park_next("lot", range, &uuid("c"), second(3)).unwrap();
    assert_eq!(six.slot(), "6");
    assert!(lots.park_next("lot", range, &uuid("d"), second(4)).is_err(), "it is full");
    assert_eq!(lots.longest("lot", range).as_deref(), Some("5"));
    assert_eq!(lots.longest("lot", (6, 0)).as_deref(), Some("6"));
    assert_eq!((lots.longest("lot", (8, 0)), lots.longest("x", range)), (None, None));
    drop(six);
    assert_eq!(lots.park_next("lot", range, &uuid("d"), second(5)).unwrap().slot(), "6");
    assert_eq!(lots.park_next("new", (0, 0), &uuid("d"), second(5)).unwrap().slot(), "1");
    assert!(lots.park_next("new", (9, 3), &uuid("d"), second(5)).is_err());
    let taken = lots.take("lot", "5").unwrap();
    assert_eq!(lots.longest("lot", range).as_deref(), Some("7"), "one that is taken does not wait");
    drop(taken);
}

#[test]
fn a_slot_is_kept_for_a_while() {
    let (lots, start) = (Arc::new(Lots::default()), Instant::now());
    assert_eq!(lots.keep_next("lot", (1, 2), &uuid("ticket"), start).as_deref(), Ok("1"));
    assert_eq!(lots.keep_next("lot", (1, 2), &uuid("other"), start).as_deref(), Ok("2"));
    assert!(lots.keep_next("lot", (1, 2), &uuid("third"), start).is_err());
    assert_eq!(lots.look("lot", "1", start), Found::Kept(uuid("ticket")));
    assert!(lots.take("lot", "1").is_none() && lots.longest("lot", (1, 2)).is_none());
    assert_eq!(lots.entries(), [("lot".to_owned(), vec![])]);
    let later = start + KEPT;
    assert_eq!(lots.look("lot", "1", later), Found::Nobody);
    assert_eq!(lots.keep_next("lot", (1, 2), &uuid("third"), later).as_deref(), Ok("1"));
    assert_eq!(lots.len(), 1, "nor is the other kept any longer");
}
