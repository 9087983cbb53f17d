import { execution, executions } from '../support/data.ts';
import { count, expect, feedItems, healthCard, metric, test } from '../support/test.ts';

// Chromium notes every page whose status is no success.
test.use({ javaScriptEnabled: false, allowedErrors: /the server responded with a status of 40[04]/ });

const TASK = 'score_message_task';

test.describe('without JavaScript', () => {
  test.beforeEach(async ({ fresh }) => {
    await fresh.report([
      ...executions(60, TASK, { secondsAgo: 60, durationMs: 200 }),
      ...executions(20, TASK, { secondsAgo: 120, failed: true }),
      ...execution('embed_messages_batch_task', { secondsAgo: 7200 }),
    ]);
    await expect.poll(async () => (await fresh.history()).total_count).toBe(81);
  });

  test('Scenarios 1, 2 and 5: cards and feed have real numbers', async ({ page, fresh }) => {
    await page.goto(`${fresh.url}/monitoring`);
    await expect(count(page, TASK, 'total')).toHaveText('80');
    await expect(count(page, TASK, 'success')).toHaveText('60');
    await expect(count(page, TASK, 'failed')).toHaveText('20');
    await expect(metric(page, TASK, 'avg_duration_ms')).toHaveText('200ms');
    await expect(metric(page, TASK, 'success_rate')).toHaveText('75%');
    await expect(feedItems(page)).toHaveCount(50);
    await expect(feedItems(page).first()).toContainText(/completed \(success\) in 200ms at \d\d:\d\d:\d\d/);
    await healthCard(page, TASK).getByRole('link', { name: /Failed/ }).click();
    await expect(page.getByTestId('history-total')).toHaveText('20 executions');
  });

  test('Scenario 4: filters work as a form, pages as links', async ({ page, fresh }) => {
    await page.goto(`${fresh.url}/monitoring/history`);
    await expect(page.getByTestId('history-total')).toHaveText('81 executions');
    await page.getByLabel('Task type').selectOption(TASK);
    await page.getByLabel('Status').selectOption({ label: 'Success' });
    await page.getByLabel('From (UTC)').fill(new Date(Date.now() - 3_600_000).toISOString().slice(0, 16));
    await page.getByRole('button', { name: 'Apply' }).click();
    await expect(page.getByTestId('history-total')).toHaveText('60 executions');
    await expect(page.getByLabel('Task type')).toHaveValue(TASK);
    await expect(page.getByLabel('Status')).toHaveValue('success');
    await expect(page.getByTestId('history-row')).toHaveCount(50);
    await page.getByRole('link', { name: 'Next' }).click();
    await expect(page.getByTestId('history-row')).toHaveCount(10);
    await page.getByRole('link', { name: 'Clear filters' }).click();
    await expect(page.getByTestId('history-total')).toHaveText('81 executions');
  });

  test('Scenario 3: a failed execution opens from its row, and as a page', async ({ page, fresh }) => {
    await page.goto(`${fresh.url}/monitoring/history?status=failed`);
    await page.getByTestId('history-row').first().getByRole('link').click();
    const detail = page.getByTestId('execution-detail');
    await expect(detail).toContainText('No messages provided for extraction');
    await expect(detail).toContainText('File "app/tasks.py", line 73');
    await detail.getByRole('link', { name: 'Open as page' }).click();
    await expect(page).toHaveURL(/\/monitoring\/executions\/\d+$/);
    await expect(detail).toContainText('"message_id": 1');
    await page.goto(`${fresh.url}/monitoring/executions/999999999`);
    await expect(page.getByText('There is no execution 999999999.')).toBeVisible();
  });

  test('a parameter that is wrong is explained', async ({ page, fresh }) => {
    await page.goto(`${fresh.url}/monitoring/history?page=0`);
    await expect(page.getByText(/page must be a whole number from 1/)).toBeVisible();
  });
});
