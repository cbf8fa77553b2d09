use super::*;
use crate::presence::{DialogId, State};
use std::time::Duration;
use tokio::time::timeout;

fn call(state: State) -> Arc<Call> {
    let dialog = DialogId { call_id: "c".into(), local_tag: None, remote_tag: "r".into() };
    Arc::new(Call { id: "u".into(), initiator: true, state, held: false, remote: None, dialog })
}

fn source(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

async fn is_told(watch: &Watch) -> bool {
    timeout(Duration::from_millis(100), watch.changed()).await.is_ok()
}

/// A board at work. Its task ends with the runtime.
fn board(bounds: Bounds) -> Arc<Board> {
    let board = Arc::new(Board::new(bounds));
    let served = board.clone();
    tokio::spawn(async move { served.serve().await });
    board.turn_on();
    board
}

#[tokio::test(start_paused = true)]
async fn each_change_wakes_those_who_watch_that_user_and_no_other() {
    let board = board(Bounds::default());
    let (ann, bob) = (address("Ann", "PBX"), address("bob", "pbx"));
    let watches =
        [board.watch(ann.clone(), source(1)).unwrap(), board.watch(ann.clone(), source(2)).unwrap()];
    let other = board.watch(bob, source(1)).unwrap();
    let place = board.place(address("ann", "pbx"));
    assert!(!is_told(&watches[0]).await, "an empty place is nothing");
    for step in 0..4 {
        match step {
            0 => place.show(call(State::Early)),
            1 => place.show(call(State::Confirmed)),
            2 => board.touch("ANN", "pbx"),
            _ => board.touch_all(),
        }
        for watch in &watches {
            assert!(is_told(watch).await, "step {step}");
            assert!(!is_told(watch).await, "step {step}, once");
        }
        assert_eq!(is_told(&other).await, step == 3, "step {step}");
    }
    place.show(call(State::Confirmed));
    assert!(!is_told(&watches[0]).await, "nothing has changed");
    assert_eq!(board.calls(&ann), [call(State::Confirmed)]);
    drop(place);
    assert!(is_told(&watches[0]).await);
    assert!(board.calls(&ann).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_changes_are_one_awakening() {
    let board = board(Bounds::default());
    let watch = board.watch(address("ann", "pbx"), source(1)).unwrap();
    let places: Vec<Place> = (0..1000).map(|_| board.place(address("ann", "pbx"))).collect();
    places.iter().for_each(|place| place.show(call(State::Early)));
    assert!(is_told(&watch).await);
    assert!(!is_told(&watch).await);
    assert_eq!(board.calls(watch.address()).len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn how_many_may_watch() {
    let board = board(Bounds { total: 5, per_user: 2, per_source: 3 });
    let watch = |user: &str, from: u8| board.watch(address(user, "pbx"), source(from));
    let mut held = vec![watch("a", 1).unwrap(), watch("a", 2).unwrap()];
    assert_eq!(watch("a", 3).err(), Some(Full::User(2)));
    held.extend([watch("b", 1).unwrap(), watch("c", 1).unwrap()]);
    assert_eq!(watch("d", 1).err(), Some(Full::Source(3)));
    held.push(watch("d", 2).unwrap());
    assert_eq!(watch("e", 9).err(), Some(Full::Total(5)));
    held.remove(0);
    held.push(watch("a", 1).unwrap());
    drop(held);
    let table = board.lock();
    assert!(
        table.users.is_empty() && table.watching.is_empty() && table.sources.is_empty(),
        "nothing is left"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_is_kept_who_neither_calls_nor_is_watched() {
    let board = board(Bounds::default());
    let place = board.place(address("ann", "pbx"));
    place.show(call(State::Early));
    let watch = board.watch(address("ann", "pbx"), source(1)).unwrap();
    drop(place);
    assert_eq!((board.users(), board.watches()), (1, 1));
    drop(watch);
    assert_eq!((board.users(), board.watches()), (0, 0));
}
