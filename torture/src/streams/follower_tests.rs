use super::*;

/// A follower that was greeted at a place and told up to another one, and what is stored up to a third.
fn follower(told: i64, stored: i64) -> (Follower, Record) {
    let record = Record::default();
    for seq in 1..=stored {
        record.store(seq, &message(seq));
    }
    let mut follower = Follower::default();
    hear(&mut follower, &record, &[&hello(0, false)]);
    (1..=told).for_each(|seq| hear(&mut follower, &record, &[&message(seq)]));
    assert!(follower.told.flaws.is_empty());
    (follower, record)
}

fn message(seq: i64) -> String {
    format!(r#"{{"type":"task_completed","task_name":"t","data":{{"task_id":{seq}}},"seq":{seq}}}"#)
}

fn hello(seq: i64, recovered: bool) -> String {
    format!(r#"{{"type":"hello","epoch":"e","seq":{seq},"recovered":{recovered}}}"#)
}

fn hear(follower: &mut Follower, record: &Record, texts: &[&str]) {
    texts.iter().for_each(|text| follower.hear(text, record));
}

/// The flaws of a watcher that comes back at 5 of 9 and is told these messages.
fn flaws(hello: &str, messages: &[i64]) -> usize {
    let (mut follower, record) = follower(5, 9);
    follower.reconnect();
    hear(&mut follower, &record, &[hello]);
    messages.iter().for_each(|seq| hear(&mut follower, &record, &[&message(*seq)]));
    follower.told.flaws.len()
}

#[test]
fn all_that_was_missed_in_order_is_clean() {
    assert_eq!(flaws(&hello(9, true), &[6, 7, 8, 9]), 0);
}

#[test]
fn what_is_dropped_swapped_or_doubled_is_found() {
    assert_eq!(flaws(&hello(9, true), &[6, 8, 9]), 1, "dropped");
    assert_eq!(flaws(&hello(9, true), &[7, 8, 9]), 1, "the first dropped");
    assert_eq!(flaws(&hello(9, true), &[6, 8, 7, 9]), 2, "swapped: 7 is missed and then late");
    assert_eq!(flaws(&hello(9, true), &[6, 7, 7, 8, 9]), 1, "doubled");
    assert_eq!(flaws(&hello(9, true), &[5, 6, 7, 8, 9]), 1, "what was known");
}

#[test]
fn a_gap_must_be_told_and_must_be_one() {
    assert_eq!(flaws(&hello(9, false), &[]), 1, "it is kept");
    let (mut follower, record) = follower(5, 9);
    record.forget(6);
    follower.reconnect();
    hear(&mut follower, &record, &[&hello(9, false)]);
    assert_eq!((follower.told.flaws.len(), follower.told.given_up, follower.seq()), (0, 1, 9), "it is not kept");
    hear(&mut follower, &record, &[r#"{"type":"gap","from":10,"to":14}"#, &message(15)]);
    assert_eq!((follower.told.flaws.len(), follower.told.gaps, follower.seq()), (0, 1, 15));
    hear(&mut follower, &record, &[r#"{"type":"gap","from":17,"to":18}"#]);
    assert_eq!(follower.told.flaws.len(), 1, "16 is in no gap");
}

#[test]
fn hellos_and_what_comes_before_them_are_judged() {
    assert_eq!(flaws(&hello(4, true), &[]), 1, "it can't be recovered at a place before");
    assert_eq!(flaws(r#"{"type":"hello","epoch":"other","seq":9,"recovered":true}"#, &[]), 1, "nor in another stream");
    assert_eq!(flaws(&message(6), &[]), 1, "no hello");
    let (mut follower, record) = follower(1, 1);
    hear(&mut follower, &record, &[&hello(1, true)]);
    assert_eq!(follower.told.flaws.len(), 1, "a second hello");
    follower.reconnect();
    hear(&mut follower, &record, &[r#"{"type":"server","database_up":false}"#, &hello(1, true), "{"]);
    assert_eq!(follower.told.flaws.len(), 2, "a server without a stream may say so first; half a message is none");
}

#[test]
fn what_is_told_must_be_what_is_stored() {
    let (mut follower, record) = follower(5, 9);
    record.tell(6, &message(6)).unwrap();
    hear(&mut follower, &record, &[&message(6).replace("\"t\"", "\"u\"")]);
    assert_eq!(follower.told.flaws.len(), 1, "another watcher was told something else");
    assert_eq!(record.compare(9).len(), 1, "and so is stored something else");
    record.tell(7, &message(7).replace("\"t\"", "\"u\"")).unwrap();
    assert_eq!(record.compare(9).len(), 2, "7 is stored otherwise");
    assert_eq!(record.compare(10).len(), 3, "10 isn't stored");
}
