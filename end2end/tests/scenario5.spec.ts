import { count, expect, healthCard, metric, open, test } from '../support/test.ts';

test.describe('Scenario 5: Performance Metrics Calculation', () => {
  test('rows written by plain SQL are counted, live', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring`);
    await fresh.sql(`
      INSERT INTO task_execution_logs (task_name, status, duration_ms, created_at)
      VALUES
        ('test_task', 'success', 100, NOW()),
        ('test_task', 'success', 200, NOW()),
        ('test_task', 'success', 300, NOW()),
        ('test_task', 'failed', 150, NOW());`);
    await expect(count(page, 'test_task', 'total')).toHaveAttribute('data-value', '4');
    await expect(count(page, 'test_task', 'success')).toHaveAttribute('data-value', '3');
    await expect(count(page, 'test_task', 'failed')).toHaveAttribute('data-value', '1');
    await expect(metric(page, 'test_task', 'avg_duration_ms')).toHaveText('200ms');
    await expect(metric(page, 'test_task', 'success_rate')).toHaveText('75%');

    await page.reload();
    await expect(count(page, 'test_task', 'total')).toHaveText('4');
    await expect(metric(page, 'test_task', 'avg_duration_ms')).toHaveAttribute('data-value', '200');
    await expect(metric(page, 'test_task', 'success_rate')).toHaveAttribute('data-value', '75');
    expect(await fresh.metrics('test_task')).toMatchObject({
      total_executions: 4,
      success: 3,
      failed: 1,
      avg_duration_ms: 200,
      success_rate: 75,
    });

    await open(page, `${fresh.url}/monitoring`);
    await fresh.sql(`UPDATE task_execution_logs SET status = 'success', duration_ms = 400 WHERE task_name = 'test_task' AND status = 'failed'`);
    await expect(metric(page, 'test_task', 'avg_duration_ms')).toHaveText('250ms');
    await expect(metric(page, 'test_task', 'success_rate')).toHaveText('100%');
    await fresh.sql(`DELETE FROM task_execution_logs WHERE task_name = 'test_task' AND duration_ms = 400`);
    await expect(count(page, 'test_task', 'total')).toHaveAttribute('data-value', '3');

    // The quickstart's clean-up.
    await fresh.sql(`DELETE FROM task_execution_logs WHERE task_name = 'test_task'`);
    await expect(healthCard(page, 'test_task').locator('[data-count="total"]:not([data-value="0"])')).toHaveCount(0);
    expect((await fresh.metrics('test_task')).total_executions).toBe(0);
  });

  test('a task type without executions has a dash, not a rate', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring`);
    await expect(metric(page, 'score_message_task', 'success_rate')).toHaveText('–');
    await expect(metric(page, 'score_message_task', 'avg_duration_ms')).toHaveText('–');
  });
});
