import { AxeBuilder } from '@axe-core/playwright';

import { seedRun, seedTopic } from '../support/analysis.ts';
import { aDay } from '../support/data.ts';
import { Taskscope } from '../support/taskscope.ts';
import { expect, open, test } from '../support/test.ts';

// Chromium notes every page whose status is no success.
test.use({ allowedErrors: /the server responded with a status of 400/ });

let seeded: Taskscope;
let empty: Taskscope;
let running = '';
let failed = '';
let reviewed = '';
let topic = '';

test.beforeAll(async () => {
  seeded = await Taskscope.fresh('accessibility');
  empty = await Taskscope.fresh('accessibility-empty');
  await seeded.report(aDay());
  await seeded.heartbeat('web-1:41:9f2a', { queues: ['mail'], concurrency: 8, dropped: 12 });
  await seeded.heartbeat('web-2:7:01ab', { interval_ms: 200 });
  const stalls = { task_name: 'send_mail', timestamp: new Date().toISOString(), worker: 'web-2:7:01ab', queue: 'mail' };
  await seeded.report([{ type: 'task_started', task_id: 'stalls', ...stalls }]);
  reviewed = await seedRun(seeded);
  failed = await seedRun(seeded, { status: 'failed', batches: [1, 3], error: 'the provider answered 401' });
  running = await seedRun(seeded, { status: 'running', batches: [1, 3], proposals: [] });
  topic = await seedTopic(seeded, 'Login');
});

test.afterAll(async () => {
  await seeded.remove();
  await empty.remove();
});

/** The address of the newest failed execution. */
async function failedExecution(): Promise<number | undefined> {
  await expect.poll(async () => (await seeded.history({ status: 'failed' })).total_count).toBeGreaterThan(0);
  return (await seeded.history({ status: 'failed' })).items[0]?.id;
}

const PAGES: Record<string, () => Promise<string>> = {
  overview: async () => `${seeded.url}/monitoring`,
  'overview without data': async () => `${empty.url}/monitoring`,
  history: async () => `${seeded.url}/monitoring/history`,
  'history, filtered to nothing': async () => `${seeded.url}/monitoring/history?q=nothing-holds-this`,
  'history with details': async () => `${seeded.url}/monitoring/history?status=failed&execution=${await failedExecution()}`,
  'execution page': async () => `${seeded.url}/monitoring/executions/${await failedExecution()}`,
  'stalled executions': async () => `${seeded.url}/monitoring/history?stalled=true`,
  workers: async () => `${seeded.url}/monitoring/workers`,
  'workers without any': async () => `${empty.url}/monitoring/workers`,
  redaction: async () => `${seeded.url}/monitoring/redaction`,
  tasks: async () => `${seeded.url}/monitoring/tasks`,
  'run a task': async () => `${seeded.url}/monitoring/tasks?run=score_message_task`,
  analysis: async () => `${seeded.url}/monitoring/analysis`,
  'analysis without runs': async () => `${empty.url}/monitoring/analysis`,
  'a new run': async () => `${seeded.url}/monitoring/analysis?new`,
  'a run to review': async () => `${seeded.url}/monitoring/analysis/${reviewed}`,
  'a running run': async () => `${seeded.url}/monitoring/analysis/${running}`,
  'a failed run': async () => `${seeded.url}/monitoring/analysis/${failed}`,
  'a proposal': async () => `${seeded.url}/monitoring/proposals/${await seeded.sql(`select id from proposals where run_id = '${reviewed}' limit 1`)}`,
  knowledge: async () => `${seeded.url}/monitoring/knowledge`,
  'knowledge without topics': async () => `${empty.url}/monitoring/knowledge`,
  'a topic': async () => `${seeded.url}/monitoring/knowledge/${topic}`,
  'wrong address': async () => `${seeded.url}/monitoring/history?page=0`,
};

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [name, address] of Object.entries(PAGES)) {
    test(`${name}, ${colorScheme}: no violation`, async ({ page }) => {
      // A colour that is halfway to another would be measured as it is.
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await open(page, await address());
      const { violations } = await new AxeBuilder({ page }).analyze();
      const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map(node => node.html).join('\n  ')}`);
      expect(found, found.join('\n')).toEqual([]);
    });
  }
}

test('the Overview and the history are used by keyboard alone', async ({ page }) => {
  await open(page, `${seeded.url}/monitoring/history?status=failed`);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused();
  const link = page.getByTestId('history-row').first().getByRole('link');
  await link.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('execution-detail')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('execution-detail')).toBeHidden();
  await expect(link).toBeFocused();
});
