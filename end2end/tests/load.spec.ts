import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { ARTIFACTS } from '../support/process.ts';
import type { NativeEvent, Taskscope } from '../support/taskscope.ts';
import { count, expect, feedItems, open, test } from '../support/test.ts';

// Tracing takes part of the time that is measured.
test.use({ trace: 'off' });

const RATE = 1000;
const SECONDS = 15;
const BATCHES_A_SECOND = 10;
const TASKS = Array.from({ length: 10 }, (_, n) => `load_task_${n}`);

test('at 1,000 events a second the page stays right, readable and bounded', async ({ page, fresh }) => {
  test.setTimeout(120_000);
  await fresh.report(eventsOf(0, 100));
  await open(page, `${fresh.url}/monitoring`);
  await expect(feedItems(page)).toHaveCount(50);
  await page.evaluate(() => {
    const measured = { longTasks: [] as number[], frames: 0, since: performance.now() };
    Object.assign(window, { measured });
    new PerformanceObserver(list => measured.longTasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: 'longtask' });
    const frame = () => {
      measured.frames += 1;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const nodesBefore = await page.locator('*').count();
  const sending = send(fresh);

  // The page answers while events pour in.
  const started = Date.now();
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
  const held = await feedItems(page).first().textContent();
  await expect(page.getByRole('button', { name: /new events/ })).toBeVisible();
  expect(await feedItems(page).first().textContent()).toBe(held);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.mouse.move(0, 0);
  await page.getByRole('heading', { level: 1 }).click();
  const answered = Date.now() - started;
  await page.screenshot({ path: `${ARTIFACTS}/load.png` });

  const sent = await sending;
  const measured = await page.evaluate(() => {
    const { longTasks, frames, since } = (window as unknown as { measured: { longTasks: number[]; frames: number; since: number } }).measured;
    const seconds = (performance.now() - since) / 1000;
    return { longTasks: longTasks.length, longestTaskMs: Math.max(0, ...longTasks), framesPerSecond: frames / seconds };
  });

  const tasks = sent.events / 2;
  for (const task of TASKS) {
    await expect(count(page, task, 'total')).toHaveAttribute('data-value', String(tasks / TASKS.length), { timeout: 30_000 });
    await expect(count(page, task, 'success')).toHaveAttribute('data-value', String(tasks / TASKS.length));
    await expect(count(page, task, 'running')).toHaveAttribute('data-value', '0');
    expect(await fresh.metrics(task)).toMatchObject({ total_executions: tasks / TASKS.length, success: tasks / TASKS.length });
  }
  expect(await fresh.sql('select count(*) from task_execution_logs')).toBe(String(tasks));
  expect((await fresh.history()).total_count).toBe(tasks);
  expect(await feedItems(page).count()).toBeLessThanOrEqual(50);
  const nodesAfter = await page.locator('*').count();
  expect(nodesAfter).toBeLessThan(nodesBefore * 1.5);

  const report = { ...sent, ...measured, answeredMs: answered, nodesBefore, nodesAfter };
  writeFileSync(`${ARTIFACTS}/load.json`, JSON.stringify(report, undefined, 2));
  test.info().annotations.push({ type: 'load', description: JSON.stringify(report) });
});

/** The start and the end of tasks, in the order in which they happen. */
function eventsOf(first: number, tasks: number): NativeEvent[] {
  return Array.from({ length: tasks }, (_, n) => {
    const common = { task_id: `load-${first + n}`, task_name: TASKS[(first + n) % TASKS.length], timestamp: new Date().toISOString() };
    return [
      { ...common, type: 'task_started' as const },
      { ...common, type: 'task_completed' as const, duration_ms: 5 + (n % 40) },
    ];
  }).flat();
}

/** Sends at a steady rate: a batch whenever its time has come, whether or not the one before is answered. */
async function send(server: Taskscope): Promise<{ events: number; seconds: number }> {
  const size = RATE / BATCHES_A_SECOND / 2;
  const start = Date.now();
  const answers: Promise<void>[] = [];
  let tasks = 100;
  for (let batch = 0; batch < SECONDS * BATCHES_A_SECOND; batch += 1) {
    await pause(Math.max(0, start + (batch * 1000) / BATCHES_A_SECOND - Date.now()));
    answers.push(server.report(eventsOf(tasks, size)));
    tasks += size;
  }
  await Promise.all(answers);
  return { events: tasks * 2, seconds: (Date.now() - start) / 1000 };
}
