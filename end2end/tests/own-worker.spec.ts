import { rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { Taskscope, temporaryDirectory } from '../support/taskscope.ts';
import { count, expect, open, test } from '../support/test.ts';

let working: Taskscope;

test.beforeAll(async () => {
  // What `make run` starts: server, worker and sample messages.
  working = await Taskscope.fresh('own-worker', true);
});

test.afterAll(async () => {
  await working.remove();
});

const LIVELY = [
  'ingest_telegram_messages_task',
  'save_telegram_message',
  'score_message_task',
  'score_unscored_messages_task',
  'scheduled_notification_alert_task',
  'scheduled_daily_digest_task',
  'cleanup_old_task_logs',
];

test('within a minute of opening, executions of seven task types pass through all their states before the reader', async ({ page }) => {
  test.setTimeout(90_000);
  // Every message of the live stream that reaches the page.
  const steps = new Map<string, Set<string>>();
  page.on('websocket', socket =>
    socket.on('framereceived', ({ payload }) => {
      for (const { type, task_name } of [JSON.parse(String(payload))].flat() as { type: string; task_name?: string }[]) {
        if (task_name) steps.set(task_name, (steps.get(task_name) ?? new Set()).add(type));
      }
    }),
  );
  await open(page, `${working.url}/monitoring`);
  const passed = () => LIVELY.filter(name => ['task_queued', 'task_started', 'task_completed'].every(step => steps.get(name)?.has(step)));
  await expect.poll(passed, { timeout: 60_000 }).toEqual(LIVELY);
  for (const name of LIVELY) await expect(count(page, name, 'success'), name).not.toHaveAttribute('data-value', '0');
});

test('all fifteen task types have a card with real executions', async ({ page }) => {
  test.setTimeout(120_000);
  await open(page, `${working.url}/monitoring`);
  const names = await page.getByTestId('health-card').evaluateAll(cards => cards.map(card => card.getAttribute('data-task-name') ?? ''));
  expect(names).toHaveLength(15);
  for (const name of names) await expect(count(page, name, 'success'), name).not.toHaveAttribute('data-value', '0', { timeout: 90_000 });
});

test.describe('a task is run from the dashboard', () => {
  // Chromium notes every answer whose status is no success.
  test.use({ allowedErrors: /the server responded with a status of 400/ });

  test('with a form from its schema, and again with other params', async ({ page }) => {
    await open(page, `${working.url}/monitoring/tasks`);
    await expect(page.getByTestId('task-type')).toHaveCount(15);
    await page.getByRole('link', { name: 'Run score_message_task…' }).click();
    const dialog = page.getByTestId('run-dialog');
    await expect(dialog).toBeVisible();
    const id = dialog.getByLabel('message_id');
    await id.fill('999999999');
    await id.press('Enter');
    await expect(dialog.getByTestId('task-sent')).toBeVisible();
    await dialog.getByRole('link', { name: 'See its execution' }).click();
    await expect(page.getByTestId('history-row').first()).toHaveAttribute('data-status', 'failed', { timeout: 30_000 });
    await page.getByTestId('history-row').first().getByRole('link').click();
    await expect(page.getByTestId('execution-detail')).toContainText('999999999');

    await page.getByRole('link', { name: 'Run again…' }).click();
    await expect(id).toHaveValue('999999999');
    await page.keyboard.press('Escape');
    await expect(dialog).toBeHidden();
    await page.goBack();
    await expect(id).toHaveValue('999999999');
    await id.fill('0');
    await id.evaluate((input: HTMLInputElement) => input.removeAttribute('min'));
    await id.press('Enter');
    await expect(dialog.getByTestId('task-error')).toContainText('message_id');
    await id.fill(await working.sql('select min(id) from messages'));
    await id.press('Enter');
    await dialog.getByRole('link', { name: 'See its execution' }).click();
    await expect(page.getByTestId('history-row').first()).toHaveAttribute('data-status', 'success', { timeout: 30_000 });
  });
});

test('its worker is on the Workers page, with its queues', async ({ page }) => {
  await open(page, `${working.url}/monitoring/workers`);
  await expect(page.getByTestId('worker')).toHaveAttribute('data-health', 'alive');
  for (const queue of ['messages', 'ingest', 'scheduled']) await expect(page.locator(`[data-queue="${queue}"]`)).toBeVisible();
});

/** An export as Telegram Desktop writes it. */
function exportOf(messages: number): object {
  const message = (id: number) => ({
    id,
    type: id % 100 ? 'message' : 'service',
    date_unixtime: String(1_795_000_000 + id),
    ...(id % 100 ? { from: `Author ${id % 7}`, from_id: `user${id % 7}` } : { actor: 'Author 1', action: 'pin_message' }),
    text: id % 3 ? `Message ${id}: the build is green again` : ['see ', { type: 'link', text: `https://ci.example/${id}` }],
  });
  return { name: 'A large chat', type: 'private_supergroup', id: 1_234_567, messages: Array.from({ length: messages }, (_, n) => message(n + 1)) };
}

test('an export of more than 10,000 messages is imported with progress on the screen, twice, without a double', async ({ page }) => {
  test.setTimeout(120_000);
  const directory = temporaryDirectory();
  const file = resolve(directory, 'result.json');
  writeFileSync(file, JSON.stringify(exportOf(150_000)));
  const messages = () => working.sql("select count(*) from messages where source = 'export'");
  await open(page, `${working.url}/monitoring/tasks`);
  for (const [turn, outcome] of ['148,500 new, 0 edited, 0 known, 1,500 skipped', '0 new, 0 edited, 148,500 known, 1,500 skipped'].entries()) {
    const response = await fetch(`${working.url}/api/v1/tasks/ingest_telegram_messages_task`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ params: { source: 'export', path: file } }),
    });
    const { task_id } = (await response.json()) as { task_id: string };
    const row = page.locator(`[data-task-id="${task_id}"]`);
    if (turn === 0) await expect(row.getByText(/ of 150,000 read/)).toBeVisible();
    await expect(row).toContainText(`150,000 read: ${outcome}`, { timeout: 60_000 });
    expect(await messages()).toBe('148500');
  }
  rmSync(directory, { recursive: true, force: true });
});
