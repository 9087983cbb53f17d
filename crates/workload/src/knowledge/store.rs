//! Keeps what was found.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    answer::{FoundAtom, FoundTopic},
    batch::Batch,
};

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Topics that are new or have something new.
    pub(super) topics: Vec<Uuid>,
    /// Atoms that are new.
    pub(super) created: Vec<Uuid>,
    /// Atoms that say something else now.
    pub(super) changed: Vec<Uuid>,
}

/// Keeps what these messages gave, and that they were looked through.
pub(super) async fn store(pool: &PgPool, batch: &Batch, mut topics: Vec<FoundTopic>) -> Result<Stored, sqlx::Error> {
    let known: HashSet<i64> = batch.ids().into_iter().collect();
    // Two writers lock the topics that both found in the same order.
    topics.sort_by_cached_key(|topic| topic.name.to_lowercase());
    let mut tx = pool.begin().await?;
    let mut stored = Stored::default();
    for topic in topics {
        store_topic(&mut tx, &known, topic, &mut stored).await?;
    }
    batch.mark(&mut *tx).await?;
    tx.commit().await?;
    Ok(stored)
}

async fn store_topic(
    db: &mut PgConnection,
    known: &HashSet<i64>,
    topic: FoundTopic,
    stored: &mut Stored,
) -> Result<(), sqlx::Error> {
    let atoms: Vec<_> = topic.atoms.into_iter().filter_map(|atom| kept(atom, known)).collect();
    let name = clean(&topic.name);
    // What came from none of the messages is made up.
    if atoms.is_empty() || name.is_empty() {
        return Ok(());
    }
    let id = sqlx::query_scalar!(
        "insert into topics (name, description) values ($1, $2)
         on conflict (lower(name)) do update
             set description = case when topics.description = '' then excluded.description else topics.description end
         returning id",
        name,
        clean(&topic.description),
    )
    .fetch_one(&mut *db)
    .await?;
    let (mut members, before) = (topic.message_ids, stored.created.len() + stored.changed.len());
    members.extend(atoms.iter().flat_map(|atom| &atom.source_message_ids));
    members.retain(|message| known.contains(message));
    let joined = sqlx::query!(
        "insert into topic_messages (topic_id, message_id) select distinct $1::uuid, m from unnest($2::bigint[]) m on conflict do nothing",
        id,
        &members,
    );
    let joined = joined.execute(&mut *db).await?.rows_affected();
    let mut written = Vec::with_capacity(atoms.len());
    for atom in &atoms {
        written.push(store_atom(db, id, atom, stored).await?);
    }
    for (atom, from) in atoms.iter().zip(written) {
        link(db, id, from, atom).await?;
    }
    if joined > 0 || stored.created.len() + stored.changed.len() > before {
        sqlx::query!("update topics set updated_at = now() where id = $1", id).execute(db).await?;
        stored.topics.push(id);
    }
    Ok(())
}

/// The atom with those of its sources that are among the messages; none if there are none.
fn kept(mut atom: FoundAtom, known: &HashSet<i64>) -> Option<FoundAtom> {
    atom.source_message_ids.retain(|id| known.contains(id));
    (atom.title, atom.content) = (clean(&atom.title), clean(&atom.content));
    let says_something = !atom.title.is_empty() && !atom.content.is_empty();
    (says_something && !atom.source_message_ids.is_empty()).then_some(atom)
}

/// The topic's row is locked, so that nobody else writes its atoms meanwhile.
async fn store_atom(db: &mut PgConnection, topic_id: Uuid, atom: &FoundAtom, stored: &mut Stored) -> Result<Uuid, sqlx::Error> {
    let kind = atom.kind.to_string();
    let old = sqlx::query!(
        "select id, content from atoms where topic_id = $1 and kind = $2 and lower(title) = lower($3) for update",
        topic_id,
        kind,
        atom.title,
    );
    let id = match old.fetch_optional(&mut *db).await? {
        Some(old) if old.content == atom.content => old.id,
        Some(old) => {
            change_atom(db, old.id, atom).await?;
            stored.changed.push(old.id);
            old.id
        }
        None => {
            let id = insert_atom(db, topic_id, &kind, atom).await?;
            stored.created.push(id);
            id
        }
    };
    sqlx::query!(
        "insert into atom_messages (atom_id, message_id) select distinct $1::uuid, m from unnest($2::bigint[]) m on conflict do nothing",
        id,
        &atom.source_message_ids,
    )
    .execute(db)
    .await?;
    Ok(id)
}

async fn insert_atom(db: &mut PgConnection, topic_id: Uuid, kind: &str, atom: &FoundAtom) -> Result<Uuid, sqlx::Error> {
    let inserted = sqlx::query_scalar!(
        r#"with atom as (
               -- The time of the statement, so that atoms of one transaction keep their order.
               insert into atoms (topic_id, kind, title, content, confidence, created_at, updated_at)
               values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp()) returning id
           ), version as (
               insert into atom_versions (atom_id, version, title, content, confidence) select id, 1, $3, $4, $5 from atom
           )
           select id from atom"#,
        topic_id,
        kind,
        atom.title,
        atom.content,
        atom.confidence,
    );
    inserted.fetch_one(db).await
}

/// What was approved is not what it says now, so it waits again. What somebody rejected stays so.
async fn change_atom(db: &mut PgConnection, id: Uuid, atom: &FoundAtom) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with atom as (
             update atoms set title = $2, content = $3, confidence = $4, version = version + 1, updated_at = now(),
                 status = case status when 'approved' then 'pending' else status end, auto_approved = false,
                 reviewed_at = case status when 'rejected' then reviewed_at end
             where id = $1 returning version
         )
         insert into atom_versions (atom_id, version, title, content, confidence) select $1, version, $2, $3, $4 from atom",
        id,
        atom.title,
        atom.content,
        atom.confidence,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Links to titles that the topic doesn't have are left out.
async fn link(db: &mut PgConnection, topic_id: Uuid, from: Uuid, atom: &FoundAtom) -> Result<(), sqlx::Error> {
    for link in &atom.links {
        let kind: &'static str = link.kind.into();
        sqlx::query!(
            "insert into atom_links (from_id, to_id, kind)
             select $1, id, $4 from atoms where topic_id = $2 and lower(title) = lower($3) and id <> $1
             order by created_at desc, id limit 1
             on conflict do nothing",
            from,
            topic_id,
            clean(&link.to),
            kind,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Postgres takes no NUL.
fn clean(text: &str) -> String {
    text.replace('\0', "").trim().to_owned()
}
