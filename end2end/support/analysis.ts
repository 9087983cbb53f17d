import type { Taskscope } from './taskscope.ts';

/** A proposal of a seeded run; what is left out is filled in. */
export interface SeededProposal {
  title: string;
  priority?: string;
  category?: string;
  confidence?: number;
  status?: string;
  /** The place of the proposal that this one says the same as, from 1. */
  duplicateOf?: number;
}

export interface SeededRun {
  status?: string;
  proposals?: SeededProposal[];
  batches?: [done: number, all: number];
  error?: string;
}

export const PROPOSALS: SeededProposal[] = [
  { title: 'Fix the login that fails for accounts with two addresses', priority: 'critical', category: 'bug', confidence: 0.94 },
  { title: 'Retry the nightly export when the storage answers 503', priority: 'high', category: 'bug', confidence: 0.86 },
  { title: 'Write down how a release is rolled back', priority: 'medium', category: 'documentation', confidence: 0.71 },
  { title: 'Repair the login for people who have two addresses', priority: 'urgent', category: 'bug', confidence: 0.62, duplicateOf: 1 },
  { title: 'Remove the second HTTP client', priority: 'low', category: 'technical_debt', confidence: 0.48 },
];

const BUILT_IN = '00000000-0000-4000-8000-000000000004';

/** Messages that proposals and atoms come from; their numbers. */
export async function seedMessages(server: Taskscope): Promise<number[]> {
  const ids = await server.sql(`
    insert into messages (author, content, sent_at, channel)
    select author, content, now() - n * interval '7 minutes', 'backend'
    from (values
      (3, 'Olena Kovalenko', 'Login is broken again: whoever has two addresses gets a 500.'),
      (2, 'Marc Ito', 'Same here. It looks like the second address is not unique any more.\nI can reproduce it with my own account.'),
      (1, 'Petra Lindqvist', 'Please fix that before the release, support has eleven tickets.')
    ) as m (n, author, content)
    returning id`);
  return ids.split('\n').filter(line => /^\d+$/.test(line)).map(Number);
}

/** Puts a run with its proposals, log and messages into the database, and says which it is. */
export async function seedRun(server: Taskscope, run: SeededRun = {}): Promise<string> {
  const { status = 'completed', proposals = PROPOSALS, batches = [3, 3], error } = run;
  const messages = await seedMessages(server);
  const count = (wanted: string) => proposals.filter(({ status = 'pending' }) => status === wanted).length;
  const [done, all] = batches;
  const over = !['pending', 'running'].includes(status);
  const text = (value: string | undefined) => (value === undefined ? 'null' : `$$${value}$$`);
  const failure = error && JSON.stringify({ error, step: 'process_batch', batch: done + 1, at: new Date().toISOString() });
  const rows = await server.sql(`
    insert into analysis_runs (status, time_window_start, time_window_end, agent_assignment_id, agent_name, config_snapshot, task_id,
      started_at, completed_at, total_messages_in_window, messages_after_prefilter, messages_processed, batches_created, batches_done,
      proposals_total, proposals_pending, proposals_approved, proposals_rejected, proposals_merged, prompt_tokens, completion_tokens,
      cost, error_log)
    values ('${status}', date_trunc('hour', now()) - interval '1 day', date_trunc('hour', now()), '${BUILT_IN}', 'Triage', '{"model_name": "gpt-4o-mini"}',
      ${status === 'pending' ? 'null' : "'task-' || gen_random_uuid()"}, ${status === 'pending' ? 'null' : "now() - interval '90 seconds'"},
      ${over ? 'now()' : 'null'}, ${50 * all}, ${15 * all}, ${15 * done}, ${all}, ${done}, ${proposals.length}, ${count('pending')}, ${count('approved')},
      ${count('rejected')}, ${count('merged')}, 11800, 545, 0.00213, ${text(failure)})
    returning id`);
  const id = rows.split('\n')[0] ?? '';
  const values = proposals.map((proposal, n) => {
    const { title, priority = 'medium', category = 'task', confidence = 0.7, status = 'pending' } = proposal;
    const description = `${title}, so that nobody has to work around it any more. Several people asked for it.`;
    const reasoning = 'Three messages name the same failure, and one asks for it before the release.';
    return `('${id}', ${Math.floor(n / 2) + 1}, ${(n % 2) + 1}, $$${title}$$, $$${description}$$, '${priority}', '${category}', '{login,release}',
      ${confidence}, '{${messages.join(',')}}', $$${reasoning}$$, 'new_task', '${status}')`;
  });
  if (values.length > 0) {
    await server.sql(`
      insert into proposals (run_id, batch, place, proposed_title, proposed_description, proposed_priority, proposed_category,
        proposed_tags, confidence, source_message_ids, reasoning, llm_recommendation, status)
      values ${values.join(',')}`);
  }
  for (const { title, duplicateOf } of proposals) {
    const original = duplicateOf === undefined ? undefined : proposals[duplicateOf - 1];
    if (!original) continue;
    await server.sql(`
      update proposals set similarity = 0.87, llm_recommendation = 'merge',
        duplicate_of = (select id from proposals where run_id = '${id}' and proposed_title = $$${original.title}$$)
      where run_id = '${id}' and proposed_title = $$${title}$$`);
  }
  await log(server, id, ['Starting run', 'Found 150 messages in window', '45 messages after pre-filter', `Created ${all} batches`]);
  return id;
}

/** Writes lines into a run's log, as the executor does. */
export async function log(server: Taskscope, run: string, lines: string[]): Promise<void> {
  await server.sql(`insert into analysis_log (run_id, line) values ${lines.map(line => `('${run}', 'Run ${run}: ${line}')`).join(',')}`);
}

/** Moves a running run on by a batch and tells it, as the executor does. */
export async function progress(server: Taskscope, run: string, done: number, all: number): Promise<void> {
  await log(server, run, [`Processing batch ${done + 1}/${all} (15 messages)`]);
  await server.sql(`
    with run as (
      update analysis_runs set batches_created = ${all}, batches_done = ${done}, messages_processed = ${15 * done},
        messages_after_prefilter = ${15 * all}, prompt_tokens = prompt_tokens + 1000, cost = coalesce(cost, 0) + 0.0004
      where id = '${run}' returning *
    )
    insert into analysis_events (event, data)
    select 'progress_updated', jsonb_build_object('run_id', id, 'current_batch', batches_done + 1, 'total_batches', batches_created,
      'batches_done', batches_done, 'messages_processed', messages_processed, 'messages_after_prefilter', messages_after_prefilter,
      'proposals_total', proposals_total, 'llm_tokens', llm_tokens, 'cost', cost)
    from run`);
}

export interface SeededAtom {
  kind: string;
  title: string;
  content: string;
  confidence: number;
  status?: string;
  auto?: boolean;
  version?: number;
}

export const ATOMS: SeededAtom[] = [
  { kind: 'problem', title: 'Accounts with two addresses can’t log in', content: 'The second address is not unique, and the query for it takes one row.', confidence: 0.93, status: 'approved', auto: true, version: 2 },
  { kind: 'solution', title: 'A unique index on lower(address)', content: 'Marc adds it in the next migration, after the doubles are merged.', confidence: 0.81 },
  { kind: 'decision', title: 'The release waits for the fix', content: 'Support has eleven tickets about it.', confidence: 0.77 },
];

/** Puts a topic with its atoms and messages into the database, and says which it is. */
export async function seedTopic(server: Taskscope, name: string, atoms: SeededAtom[] = ATOMS): Promise<string> {
  const messages = await seedMessages(server);
  const rows = await server.sql(`
    insert into topics (name, description, summary, summarized_at)
    values ($$${name}$$, $$What goes wrong when people sign in, and what is done about it.$$,
      $$People with two addresses can’t sign in since the addresses moved to a table of their own. A unique index is on its way.$$, now())
    returning id`);
  const id = rows.split('\n')[0] ?? '';
  await server.sql(`insert into topic_messages (topic_id, message_id) select '${id}', unnest('{${messages.join(',')}}'::bigint[])`);
  for (const { kind, title, content, confidence, status = 'pending', auto = false, version = 1 } of atoms) {
    await server.sql(`
      with atom as (
        insert into atoms (topic_id, kind, title, content, confidence, status, auto_approved, version)
        values ('${id}', '${kind}', $$${title}$$, $$${content}$$, ${confidence}, '${status}', ${auto}, ${version}) returning id
      )
      insert into atom_messages (atom_id, message_id) select id, unnest('{${messages.join(',')}}'::bigint[]) from atom`);
  }
  return id;
}
