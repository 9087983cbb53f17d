import { test as base, expect, type Locator, type Page } from '@playwright/test';

import { sharedTaskIq, sharedTaskscope } from './setup.ts';
import type { TaskIq } from './taskiq.ts';
import { Taskscope } from './taskscope.ts';

interface Options {
  /**
   * Messages on the console that belong to what a spec does, such as a refused connection while the server is away. One pattern, no
   * list: Playwright takes a list whose second entry is an object for a value with its options.
   */
  allowedErrors: RegExp | null;
}

interface Fixtures {
  /** The Taskscope that all specs share. */
  taskscope: Taskscope;
  /** The TaskIQ application that reports to it. */
  taskiq: TaskIq;
  /** An empty Taskscope for this test alone. */
  fresh: Taskscope;
  /** What pages wrote to the console that is an error; a test that has any fails. */
  pageErrors: string[];
}

/** Playwright's `test` with the program's parts, in which every page must keep its console free of errors. */
export const test = base.extend<Options & Fixtures>({
  allowedErrors: [null, { option: true }],
  taskscope: async ({}, use) => use(sharedTaskscope()),
  taskiq: async ({}, use) => use(sharedTaskIq()),
  fresh: async ({ pageErrors }, use, info) => {
    const server = await Taskscope.fresh(info.titlePath.slice(0, 1).join('-').replace(/[^a-z0-9]+/gi, '-'));
    await use(server);
    // Pages that are open when the server goes complain of it.
    Object.freeze(pageErrors);
    await server.remove();
  },
  pageErrors: [
    async ({ context, allowedErrors }, use) => {
      const errors: string[] = [];
      const note = (text: string) => {
        if (!Object.isFrozen(errors) && !allowedErrors?.test(text)) errors.push(text);
      };
      context.on('weberror', error => note(String(error.error())));
      context.on('console', message => {
        if (message.type() === 'error') note(`${message.text()} (${message.location().url})`);
      });
      await use(errors);
      expect(errors, 'errors on the console').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export const QUICKSTART_TASKS = [
  'ingest_telegram_messages_task',
  'embed_messages_batch_task',
  'embed_atoms_batch_task',
  'score_message_task',
  'score_unscored_messages_task',
  'extract_knowledge_from_messages_task',
  'scheduled_knowledge_extraction_task',
  'scheduled_auto_approval_task',
  'scheduled_notification_alert_task',
  'scheduled_daily_digest_task',
];

export type Count = 'total' | 'pending' | 'running' | 'success' | 'failed';

export function healthCard(page: Page, taskName: string): Locator {
  return page.locator(`[data-testid="health-card"][data-task-name="${taskName}"]`);
}

export function count(page: Page, taskName: string, name: Count): Locator {
  return healthCard(page, taskName).locator(`[data-count="${name}"]`);
}

export function metric(page: Page, taskName: string, name: 'avg_duration_ms' | 'success_rate'): Locator {
  return healthCard(page, taskName).locator(`[data-metric="${name}"]`);
}

export function feedItems(page: Page): Locator {
  return page.getByTestId('live-feed').getByRole('listitem');
}

export function connection(page: Page): Locator {
  return page.getByTestId('connection-status');
}

/** Opens a page and waits until it is alive. */
export async function open(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await expect(connection(page)).toHaveText('Connected');
}

/** Marks the page, to tell later that it was never loaded again. */
export async function mark(page: Page): Promise<void> {
  await page.evaluate(() => {
    document.documentElement.dataset.marked = 'yes';
  });
}

export async function expectNotReloaded(page: Page): Promise<void> {
  await expect(page.locator('html')).toHaveAttribute('data-marked', 'yes');
}
