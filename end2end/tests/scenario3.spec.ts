import { execution } from '../support/data.ts';
import { expect, open, test } from '../support/test.ts';

const TASK = 'extract_knowledge_from_messages_task';

test.describe('Scenario 3: Failed Task Error Investigation', () => {
  test('a failed task is found in the history, with message, parameters and time', async ({ page, taskscope, taskiq }) => {
    const id = await taskiq.send(TASK, { message_ids: [], provider_id: 'invalid' });
    await expect.poll(async () => (await taskscope.history({ q: id })).items[0]?.status).toBe('failed');

    await open(page, `${taskscope.url}/monitoring`);
    await page.getByRole('link', { name: 'Task History' }).click();
    await page.getByLabel('Status').selectOption({ label: 'Failed' });
    await expect(page).toHaveURL(/[?&]status=failed/);
    const row = page.locator(`[data-testid="history-row"][data-task-name="${TASK}"]`).first();
    await expect(row).toHaveAttribute('data-status', 'failed');
    await expect(row).toContainText('No messages provided for extraction');
    await row.getByRole('cell').nth(3).click();

    const detail = page.getByTestId('execution-detail');
    await expect(detail).toContainText('No messages provided for extraction');
    await expect(detail).toContainText('"message_ids": []');
    await expect(detail).toContainText('"provider_id": "invalid"');
    await expect(detail).toContainText(id);
    await expect(detail.getByText('Failed', { exact: true }).first()).toBeVisible();
    await expect(detail.locator('time').first()).toHaveText(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/);
  });

  test('the whole stack trace is shown where the client reports one', async ({ page, taskscope }) => {
    const taskId = `scenario-3-${Date.now()}`;
    await taskscope.report(execution(TASK, { failed: true, durationMs: 4, params: { message_ids: [] }, id: taskId }));
    await expect.poll(async () => (await taskscope.history({ q: taskId })).total_count).toBe(1);
    const [failed] = (await taskscope.history({ q: taskId })).items;

    await open(page, `${taskscope.url}/monitoring/executions/${failed?.id}`);
    const trace = page.getByRole('region', { name: 'Traceback' });
    await expect(trace).toContainText('File "app/worker.py", line 88, in run');
    await expect(trace).toContainText('File "app/tasks.py", line 73, in extract_knowledge_from_messages_task');
    await expect(trace).toContainText('ValueError: No messages provided for extraction');
  });

  test('every attempt of a task that was retried is there, with its own error', async ({ page, taskscope, taskiq }) => {
    const id = await taskiq.send('embed_messages_batch_task', { message_ids: [1, 2], provider_id: 'busy' });
    const attempts = async () => (await taskscope.history({ q: id })).items.map(item => `${item.attempt} ${item.status}`).sort();
    await expect.poll(attempts).toEqual(['1 failed', '2 failed', '3 success']);

    const items = (await taskscope.history({ q: id })).items;
    const second = items.find(item => item.attempt === 2);
    await open(page, `${taskscope.url}/monitoring/executions/${second?.id}`);
    const detail = page.getByTestId('execution-detail');
    await expect(detail).toContainText('attempt 2 of 3');
    await expect(detail).toContainText('too many requests, attempt 2');
    await detail.getByRole('link', { name: 'Attempt 3' }).click();
    await expect(detail).toContainText('attempt 3 of 3');
    await expect(detail.getByRole('region', { name: 'Result' })).toContainText('"success": 2');
  });
});
