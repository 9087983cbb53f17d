import type { NativeEvent } from './taskscope.ts';

const TRACEBACK = `Traceback (most recent call last):
  File "app/worker.py", line 88, in run
    return await task(**kwargs)
  File "app/tasks.py", line 73, in extract_knowledge_from_messages_task
    raise ValueError("No messages provided for extraction")
ValueError: No messages provided for extraction`;

let serial = 0;

/** An execution that ended so many seconds ago, as the events that report it. */
export function execution(
  taskName: string,
  ended: {
    failed?: boolean;
    error?: string;
    durationMs?: number;
    secondsAgo?: number;
    params?: unknown;
    attempt?: number;
    id?: string;
  } = {},
): NativeEvent[] {
  const { error = 'No messages provided for extraction' } = ended;
  const { failed = false, durationMs = 320, secondsAgo = 1, params = { message_id: 1 }, attempt = 1 } = ended;
  const id = ended.id ?? `end2end-${process.pid}-${(serial += 1)}`;
  const end = Date.now() - secondsAgo * 1000;
  const common = { task_id: id, task_name: taskName, attempt, worker: 'worker-1' };
  const at = (time: number) => new Date(time).toISOString();
  return [
    { ...common, type: 'task_queued', timestamp: at(end - durationMs - 40), params },
    { ...common, type: 'task_started', timestamp: at(end - durationMs), params },
    failed
      ? {
          ...common,
          type: 'task_failed',
          timestamp: at(end),
          duration_ms: durationMs,
          error_message: error,
          error_traceback: ended.error ? undefined : TRACEBACK,
        }
      : { ...common, type: 'task_completed', timestamp: at(end), duration_ms: durationMs, result: { score: 0.83 } },
  ];
}

export function executions(number: number, ...args: Parameters<typeof execution>): NativeEvent[] {
  return Array.from({ length: number }, () => execution(...args)).flat();
}

/** A day of a team's tasks: every status, retries, quick and slow ones. */
export function aDay(): NativeEvent[] {
  const hours = (number: number) => number * 3600;
  const events: NativeEvent[] = [];
  for (let hour = 23; hour >= 0; hour -= 1) {
    const when = (minutes: number) => ({ secondsAgo: hours(hour) + minutes * 60 });
    for (let n = 0; n < 3 + ((hour * 7) % 5); n += 1) {
      events.push(...execution('score_message_task', { ...when(n * 4), durationMs: 200 + ((n * 37 + hour) % 200) }));
    }
    events.push(...execution('ingest_telegram_messages_task', { ...when(9), durationMs: 21, params: { chat: 'team', limit: 20 } }));
    const extraction = { message_ids: hour % 6 === 0 ? [] : [3, 5, 8], provider_id: 'openai' };
    const extracted = { ...when(17), failed: hour % 6 === 0, durationMs: hour % 6 === 0 ? 2 : 1250, params: extraction };
    events.push(...execution('extract_knowledge_from_messages_task', extracted));
    const approved = { ...when(31), durationMs: 22 + (hour % 3), params: { threshold: 0.8 } };
    events.push(...execution('scheduled_auto_approval_task', approved));
    events.push(...execution('score_unscored_messages_task', { ...when(33), durationMs: 40 + hour, params: { limit: 50 } }));
    if (hour % 4 === 0) {
      const id = `retried-${hour}`;
      const params = { message_ids: [1, 2], provider_id: 'busy' };
      const error = "429 from provider 'busy': too many requests, attempt 1";
      events.push(...execution('embed_messages_batch_task', { ...when(25), failed: true, error, durationMs: 24, params, id }));
      events.push(...execution('embed_messages_batch_task', { ...when(24), durationMs: 31, params, id, attempt: 2 }));
    }
  }
  events.push(...execution('scheduled_daily_digest_task', { secondsAgo: hours(6), durationMs: 4100, params: { top: 5 } }));
  const now = new Date().toISOString();
  events.push({ type: 'task_started', task_id: 'now-1', task_name: 'scheduled_daily_digest_task', timestamp: now, params: { top: 5 } });
  events.push({ type: 'task_queued', task_id: 'now-2', task_name: 'embed_atoms_batch_task', timestamp: now, params: { atom_ids: [4] } });
  return events;
}
