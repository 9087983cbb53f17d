import { execution } from '../support/data.ts';
import { Line } from '../support/line.ts';
import { connection, count, expect, expectNotReloaded, feedItems, mark, open, test } from '../support/test.ts';

const TASK = 'score_message_task';

// What Chromium writes to the console when a server that was there can't be reached.
test.use({ allowedErrors: /WebSocket connection to|Failed to load resource: net::ERR_/ });

test.describe('Scenario 6: WebSocket Reconnection', () => {
  test('a page that lost its connection says so, reconnects and gets what it missed', async ({ page, taskscope, taskiq }) => {
    const line = new Line(taskscope.port);
    await line.mend();
    const before = await taskscope.metrics(TASK);
    await open(page, `${line.url}/monitoring`);
    await mark(page);
    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', String(before.success));

    await line.cut();
    await expect(connection(page)).toHaveText('Disconnected');
    await expect(page.getByText(/retry in \d+ s/)).toBeVisible();
    await taskiq.send(TASK, { message_id: 27 });
    await expect.poll(async () => (await taskscope.metrics(TASK)).success).toBe(before.success + 1);
    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', String(before.success));

    await line.mend();
    await expect(connection(page)).toHaveText('Connected', { timeout: 40_000 });
    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', String(before.success + 1));
    // Message 27 takes 200 + 27 × 37 mod 200 = 399 ms, longer than any other that the specs send.
    await expect(feedItems(page).filter({ hasText: /score_message_task completed \(success\) in (399|[4-9]\d\d)ms/ }).first()).toBeVisible();
    await expectNotReloaded(page);
    await line.cut();
  });

  test('a page outlives a restart of the server and shows what happened meanwhile, once', async ({ page, fresh }) => {
    await fresh.report(execution(TASK, { secondsAgo: 30 }));
    await open(page, `${fresh.url}/monitoring`);
    await mark(page);
    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', '1');

    await fresh.stop();
    await expect(connection(page)).toHaveText('Disconnected');
    await fresh.start();
    // The page tries again after three seconds at the earliest: it is not connected yet.
    await fresh.report(execution(TASK, { durationMs: 777 }));
    await expect(connection(page)).toHaveText('Connected', { timeout: 40_000 });

    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', '2');
    await expect(feedItems(page).filter({ hasText: 'score_message_task completed (success) in 777ms' })).toHaveCount(1);
    await fresh.report(execution(TASK, { durationMs: 888 }));
    await expect(feedItems(page).filter({ hasText: 'score_message_task completed (success) in 888ms' })).toHaveCount(1);
    await expect(count(page, TASK, 'success')).toHaveAttribute('data-value', '3');
    await expectNotReloaded(page);
  });
});
