//! The short form of `make torture`, and whether its judge can say no.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use taskscope_torture::{Plan, Scene, Verdict, judge_rows, run};

/// Every kind of fault once or a few times, under load.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_kind_lose_double_and_falsify_nothing() {
    let plan = Plan::short(1);
    let program = Path::new(env!("CARGO_BIN_EXE_taskscope"));
    let outcome = run(&plan, program, |line| eprintln!("{line}")).await.unwrap();
    assert!(outcome.verdict.is_clean(), "seed {}: {}", plan.seed, outcome.verdict);
    assert_eq!(outcome.course.recoveries.len(), plan.faults().len());
    assert!(outcome.verdict.owed > 500, "too little load: {}", outcome.verdict);
    assert!(outcome.scene.ledger.answers.refused() > 0, "the disk was never full");
    what_is_falsified_is_found(&outcome.scene).await;
}

/// How many flaws of a kind there are.
type FlawsOf = fn(&Verdict) -> usize;

async fn what_is_falsified_is_found(scene: &Scene) {
    let one = "(id, created_at) in (select id, created_at from task_execution_logs where status = 'success' and params is not null limit 1)";
    let found: [(&str, FlawsOf); 6] = [
        ("delete from task_execution_logs where", |verdict| verdict.missing.len()),
        ("update task_execution_logs set status = 'running' where", |verdict| verdict.wrong.len()),
        ("update task_execution_logs set attempt = attempt + 7 where", |verdict| verdict.wrong.len()),
        ("update task_execution_logs set error_message = 'none' where", |verdict| verdict.wrong.len()),
        ("update task_execution_logs set params = '{}' where", |verdict| verdict.wrong.len()),
        (
            "insert into task_execution_logs (task_name, status, task_id, attempt, created_at)
             select task_name, status, task_id, attempt, created_at from task_execution_logs where",
            |verdict| verdict.doubled.len(),
        ),
    ];
    let mut connection = PgConnection::connect_with(&scene.postgres.options()).await.unwrap();
    for (change, flaws) in found {
        let mut tx = connection.begin().await.unwrap();
        let changed = sqlx::query(AssertSqlSafe(format!("{change} {one}"))).execute(&mut *tx).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{change}");
        let verdict = judge_rows(&mut tx, &scene.ledger).await.unwrap();
        assert!(flaws(&verdict) > 0 && !verdict.is_clean(), "{change}: {verdict}");
        tx.rollback().await.unwrap();
    }
    // Nothing of it was there for anybody else.
    assert!(scene.judge().await.unwrap().is_clean());
}
