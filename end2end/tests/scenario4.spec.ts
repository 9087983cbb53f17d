import { executions } from '../support/data.ts';
import { expect, expectNotReloaded, mark, open, test } from '../support/test.ts';
import type { Page } from '@playwright/test';

const TASK = 'score_message_task';

test.describe('Scenario 4: Task History Filtering', () => {
  test.beforeEach(async ({ fresh }) => {
    await fresh.report([
      ...executions(60, TASK, { secondsAgo: 60 }),
      ...executions(10, TASK, { secondsAgo: 120, failed: true }),
      ...executions(5, TASK, { secondsAgo: 7200 }),
      ...executions(20, 'embed_messages_batch_task', { secondsAgo: 60 }),
    ]);
    await expect.poll(async () => (await fresh.history()).total_count).toBe(95);
  });

  const rows = (page: Page) => page.getByTestId('history-row');
  const total = (page: Page) => page.getByTestId('history-total');
  const expectOnly = async (page: Page, attribute: string, value: string) => {
    await expect(page.locator(`[data-testid="history-row"]:not([${attribute}="${value}"])`)).toHaveCount(0);
  };

  test('filters apply at once, join by AND, and clear in one click', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring/history`);
    await mark(page);
    await expect(total(page)).toHaveText('95 executions');
    await expect(rows(page)).toHaveCount(50);

    await page.getByLabel('Task type').selectOption(TASK);
    await expect(total(page)).toHaveText('75 executions');
    await expectOnly(page, 'data-task-name', TASK);

    await page.getByLabel('Status').selectOption({ label: 'Success' });
    await expect(total(page)).toHaveText('65 executions');
    await expectOnly(page, 'data-status', 'success');

    await page.getByRole('link', { name: 'Last 1 hour' }).click();
    await expect(total(page)).toHaveText('60 executions');
    await expectOnly(page, 'data-task-name', TASK);
    await expectOnly(page, 'data-status', 'success');
    const url = new URL(page.url());
    expect(url.searchParams.get('task_name')).toBe(TASK);
    expect(url.searchParams.get('status')).toBe('success');
    expect(url.searchParams.get('start_date')).toBeTruthy();

    await page.getByRole('link', { name: 'Clear filters' }).click();
    await expect(total(page)).toHaveText('95 executions');
    await expect(page.getByLabel('Task type')).toHaveValue('');
    await expect(page.getByLabel('Status')).toHaveValue('');
    await expect(page).toHaveURL(`${fresh.url}/monitoring/history`);
    await expectNotReloaded(page);
  });

  test('a date range is set by its fields', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring/history`);
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString().slice(0, 16);
    await page.getByLabel('To (UTC)').fill(hourAgo);
    await expect(total(page)).toHaveText('5 executions');
    await page.getByLabel('To (UTC)').fill('');
    await expect(total(page)).toHaveText('95 executions');
    await page.getByLabel('From (UTC)').fill(hourAgo);
    await expect(total(page)).toHaveText('90 executions');
  });

  test('pages hold 50, and an address brings back filters and page', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring/history?task_name=${TASK}`);
    await expect(rows(page)).toHaveCount(50);
    await page.getByRole('link', { name: 'Next' }).click();
    await expect(page).toHaveURL(/[?&]page=2/);
    await expect(rows(page)).toHaveCount(25);
    await expect(total(page)).toHaveText('75 executions');
    await page.reload();
    await expect(rows(page)).toHaveCount(25);
    await page.goBack();
    await expect(rows(page)).toHaveCount(50);
    const ids = await rows(page).evaluateAll(rows => rows.map(row => Number(row.getAttribute('data-id'))));
    expect(new Set(ids).size).toBe(50);
  });

  test('search finds a task by its id, and says when nothing matches', async ({ page, fresh }) => {
    const [row] = (await fresh.history({ status: 'failed' })).items;
    await open(page, `${fresh.url}/monitoring/history`);
    await page.getByLabel('Search').fill(row?.task_id ?? '');
    await expect(rows(page)).toHaveCount(1);
    await expect(rows(page)).toHaveAttribute('data-id', String(row?.id));
    await page.getByLabel('Search').fill('nothing holds this');
    await expect(page.getByText('No execution matches these filters.')).toBeVisible();
  });
});
