import { expect, healthCard, open, test } from '../support/test.ts';
import type { Taskscope } from '../support/taskscope.ts';

const WORKER = 'web-1:41:9f2a';

/** A worker that runs two tasks while one waits. */
async function busy(server: Taskscope, interval_ms: number): Promise<void> {
  const now = new Date().toISOString();
  await server.heartbeat(WORKER, { queues: ['mail'], concurrency: 8, interval_ms, dropped: 1234 });
  await server.report([
    { type: 'task_started', task_id: '1', task_name: 'send_mail', timestamp: now, worker: WORKER, queue: 'mail' },
    { type: 'task_started', task_id: '2', task_name: 'send_mail', timestamp: now, worker: WORKER, queue: 'mail' },
    { type: 'task_queued', task_id: '3', task_name: 'send_mail', timestamp: now, queue: 'mail' },
  ]);
}

test('the Workers page says who is alive, what each runs, what waits and what was dropped', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/monitoring/workers`);
  await expect(page.getByText('No worker sends heartbeats.')).toBeVisible();
  await busy(fresh, 3_600_000);
  const worker = page.getByTestId('worker');
  await expect(worker).toHaveAttribute('data-health', 'alive');
  await expect(worker.locator('[data-count="running"]')).toHaveText('2 of 8');
  await expect(worker.locator('[data-count="dropped"]')).toContainText('1,234');
  await expect(worker.getByRole('link', { name: 'send_mail' })).toHaveCount(2);
  const queue = page.locator('[data-queue="mail"]');
  await expect(queue.locator('[data-count="pending"]')).toHaveAttribute('data-value', '1');
  await expect(queue.locator('[data-count="workers"]')).toHaveAttribute('data-value', '1');

  await fresh.heartbeat(WORKER, { stopping: true });
  await expect(worker).toHaveAttribute('data-health', 'stopped');
  await worker.getByRole('link', { name: WORKER }).click();
  await expect(page.getByTestId('history-row')).toHaveCount(2);
  await page.getByRole('link', { name: `Remove filter: Worker ${WORKER}` }).click();
  await expect(page.getByTestId('history-row')).toHaveCount(3);
});

test('events that could not be stored are told, with the way to them', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/monitoring/workers`);
  await expect(page.getByText('No worker sends heartbeats.')).toBeVisible();
  await expect(page.getByTestId('dead-letters')).toHaveCount(0);
  await fresh.sql("insert into dead_letters (reason, event) values ('<b>refused</b>', '{}'), ('refused', '{}')");
  await expect(page.getByText('2 events could not be stored')).toBeVisible();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'take them along' }).click();
  expect((await download).suggestedFilename()).toBe('dead-letters.ndjson');
  await page.getByRole('button', { name: 'Send them again' }).click();
  await expect(page.getByTestId('replayed')).toHaveText('Sent again: 0. No event, so that they stay: 2.');
  await page.getByRole('link', { name: 'look at them' }).click();
  await expect(page.locator('body')).toContainText('"total_count":2');
  await expect(page.locator('b')).toHaveCount(0);
});

test('what a worker that is gone was running is flagged everywhere, and cleared when it reports again', async ({ page, context, fresh }) => {
  await open(page, `${fresh.url}/monitoring`);
  const history = await context.newPage();
  await open(history, `${fresh.url}/monitoring/history`);
  await busy(fresh, 500);
  const card = healthCard(page, 'send_mail');
  await expect(card.getByRole('link', { name: '2 stalled' })).toBeVisible();
  await expect(page.getByTestId('summary').getByRole('link', { name: '2 stalled' })).toBeVisible();
  await expect(history.locator('[data-stalled="worker_gone"]')).toHaveCount(2);
  const workers = await context.newPage();
  await open(workers, `${fresh.url}/monitoring/workers`);
  await expect(workers.getByTestId('worker')).toHaveAttribute('data-health', 'gone');
  await expect(workers.locator('[data-stalled="worker_gone"]')).toHaveCount(2);

  await card.getByRole('link', { name: '2 stalled' }).click();
  await expect(page.getByTestId('history-row')).toHaveCount(2);
  await page.getByTestId('history-row').first().getByRole('link').click();
  await expect(page.getByTestId('execution-detail')).toContainText('No heartbeat of its worker');

  await fresh.heartbeat(WORKER);
  await expect(history.locator('[data-stalled]')).toHaveCount(0);
  await expect(workers.locator('[data-stalled]')).toHaveCount(0);
  await expect(page.getByTestId('execution-detail')).not.toContainText('No heartbeat of its worker');
});
