import { AxeBuilder } from '@axe-core/playwright';

import type { Locator, Page } from '@playwright/test';

import { aDay, execution, executions } from '../support/data.ts';
import type { Taskscope } from '../support/taskscope.ts';
import { expect, expectNotReloaded, healthCard, mark, open, test } from '../support/test.ts';

const TASK = 'score_message_task';

function chart(page: Page, name: string): Locator {
  return page.locator(`[data-chart="${name}"]`);
}

function reading(page: Page, name: string): Locator {
  return chart(page, name).locator('.chart-reading');
}

function figure(page: Page, name: string): Locator {
  return page.locator(`[data-figure="${name}"]`);
}

/** Reports a day of executions, and waits until all of them are counted. */
async function tellOfADay(fresh: Taskscope): Promise<void> {
  const events = aDay();
  await fresh.report(events);
  const executions = new Set(events.map((event) => `${event.task_id} ${event.attempt ?? 1}`));
  await expect.poll(async () => (await fresh.history({})).total_count).toBe(executions.size);
}

test('a card leads to the charts of its task type, and the window stands in the address', async ({ page, fresh }) => {
  await tellOfADay(fresh);
  await open(page, `${fresh.url}/monitoring`);
  await expect(chart(page, 'throughput').getByRole('img')).toHaveAccessibleName(/^Executions over time since .* in all/);
  await mark(page);
  await healthCard(page, TASK).getByRole('link', { name: TASK }).click();
  await expect(page).toHaveURL(`${fresh.url}/monitoring/tasks/${TASK}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(TASK);
  for (const name of ['throughput', 'success', 'run', 'wait', 'week']) {
    await expect(chart(page, name).getByRole('img'), name).toBeVisible();
  }
  await expect(figure(page, 'run_p95')).toHaveText(/^\d+(\.\d)?ms$/);
  const day = await figure(page, 'total').textContent();
  await page.getByRole('link', { name: 'Last 6 hours' }).click();
  await expect(page).toHaveURL(/\?time_window=6$/);
  await expect(page.getByRole('link', { name: 'Last 6 hours' })).toHaveAttribute('aria-current', 'true');
  await expect(figure(page, 'total')).not.toHaveText(day ?? '');
  await page.goBack();
  await expect(figure(page, 'total')).toHaveText(day ?? '');
  await expectNotReloaded(page);
});

test('the last step moves with what happens, and a failure is listed', async ({ page, fresh }) => {
  await fresh.report(executions(3, TASK, { durationMs: 320 }));
  await expect.poll(async () => (await fresh.history({})).total_count).toBe(3);
  await open(page, `${fresh.url}/monitoring/tasks/${TASK}`);
  await expect(figure(page, 'total')).toHaveText('3');
  await expect(page.getByText('No failures in this window')).toBeVisible();
  await mark(page);
  await fresh.report([
    ...execution(TASK, { failed: true, secondsAgo: 0, error: 'no such message' }),
    { type: 'task_queued', task_id: 'waits', task_name: TASK, timestamp: new Date().toISOString() },
    ...execution('another_task', { secondsAgo: 0 }),
  ]);
  await expect(figure(page, 'total')).toHaveText('5');
  await expect(figure(page, 'waiting')).toHaveText('1');
  await expect(figure(page, 'oldest')).toHaveText(/^\d+s$/, { timeout: 35_000 });
  await expect(reading(page, 'throughput')).toContainText('(still filling)');
  await expect(reading(page, 'depth')).toContainText('1 waiting');
  await page.getByTestId('failures').getByRole('link', { name: 'no such message' }).click();
  await expect(page.getByTestId('execution-detail')).toContainText('no such message');
  await expectNotReloaded(page);
});

test('arrow keys and the pointer read a step', async ({ page, fresh }) => {
  await tellOfADay(fresh);
  await open(page, `${fresh.url}/monitoring/tasks/${TASK}?time_window=24`);
  const slider = chart(page, 'throughput').getByRole('slider');
  await slider.focus();
  await expect(slider).toHaveAttribute('aria-valuetext', /still filling/);
  await page.keyboard.press('ArrowLeft');
  await expect(slider).not.toHaveAttribute('aria-valuetext', /still filling/);
  await expect(reading(page, 'throughput')).toHaveAttribute('data-reading', '');
  await page.keyboard.press('Home');
  const first = await reading(page, 'throughput').textContent();
  await expect(slider).toHaveAttribute('aria-valuetext', first ?? '');
  await page.keyboard.press('Escape');
  await expect(reading(page, 'throughput')).toContainText('still filling');

  const box = await slider.boundingBox();
  if (!box) throw new Error('the chart has no place');
  await page.mouse.move(box.x + 2, box.y + box.height / 2);
  await expect(reading(page, 'throughput')).toHaveText(first ?? '');
  await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2);
  await expect(reading(page, 'throughput')).toContainText('still filling');

  const week = chart(page, 'week').getByRole('slider');
  await week.focus();
  await page.keyboard.press('Home');
  await expect(reading(page, 'week')).toContainText('Mon 00:00 – 01:00');
  await page.keyboard.press('ArrowDown');
  await expect(reading(page, 'week')).toContainText('Tue 00:00 – 01:00');
  await page.keyboard.press('ArrowRight');
  await expect(reading(page, 'week')).toContainText('Tue 01:00 – 02:00');
});

test('values are there as a table', async ({ page, fresh }) => {
  await tellOfADay(fresh);
  await open(page, `${fresh.url}/monitoring/tasks/${TASK}`);
  for (const name of ['throughput', 'success', 'run', 'wait']) {
    const values = chart(page, name);
    await values.getByText('Values as a table').click();
    await expect(values.getByRole('row').nth(1)).toContainText('(still filling)');
  }
});

test.describe('in another time zone', () => {
  test.use({ timezoneId: 'Asia/Tokyo' });

  test('hours of the week are the reader’s', async ({ page, fresh }) => {
    // Within the last whole hour, in UTC; nine hours later on the clocks of the reader.
    const at = new Date(Math.floor(Date.now() / 3_600_000 - 1) * 3_600_000);
    await fresh.report(executions(5, TASK, { secondsAgo: (Date.now() - at.getTime()) / 1000 - 60, durationMs: 1 }));
    await expect.poll(async () => (await fresh.history({})).total_count).toBe(5);
    await open(page, `${fresh.url}/monitoring/tasks/${TASK}`);
    const hour = String((at.getUTCHours() + 9) % 24).padStart(2, '0');
    await expect(chart(page, 'week').getByRole('img')).toHaveAccessibleName(new RegExp(`in your time zone. Most: \\w{3} ${hour}:00 – .*5 executions`));
  });
});

test('any name has a page, and one without executions says so', async ({ page, fresh }) => {
  const name = 'app/tasks: Größe 100% \\ <b>';
  await fresh.report(execution(name));
  await open(page, `${fresh.url}/monitoring`);
  await page.getByTestId('health-card').getByRole('link', { name, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  await expect(figure(page, 'total')).toHaveText('1');
  await page.reload();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  await expect(figure(page, 'total')).toHaveText('1');
  await open(page, `${fresh.url}/monitoring/tasks/nobody-runs-this`);
  await expect(chart(page, 'throughput')).toContainText('No executions in this window');
  await expect(figure(page, 'total')).toHaveText('0');
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('charts are drawn, and windows are links', async ({ page, fresh }) => {
    await tellOfADay(fresh);
    await expect.poll(async () => (await fresh.history({ task_name: TASK })).total_count).toBeGreaterThan(50);
    await page.goto(`${fresh.url}/monitoring/tasks/${TASK}`);
    await expect(chart(page, 'throughput').getByRole('img')).toHaveAccessibleName(/in all/);
    await page.getByRole('link', { name: 'Last 7 days' }).click();
    await expect(page).toHaveURL(/time_window=168/);
    await expect(chart(page, 'run').getByRole('img')).toHaveAccessibleName(/p99/);
  });
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`no violation, ${colorScheme}`, async ({ page, fresh }) => {
    await tellOfADay(fresh);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await open(page, `${fresh.url}/monitoring/tasks/${TASK}`);
    await chart(page, 'throughput').getByText('Values as a table').click();
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`)).toEqual([]);
  });
}

test('on a phone nothing is wider than the screen', async ({ page, fresh }) => {
  await tellOfADay(fresh);
  await page.setViewportSize({ width: 360, height: 740 });
  await open(page, `${fresh.url}/monitoring/tasks/${TASK}?time_window=168`);
  await expect(chart(page, 'week').getByRole('img')).toBeVisible();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(360);
});
