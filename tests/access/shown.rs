//! What pages offer to whom.

use super::{make_account, session};
use crate::support::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn pages_offer_what_the_reader_may_do_and_say_what_the_rest_needs() {
    let server = TestServer::start_guarded().await;
    for role in ["viewer", "operator", "admin"] {
        make_account(&server, &format!("some-{role}"), role).await;
        let http = session(&server, &format!("some-{role}")).await;
        let page = async |path: &str| {
            let answer = http.get(format!("{}{path}", server.base)).header("accept", "text/html").send().await.unwrap();
            answer.text().await.unwrap()
        };
        for path in ["/monitoring", "/nowhere"] {
            let html = page(path).await;
            assert!(html.contains(&format!("data-role=\"{role}\"")), "{path} for {role}: {html}");
        }
        let may_act = role != "viewer";
        for (path, offer, note) in [
            ("/monitoring/tasks", ">Run…<", "Running a task needs the role operator; yours is viewer."),
            ("/monitoring/analysis", ">New run…<", "Starting or reviewing a run needs the role operator; yours is viewer."),
        ] {
            let html = page(path).await;
            assert_eq!((html.contains(offer), html.contains(note)), (may_act, !may_act), "{path} for {role}: {html}");
        }
        let html = page("/monitoring/redaction").await;
        let note = format!("Changing them needs the role admin; yours is {role}.");
        let may_change = role == "admin";
        assert_eq!((html.contains(">Save<"), html.contains(&note)), (may_change, !may_change), "{role}: {html}");
    }
}
