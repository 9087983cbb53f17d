use serde_json::json;
use taskscope_client::{Failure, Json};
use taskscope_wire::limits;

use crate::{
    LONG, builder,
    server::{Server, value},
    work,
};

#[tokio::test]
async fn batches_have_at_most_500_events() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    for id in 0..1700 {
        reporter.queued(&work(id));
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), (0..1700).map(|id| id.to_string()).collect::<Vec<_>>(), "in their order");
    assert!(server.batches().iter().all(|batch| batch.events <= 500));
    assert!(server.batches().len() <= 6, "full batches: {}", server.batches().len());
}

#[tokio::test]
async fn batches_have_at_most_4_mib() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    for id in 0..300 {
        reporter.queued(&work(id).params(Json::string(&"x".repeat(50_000))));
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.events().len(), 300);
    let bodies = server.batches().iter().map(|batch| batch.body.len()).collect::<Vec<_>>();
    assert!(bodies.iter().all(|bytes| *bytes <= 4 * 1024 * 1024), "{bodies:?}");
    assert!(bodies.len() <= 6, "{bodies:?}");
}

#[tokio::test]
async fn huge_values_are_cut_and_the_event_is_kept() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let huge = || value(json!("\"".repeat(1_000_000)));
    let text = "\u{1}".repeat(1_000_000);
    let work = work(1).params(huge()).labels(huge());
    let failure = Failure::new(&text).traceback(&text).error_type("T".repeat(9000));
    reporter.start(work.clone()).fail(failure);
    reporter.start(work).succeed(Some(huge()));
    assert!(reporter.flush(LONG).await);
    assert_eq!((reporter.stats().sent, reporter.stats().refused), (4, 0));
    for event in server.events() {
        let params = event.params.unwrap();
        assert!(params.as_str().ends_with(" … (cut: 2000002 bytes in all)\""), "{}", &params.as_str()[..50]);
        assert!(params.as_str().len() <= limits::JSON);
    }
    let ends = server.ends();
    assert!(ends[0].error_message.as_ref().unwrap().ends_with("(cut: 1000000 bytes in all)"));
    assert!(ends[1].result.as_ref().unwrap().as_str().ends_with(" … (cut: 2000002 bytes in all)\""));
}

#[tokio::test]
async fn an_event_of_the_largest_values_is_made_smaller_as_a_whole() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let large = || Json::string(&"x".repeat(limits::JSON - 2));
    let text = "\u{1}".repeat(limits::TEXT);
    let names = "\u{2}".repeat(limits::NAME);
    let mut work = work(&names).queue(&names).params(large()).labels(large());
    work.task_name.clone_from(&names);
    reporter.start(work).fail(Failure::new(&text).traceback(&text).error_type(&names));
    assert!(reporter.flush(LONG).await);
    let sizes = server.batches().iter().map(|batch| batch.body.len()).collect::<Vec<_>>();
    assert_eq!((reporter.stats().sent, reporter.stats().refused), (2, 0), "{sizes:?}");
    let end = &server.ends()[0];
    assert!(end.error_traceback.as_ref().unwrap().ends_with("(cut: 65536 bytes in all)"));
    assert!(server.events()[1].params.as_ref().unwrap().as_str().ends_with("(cut: 65536 bytes in all)\""));
    assert_eq!(server.events()[0].params.as_ref().unwrap().as_str().len(), limits::JSON, "the start had room for them");
}

#[tokio::test]
async fn a_value_larger_than_the_buffer_costs_neither_the_buffer_nor_the_event() {
    let server = Server::start();
    let reporter = builder(&server).buffer_bytes(300_000).start().unwrap();
    let work = work(1).params(Json::string(&"x".repeat(1_000_000))).labels(Json::string(&"y".repeat(1_000_000)));
    reporter.queued(&work);
    reporter.start(work).succeed(None);
    assert!(reporter.flush(LONG).await);
    assert_eq!((reporter.stats().sent, reporter.stats().dropped), (3, 0));
}
