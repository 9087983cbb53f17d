import { expect, feedItems, open, test } from '../support/test.ts';

test.describe('Scenario 2: Live Activity Feed', () => {
  test('events appear at the top within a second, with name, status, time and duration', async ({ page, taskscope, taskiq }) => {
    await open(page, `${taskscope.url}/monitoring`);
    // Notes for every line when it appeared and what time it tells.
    await page.getByTestId('live-feed').evaluate(feed => {
      const delays: number[] = [];
      Object.assign(window, { feedDelays: delays });
      const known = new Set(feed.querySelectorAll('li'));
      new MutationObserver(() => {
        for (const line of feed.querySelectorAll('li')) {
          if (known.has(line)) continue;
          known.add(line);
          delays.push(Date.now() - Date.parse(line.querySelector('time')?.dateTime ?? ''));
        }
      }).observe(feed, { childList: true, subtree: true });
    });

    const lines = [
      /^score_message_task started at \d\d:\d\d:\d\d$/,
      /^score_message_task completed \(success\) in \d{3}ms at \d\d:\d\d:\d\d$/,
      /^score_message_task started at \d\d:\d\d:\d\d$/,
      /^score_message_task completed \(success\) in \d{3}ms at \d\d:\d\d:\d\d$/,
      /^extract_knowledge_from_messages_task started at \d\d:\d\d:\d\d$/,
      /^extract_knowledge_from_messages_task completed \(success\) in [12]\d{3}ms at \d\d:\d\d:\d\d$/,
    ];
    await taskiq.send('score_message_task', { message_id: 1 });
    await taskiq.send('score_message_task', { message_id: 2 });
    await taskiq.send('extract_knowledge_from_messages_task', { message_ids: [1, 2], provider_id: 'openai' });
    const links = feedItems(page).getByRole('link');
    await expect(links.filter({ hasText: lines[5] }).first()).toBeVisible();

    const texts = (await links.allTextContents()).filter(text => !text.includes(' queued '));
    const newest = texts.slice(0, lines.length).reverse();
    for (const [at, line] of lines.entries()) expect(newest[at]).toMatch(line);

    const delays = await page.evaluate(() => (window as unknown as { feedDelays: number[] }).feedDelays);
    expect(delays.length).toBeGreaterThanOrEqual(lines.length);
    expect(Math.max(...delays)).toBeLessThan(1000);
  });

  test('the feed holds the last 50 events, newest first', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring`);
    const end = Date.now();
    for (const half of [0, 1]) {
      await fresh.report(
        Array.from({ length: 40 }, (_, n) => ({
          type: 'task_started' as const,
          task_id: `feed-${half}-${n}`,
          task_name: `task_${half * 40 + n}`,
          timestamp: new Date(end - 80_000 + (half * 40 + n) * 1000).toISOString(),
        })),
      );
    }
    await expect(feedItems(page)).toHaveCount(50);
    await expect(feedItems(page).first()).toContainText('task_79 started at');
    await expect(feedItems(page).last()).toContainText('task_30 started at');
  });
});
