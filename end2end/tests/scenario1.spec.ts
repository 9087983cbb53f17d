import { QUICKSTART_TASKS, count, expect, expectNotReloaded, healthCard, mark, open, test } from '../support/test.ts';

const TASK = 'score_message_task';

test.describe('Scenario 1: Real-Time Health Metrics Display', () => {
  test('cards for all ten task types, before anything ran', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring`);
    for (const task of QUICKSTART_TASKS) {
      await expect(healthCard(page, task)).toBeVisible();
      await expect(count(page, task, 'total')).toHaveAttribute('data-value', '0');
    }
  });

  test('a task moves from pending to running to success', async ({ page, taskscope, taskiq }) => {
    const before = await taskscope.metrics(TASK);
    await open(page, `${taskscope.url}/monitoring`);
    await mark(page);
    const expectCount = (name: 'total' | 'pending' | 'running' | 'success', more: number) => {
      const known = name === 'total' ? before.total_executions : before[name];
      return expect(count(page, TASK, name)).toHaveAttribute('data-value', String(known + more));
    };
    await expectCount('total', 0);

    // Running lasts 240 ms, too short to be sure of seeing it from outside the page.
    await count(page, TASK, 'running').evaluate(element => {
      const seen = [element.getAttribute('data-value')];
      Object.assign(window, { seenRunning: seen });
      new MutationObserver(() => seen.push(element.getAttribute('data-value'))).observe(element, { attributes: true });
    });
    await taskiq.whileFrozen(async () => {
      await taskiq.send(TASK, { message_id: 1 });
      await expectCount('pending', 1);
      await expectCount('total', 1);
    });
    await expectCount('success', 1);
    await expectCount('pending', 0);
    await expectCount('running', 0);
    await expectCount('total', 1);
    const seenRunning = await page.evaluate(() => (window as unknown as { seenRunning: string[] }).seenRunning);
    expect(seenRunning).toContain(String(before.running + 1));
    await expectNotReloaded(page);
  });

  test('a task that fails is counted as failed', async ({ page, taskscope, taskiq }) => {
    const task = 'scheduled_notification_alert_task';
    const before = await taskscope.metrics(task);
    await open(page, `${taskscope.url}/monitoring`);
    await taskiq.send(task, { webhook: 'http://hooks.example/ops' });
    await expect(count(page, task, 'failed')).toHaveAttribute('data-value', String(before.failed + 1));
    await expect(count(page, task, 'success')).toHaveAttribute('data-value', String(before.success));
  });

  test('what a reader did to the page stays when the counts are fetched anew', async ({ page, fresh }) => {
    const timestamp = new Date().toISOString();
    await fresh.report([1, 2].map(n => ({ type: 'task_started', task_id: `kept-${n}`, task_name: TASK, timestamp })));
    await open(page, `${fresh.url}/monitoring`);
    await expect(count(page, TASK, 'total')).toHaveAttribute('data-value', '2');
    await page.getByRole('button', { name: 'Pause' }).click();
    await healthCard(page, TASK).getByRole('link', { name: TASK }).focus();

    // What SQL deletes is no event: the page fetches.
    await fresh.sql(`delete from task_execution_logs where task_id = 'kept-1'`);
    await expect(count(page, TASK, 'total')).toHaveAttribute('data-value', '1');
    await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
    await expect(healthCard(page, TASK).getByRole('link', { name: TASK })).toBeFocused();
  });
});
