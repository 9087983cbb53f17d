import type { Page } from '@playwright/test';

import { ATOMS, PROPOSALS, log, seedRun, seedTopic } from '../support/analysis.ts';
import { aDay } from '../support/data.ts';
import { Line } from '../support/line.ts';
import { ARTIFACTS } from '../support/process.ts';
import { Taskscope } from '../support/taskscope.ts';
import { connection, expect, open, test } from '../support/test.ts';

let seeded: Taskscope;
let running = '';
let reviewing = '';
let topic = '';

test.beforeAll(async () => {
  seeded = await Taskscope.fresh('screenshots');
  const events = aDay();
  await seeded.report(events);
  const worker = { queues: ['mail', 'reports'], concurrency: 8, version: '2.4.1', client: 'taskscope-client 0.1.0' };
  await seeded.heartbeat('web-1:41:9f2a', { ...worker, dropped: 1234 });
  await seeded.heartbeat('web-2:7:01ab', { ...worker, host: 'web-2', pid: 7, interval_ms: 200 });
  const sent = (task_id: string, seconds: number) => ({ task_id, task_name: 'send_mail', queue: 'mail', timestamp: new Date(Date.now() - seconds * 1000).toISOString() });
  const started = [sent('m1', 4), sent('m2', 65), sent('m3', 130)].map((event, n) => ({ ...event, worker: n ? 'web-2:7:01ab' : 'web-1:41:9f2a' }));
  const more = [
    ...started.map(event => ({ type: 'task_started' as const, ...event })),
    ...[sent('m4', 30), sent('m5', 20)].map(event => ({ type: 'task_queued' as const, ...event })),
  ];
  await seeded.report(more);
  events.push(...more);
  const tasks = new Set(events.map(event => `${event.task_id} ${event.attempt ?? 1}`)).size;
  await expect.poll(async () => (await seeded.history()).total_count).toBe(tasks);
});

test.beforeAll(async () => {
  await seedRun(seeded, { status: 'failed', batches: [1, 3], error: 'the provider answered 401: Incorrect API key provided', proposals: [] });
  const [first, second, ...others] = PROPOSALS;
  if (!first || !second) throw new Error('there must be proposals');
  const decided = [{ ...first, status: 'approved' }, { ...second, status: 'rejected' }, ...others];
  reviewing = await seedRun(seeded, { proposals: decided });
  running = await seedRun(seeded, { status: 'running', batches: [17, 50], proposals: PROPOSALS });
  await log(seeded, running, Array.from({ length: 17 }, (_, n) => `Batch ${n + 1} completed, created ${n % 3} proposals`));
  topic = await seedTopic(seeded, 'Login', ATOMS);
  await seedTopic(seeded, 'Nightly export', ATOMS.slice(1));
});

test.afterAll(async () => {
  await seeded.remove();
});

const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

async function keep(page: Page, name: string): Promise<void> {
  // Whatever is wider than the screen could only be read by scrolling sideways.
  const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(tooWide, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
  await page.screenshot({ path: `${ARTIFACTS}/${name}.png`, fullPage: true, animations: 'disabled' });
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    test(`${colorScheme}, ${size}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      const [failed] = (await seeded.history({ status: 'failed', task_name: 'embed_messages_batch_task' })).items;
      await open(page, `${seeded.url}/monitoring`);
      await keep(page, `overview-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/history`);
      await keep(page, `history-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/history?status=failed&execution=${failed?.id}`);
      await keep(page, `details-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/workers`);
      await keep(page, `workers-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/tasks`);
      await keep(page, `tasks-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/tasks?run=ingest_telegram_messages_task`);
      await keep(page, `run-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/history?stalled=true`);
      await keep(page, `stalled-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/analysis`);
      await keep(page, `analysis-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/analysis?new`);
      await expect(page.getByTestId('run-provider')).toBeVisible();
      await keep(page, `analysis-new-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/analysis/${running}`);
      await keep(page, `analysis-running-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/analysis/${reviewing}`);
      await keep(page, `analysis-review-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/knowledge`);
      await keep(page, `knowledge-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/knowledge/${topic}`);
      await keep(page, `topic-${colorScheme}-${size}`);
      await open(page, `${seeded.url}/monitoring/executions/${failed?.id}`);
      await keep(page, `execution-${colorScheme}-${size}`);
    });
  }
}

test('nothing reported yet', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/monitoring`);
  await expect(page.getByTestId('connect-worker')).toContainText(fresh.url);
  await keep(page, 'empty-light-wide');
  await page.setViewportSize(SIZES.phone);
  await keep(page, 'empty-light-phone');
});

test.describe('the server is away', () => {
  test.use({ allowedErrors: /WebSocket connection to|Failed to load resource: net::ERR_/ });

  test('disconnected', async ({ page }) => {
    const line = new Line(seeded.port);
    await line.mend();
    await open(page, `${line.url}/monitoring`);
    await line.cut();
    await expect(connection(page)).toHaveText('Disconnected');
    await keep(page, 'disconnected-light-wide');
  });
});
