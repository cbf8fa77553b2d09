use super::*;

fn hangup(uuid: &str) -> Errand {
    Errand::Hangup { uuid: uuid.into(), cause: 802, bleg: false }
}

fn once(seconds: u64) -> When {
    When { after: Duration::from_secs(seconds), every: None }
}

#[test]
fn moments() {
    let seconds = Duration::from_secs;
    let every = |s| When { after: seconds(s), every: Some(seconds(s)) };
    for (text, expected) in [
        ("+10", Some(once(10))),
        ("+0", Some(once(0))),
        ("1000060", Some(once(60))),
        ("1000000", Some(once(0))),
        ("30", Some(every(30))),
        ("@30", Some(every(30))),
        ("0", Some(every(1))),
        ("@1000060", Some(once(60))),
        ("", None),
        ("+", None),
        ("soon", None),
        ("-5", None),
    ] {
        assert_eq!(When::read(text, 1_000_000), expected, "{text}");
    }
}

#[test]
fn tasks_come_in_order_and_go() {
    let schedule = Schedule::default();
    let start = Instant::now();
    let late = schedule.add(start, once(20), "a", hangup("a")).unwrap();
    let soon = schedule.add(start, once(10), "b", hangup("b")).unwrap();
    assert_eq!(schedule.next_timeout(), Some(start + Duration::from_secs(10)));
    assert_eq!(schedule.take_due(start), None);
    assert_eq!(schedule.take_due(start + Duration::from_secs(10)), Some(hangup("b")));
    assert_eq!(schedule.take_due(start + Duration::from_secs(10)), None);
    assert!(!schedule.cancel(soon) && schedule.cancel(late) && schedule.is_empty());
    assert_eq!(schedule.next_timeout(), None);
    let told: Vec<u32> = schedule
        .take_notices()
        .into_iter()
        .map(|notice| match notice {
            Notice::Added(task) | Notice::Again(task) | Notice::Gone(task) => task.id,
        })
        .collect();
    assert_eq!(told, [late, soon, soon, late]);
}

#[test]
fn a_task_repeats_until_it_is_called_off() {
    let schedule = Schedule::default();
    let start = Instant::now();
    let id = schedule.add(start, When::read("5", u64::MAX).unwrap(), "g", Errand::Command("status".into()));
    let id = id.unwrap();
    for n in 1..4 {
        let now = start + Duration::from_secs(5 * n);
        assert_eq!(schedule.take_due(now), Some(Errand::Command("status".into())));
        assert_eq!(schedule.take_due(now), None, "once at a time");
    }
    assert!(matches!(schedule.take_notices().back(), Some(Notice::Again(task)) if task.id == id));
    assert_eq!((schedule.cancel_group("h"), schedule.cancel_group("g"), schedule.len()), (0, 1, 0));
    assert!(schedule.held().groups.is_empty() && schedule.held().due.is_empty());
}

#[test]
fn a_leg_takes_its_own_tasks_with_it_and_no_others() {
    let schedule = Schedule::default();
    let now = Instant::now();
    schedule.add(now, once(9), "a", hangup("a")).unwrap();
    schedule.add(now, once(9), "a", Errand::Command("x".into())).unwrap();
    schedule.add(now, once(9), "b", hangup("b")).unwrap();
    schedule.forget_leg("a");
    assert_eq!(
        schedule.tasks().into_iter().map(|task| task.errand).collect::<Vec<_>>(),
        [Errand::Command("x".into()), hangup("b")]
    );
}

#[test]
fn the_number_of_tasks_is_bounded() {
    let schedule = Schedule::default();
    let now = Instant::now();
    for n in 0..PER_GROUP {
        assert!(schedule.add(now, once(n as u64), "a", hangup("a")).is_ok());
    }
    assert_eq!(schedule.add(now, once(1), "a", hangup("a")), Err(Full));
    for n in 0..TASKS - PER_GROUP {
        assert!(schedule.add(now, once(1), &n.to_string(), hangup("a")).is_ok());
    }
    assert_eq!(schedule.add(now, once(1), "b", hangup("b")), Err(Full));
    assert_eq!(schedule.held().notices.len(), NOTICES);
}
