//! Workers, what waits for them, and what of it stalls.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use taskscope_wire::{Heartbeat, Json, QueueState, RunningTask, Source, StallReason, WorkerHealth, WorkerState, Workers};

use super::{BatchTx, Store, StoreError, dead_letters::count_dead_letters, position, read};

/// Workers on the page: those that were seen last.
const MOST_WORKERS: i64 = 500;
/// Executions that are ended at once because another attempt took over.
const MOST_REPLACED: i64 = 500;
/// Hours after which a worker that is gone, and runs nothing, is forgotten.
const FORGOTTEN_AFTER_HOURS: i32 = 24;

/// How long executions of one task type take.
#[derive(Debug, Clone, PartialEq)]
pub struct UsualTime {
    /// The task type.
    pub task_name: String,
    /// 99 % of its newest successful executions took at most so many milliseconds; none where there are too few.
    pub p99_ms: Option<f64>,
}

/// An execution whose worker is gone, and whose task another attempt has taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The protocol that reported it.
    pub source: Source,
    /// The broker's id of the task.
    pub task_id: String,
    /// The task type.
    pub task_name: String,
    /// Its attempt.
    pub attempt: i32,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its labels.
    pub labels: Option<Json>,
    /// Its worker.
    pub worker: Option<String>,
    /// The last heartbeat of its worker.
    pub last_seen: DateTime<Utc>,
    /// The attempt that took over.
    pub later_attempt: i32,
}

/// By what a running execution is judged.
#[derive(Debug, Clone)]
pub struct StallRules {
    /// Since when this server hears heartbeats without a break: a worker can't have been silent for longer.
    pub listening_since: DateTime<Utc>,
    /// Nothing that runs shorter is overdue, in milliseconds.
    pub floor_ms: f64,
    /// How long task types take.
    pub usual: Vec<UsualTime>,
}

impl Store {
    /// Takes a worker's sign of life.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into workers (worker, host, pid, client, version, queues, concurrency, started_at, last_seen, interval_ms,
                                  buffered, dropped, stopped)
             values ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9, $10, $11, $12)
             on conflict (worker) do update set
                 host = excluded.host, pid = excluded.pid, client = excluded.client, version = excluded.version,
                 queues = excluded.queues, concurrency = excluded.concurrency, started_at = excluded.started_at,
                 last_seen = excluded.last_seen, interval_ms = excluded.interval_ms, buffered = excluded.buffered,
                 dropped = excluded.dropped, stopped = excluded.stopped",
            beat.worker,
            beat.host,
            i64::from(beat.pid),
            beat.client,
            beat.version,
            &beat.queues,
            beat.concurrency.map(i64::from),
            beat.started_at,
            i32::try_from(beat.interval_ms).unwrap_or(i32::MAX),
            i64::try_from(beat.buffered).unwrap_or(i64::MAX),
            i64::try_from(beat.dropped).unwrap_or(i64::MAX),
            beat.stopping,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The workers, and what waits for them.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn workers(&self) -> Result<Workers, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let running = sqlx::query!(
                r#"select id, task_name, since, stalled, worker as "worker!", total as "total!" from (
                       select *, count(*) over (partition by worker) as total,
                              row_number() over (partition by worker order by since, id) as place
                       from task_active where status = 'running' and worker is not null
                   ) ranked where place <= $1 order by worker, place"#,
                WorkerState::SHOWN_RUNNING as i64,
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut running_of: BTreeMap<String, (i64, Vec<RunningTask>)> = BTreeMap::new();
            for row in running {
                let (total, tasks) = running_of.entry(row.worker).or_default();
                *total = row.total;
                tasks.push(RunningTask {
                    id: row.id,
                    task_name: row.task_name,
                    started_at: row.since,
                    stalled: row.stalled.as_deref().and_then(StallReason::parse),
                });
            }
            let rows = sqlx::query!(
                r#"select *, now() - last_seen >= interval '2 milliseconds' * interval_ms as "silent!", now() as "now!"
                   from workers order by last_seen desc limit $1"#,
                MOST_WORKERS,
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut workers: Vec<WorkerState> = rows
                .into_iter()
                .map(|row| {
                    let (running_count, running) = running_of.remove(&row.worker).unwrap_or_default();
                    WorkerState {
                        health: match (row.stopped, row.silent) {
                            (true, _) => WorkerHealth::Stopped,
                            (false, true) => WorkerHealth::Gone,
                            (false, false) => WorkerHealth::Alive,
                        },
                        worker: row.worker,
                        host: row.host,
                        pid: row.pid,
                        client: row.client,
                        version: row.version,
                        queues: row.queues,
                        concurrency: row.concurrency,
                        started_at: row.started_at,
                        last_seen: row.last_seen,
                        buffered: row.buffered,
                        dropped: row.dropped,
                        running_count,
                        running,
                    }
                })
                .collect();
            workers.sort_by(|a, b| {
                let alive = |state: &WorkerState| state.health != WorkerHealth::Alive;
                (alive(a), &a.worker).cmp(&(alive(b), &b.worker))
            });
            let waiting = sqlx::query!(
                r#"select coalesce(queue, '') as "queue!", count(*) filter (where status = 'pending') as "pending!",
                          min(created_at) filter (where status = 'pending') as oldest_pending_at,
                          count(*) filter (where status = 'running') as "running!"
                   from task_active group by 1"#
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut queues: BTreeMap<String, QueueState> = BTreeMap::new();
            for row in waiting {
                let state = queue_of(&mut queues, &row.queue);
                (state.pending, state.running) = (row.pending, row.running);
                state.oldest_pending_at = row.oldest_pending_at;
            }
            for worker in workers.iter().filter(|worker| worker.health == WorkerHealth::Alive) {
                for queue in &worker.queues {
                    queue_of(&mut queues, queue).workers += 1;
                }
            }
            let dead_letters = count_dead_letters(&mut tx).await?;
            Ok(Workers { generated_at: Utc::now(), position, workers, queues: queues.into_values().collect(), dead_letters })
        })
        .await
    }

    /// Whether what counts as stalled is not what the rules say.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn has_stall_changes(&self, rules: &StallRules) -> Result<bool, StoreError> {
        let (names, times) = rules.columns();
        let any = sqlx::query_scalar!(
            r#"select exists (
                   select from task_active a left join workers w using (worker)
                   left join unnest($3::text[], $4::float8[]) as usual (task_name, p99_ms) on usual.task_name = a.task_name
                   where a.status = 'running' and a.stalled is distinct from taskscope_stalled(
                       a.stalled, a.since, w.last_seen, w.interval_ms, $1, $2, usual.p99_ms)
               ) as "any!""#,
            rules.listening_since,
            rules.floor_ms,
            &names,
            &times as _,
        );
        read(async { Ok(any.fetch_one(&self.pool).await?) }).await
    }

    /// The executions whose worker is gone, and whose task another attempt has taken over.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn replaced_executions(&self) -> Result<Vec<Replaced>, StoreError> {
        // Mostly there is none to look for in all partitions.
        let gone = sqlx::query_scalar!(r#"select exists (select from task_active where stalled = 'worker_gone') as "any!""#);
        if !read(async { Ok(gone.fetch_one(&self.pool).await?) }).await? {
            return Ok(Vec::new());
        }
        let query = sqlx::query!(
            r#"select log.source, log.task_id as "task_id!", log.task_name, log.attempt, log.started_at as "started_at!",
                      log.labels::text, log.worker, w.last_seen, later.attempt as "later_attempt!"
               from task_active a
               join workers w using (worker)
               join task_execution_logs log on log.id = a.id and log.created_at = a.created_at
               cross join lateral (
                   select min(other.attempt) as attempt from task_execution_logs other
                   where other.task_id = log.task_id and other.source = log.source and other.attempt > log.attempt
                     and other.created_at >= log.created_at
                     and other.started_at is not null
               ) later
               where a.stalled = 'worker_gone' and a.status = 'running' and log.source <> 'sql' and log.task_id is not null
                 and log.started_at is not null and later.attempt is not null
                 -- The recorder looks for attempts from a day and a half before their start on.
                 and log.created_at > log.started_at - interval '30 hours'
               limit $1"#,
            MOST_REPLACED,
        );
        let rows = read(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let replaced = rows.into_iter().map(|row| Replaced {
            source: Source::parse(&row.source).unwrap_or_default(),
            task_id: row.task_id,
            task_name: row.task_name,
            attempt: row.attempt,
            started_at: row.started_at,
            labels: super::executions::json(row.labels),
            worker: row.worker,
            last_seen: row.last_seen,
            later_attempt: row.later_attempt,
        });
        Ok(replaced.collect())
    }

    /// Forgets workers that are gone for long and run nothing, and active executions that the log doesn't have.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn tidy_workers(&self) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from workers w where last_seen < now() - make_interval(hours => $1)
             and not exists (select from task_active a where a.worker = w.worker)",
            FORGOTTEN_AFTER_HOURS,
        )
        .execute(&self.pool)
        .await?;
        // Dropped partitions and truncated tables tell no trigger.
        sqlx::query!(
            "delete from task_active a where not exists (
                 select from task_execution_logs log
                 where log.id = a.id and log.created_at = a.created_at and log.status in ('pending', 'running'))"
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl StallRules {
    fn columns(&self) -> (Vec<String>, Vec<Option<f64>>) {
        self.usual.iter().map(|usual| (usual.task_name.clone(), usual.p99_ms)).unzip()
    }
}

impl BatchTx {
    /// Makes what counts as stalled what the rules say. Returns how many executions changed.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn mark_stalled(&mut self, rules: &StallRules) -> Result<u64, StoreError> {
        let (names, times) = rules.columns();
        let done = sqlx::query!(
            "update task_active a set stalled = judged.stalled
             from (
                 select a.id, taskscope_stalled(a.stalled, a.since, w.last_seen, w.interval_ms, $1, $2, usual.p99_ms) as stalled
                 from task_active a left join workers w using (worker)
                 left join unnest($3::text[], $4::float8[]) as usual (task_name, p99_ms) on usual.task_name = a.task_name
                 where a.status = 'running'
             ) judged
             where judged.id = a.id and a.stalled is distinct from judged.stalled",
            rules.listening_since,
            rules.floor_ms,
            &names,
            &times as _,
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }
}

fn queue_of<'a>(queues: &'a mut BTreeMap<String, QueueState>, name: &str) -> &'a mut QueueState {
    queues.entry(name.to_owned()).or_insert_with(|| QueueState {
        queue: name.to_owned(),
        pending: 0,
        oldest_pending_at: None,
        running: 0,
        workers: 0,
    })
}
