use serde_json::json;
use taskscope_wire::{Recommendation, RunStatus};
use taskscope_workload::analysis;

use super::{add_messages, bugs, end_of, execute, load, proposals};
use crate::support::Setting;

#[tokio::test]
async fn what_was_proposed_already_is_a_duplicate_of_the_first() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(6)).await;
    let first = execute(&setting, json!({})).await;
    let originals = proposals(&setting, first.id).await;
    assert!(originals.iter().all(|proposal| proposal.duplicate_of.is_none() && proposal.similarity.is_none()));
    for _ in 0..2 {
        let again = execute(&setting, json!({})).await;
        let copies = proposals(&setting, again.id).await;
        assert_eq!(copies.len(), originals.len());
        for (copy, original) in copies.iter().zip(&originals) {
            assert_eq!((copy.duplicate_of, copy.duplicate_title.as_ref()), (Some(original.id), Some(&original.proposed_title)));
            assert!(copy.similarity.unwrap() > 0.99, "{copy:?}");
            assert_eq!(copy.llm_recommendation, Recommendation::Merge);
        }
    }
}

#[tokio::test]
async fn what_is_nearly_the_same_is_a_duplicate_also_in_its_own_batch() {
    let setting = Setting::new().await;
    let texts = [
        "bug: the progress bar of the import jumps back to 0 % after a retry",
        "bug: the progress bar of an import jumps back to zero % after a retry",
        "bug: the nightly backup crashes on weekends",
    ];
    add_messages(&setting, &texts.map(str::to_owned)).await;
    let run = execute(&setting, json!({})).await;
    let found = proposals(&setting, run.id).await;
    assert_eq!(found.iter().map(|proposal| proposal.duplicate_of).collect::<Vec<_>>(), [None, Some(found[0].id), None]);
    assert!((0.6..0.99).contains(&found[1].similarity.unwrap()), "{:?}", found[1].similarity);
}

/// Two runs of the same messages at once: whichever is first, no original is lost, and no duplicate has duplicates.
#[tokio::test]
async fn runs_at_once_do_not_hurt_each_other() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(40)).await;
    let worker = setting.worker(json!({"analysis": {"batch_messages": 5}}));
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(super::start(&setting).await);
    }
    for run in runs {
        end_of(&setting, &run).await;
        let run = load(&setting, run.id).await;
        assert_eq!((run.status, run.proposals_total), (RunStatus::Completed, 40));
        assert_eq!(analysis::run(&setting.pool, run.id).await.unwrap().batches_done, 8);
    }
    let chains = "select count(*) from proposals p join proposals o on o.id = p.duplicate_of where o.duplicate_of is not null";
    assert_eq!(setting.number(chains).await, 0);
    worker.stop().await;
}

/// The longest description there is, of words that share as little as they can.
#[tokio::test]
async fn a_long_text_of_many_words_is_kept_and_found_again() {
    let setting = Setting::new().await;
    let letter = |number: u32| char::from_digit(10 + number % 26, 36).unwrap();
    let word =
        |number: u32| [1, 26, 676, 17_576].map(|place| letter(number * 157_211 % 456_976 / place)).iter().collect::<String>();
    let text = format!("bug: crashes {}", (0..4400).map(word).collect::<Vec<_>>().join(" "));
    add_messages(&setting, &[text.chars().take(21_000).collect()]).await;
    let [first, again] = [execute(&setting, json!({})).await, execute(&setting, json!({})).await];
    let original = proposals(&setting, first.id).await.remove(0);
    assert_eq!(original.proposed_description.chars().count(), 20_000);
    assert_eq!(proposals(&setting, again.id).await[0].duplicate_of, Some(original.id));
}
