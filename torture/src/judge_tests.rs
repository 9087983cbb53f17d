use super::*;

/// A task of which everything is owed, and its rows as they must be.
fn told() -> (Ledger, Vec<Row>) {
    let ledger = Ledger::new(1);
    loop {
        let (number, story) = ledger.open(false);
        // One that was tried again, so that every kind of flaw can be made.
        if story.attempts.len() > 1 {
            ledger.offer(number, story.all());
            ledger.owe(number, story.all());
            let rows = (1..).zip(&story.attempts).map(|(attempt, told)| Row {
                task_id: Some(story.task_id.clone()),
                attempt,
                task_name: story.task_name.clone(),
                status: if told.error.is_some() { "failed" } else { "success" }.to_owned(),
                error_message: told.error.clone(),
                params: Some(story.params.to_string()),
                queued_at: Some(told.queued_at),
                started_at: Some(told.started_at),
                completed_at: Some(told.completed_at),
            });
            return (ledger, rows.collect());
        }
    }
}

fn verdict(ledger: &Ledger, rows: &[Row]) -> Verdict {
    let mut trial = Trial::new(ledger);
    rows.iter().for_each(|row| trial.hear(row));
    trial.end()
}

#[test]
fn what_is_owed_and_there_is_clean() {
    let (ledger, rows) = told();
    let verdict = verdict(&ledger, &rows);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.owed as usize, verdict.unknown), (3 * rows.len(), 0));
}

#[test]
fn what_is_missing_doubled_or_nobodys_is_found() {
    let (ledger, rows) = told();
    assert_eq!(verdict(&ledger, &rows[1..]).missing.len(), 3);
    let twice = [rows.clone(), rows[..1].to_vec()].concat();
    assert_eq!(verdict(&ledger, &twice).doubled.len(), 1);
    for change in [
        |row: &mut Row| row.task_id = Some("somebody's".to_owned()),
        |row: &mut Row| row.task_id = None,
        |row: &mut Row| row.attempt = 9,
        |row: &mut Row| row.attempt = -1,
    ] {
        let mut strange = rows[0].clone();
        change(&mut strange);
        assert_eq!(verdict(&ledger, &[rows.clone(), vec![strange]].concat()).wrong.len(), 1);
    }
}

#[test]
fn every_fact_of_a_row_counts() {
    let (ledger, rows) = told();
    let changes: [fn(&mut Row); 9] = [
        |row| row.status = "running".to_owned(),
        |row| row.error_message = Some("another".to_owned()),
        |row| row.error_message = None,
        |row| row.params = Some("{}".to_owned()),
        |row| row.params = None,
        |row| row.task_name.push('!'),
        |row| row.queued_at = Some(DateTime::UNIX_EPOCH),
        |row| row.started_at = None,
        |row| row.completed_at = None,
    ];
    for (number, change) in (0..).zip(changes) {
        let mut changed = rows.clone();
        change(&mut changed[0]);
        assert!(!verdict(&ledger, &changed).is_clean(), "change {number} isn't noticed");
    }
}

#[test]
fn what_had_no_answer_may_be_there_or_not_but_what_was_never_sent_may_not() {
    let (ledger, rows) = told();
    let (number, story) = ledger.open(true);
    let probe = Row {
        task_id: Some(story.task_id.clone()),
        attempt: 1,
        task_name: story.task_name.clone(),
        status: "success".to_owned(),
        error_message: None,
        params: None,
        queued_at: None,
        started_at: None,
        completed_at: Some(story.attempts[0].completed_at),
    };
    let with_it = [rows.clone(), vec![probe]].concat();
    assert_eq!(verdict(&ledger, &with_it).wrong.len(), 1, "it was never sent");
    ledger.offer(number, story.all());
    assert!(verdict(&ledger, &with_it).is_clean() && verdict(&ledger, &rows).is_clean());
    ledger.owe(number, story.all());
    assert!(verdict(&ledger, &with_it).is_clean());
    assert_eq!(verdict(&ledger, &rows).missing.len(), 1);
}
