import type { Locator, Page } from '@playwright/test';

import { PROPOSALS, log, progress, seedRun } from '../support/analysis.ts';
import { Taskscope } from '../support/taskscope.ts';
import { expect, expectNotReloaded, mark, open, test } from '../support/test.ts';

const rows = (page: Page): Locator => page.getByTestId('proposal-row');
const row = (page: Page, n: number): Locator => rows(page).nth(n - 1);
const figure = (page: Page, name: string): Locator => page.getByTestId('run-progress').locator(`[data-figure="${name}"]`);

/** What a decision asks the server. */
const DECIDE = '/api/fn/review_proposal';
const RUN = /\/monitoring\/analysis\/([0-9a-f-]{36})$/;

/** The proposal whose details are shown, and which the list says is current. */
async function expectCurrent(page: Page, n: number): Promise<void> {
  await expect(row(page, n).getByRole('link')).toHaveAttribute('aria-current', 'true');
  await expect(page.getByTestId('current-title')).toHaveText(PROPOSALS[n - 1]?.title ?? '');
}

test.describe('a run made in the dashboard', () => {
  // Chromium notes every answer whose status is no success.
  test.use({ allowedErrors: /the server responded with a status of 400/ });
  let working: Taskscope;
  test.beforeAll(async () => {
    // What `make run` starts: server, worker and sample messages.
    working = await Taskscope.fresh('analysis', true);
  });
  test.afterAll(async () => working.remove());

  test('is started with the built-in rules, followed to its end, and listed', async ({ page }) => {
    await open(page, `${working.url}/monitoring/analysis`);
    await page.getByRole('link', { name: 'New run…' }).first().click();
    const dialog = page.getByTestId('new-run');
    await expect(dialog.getByTestId('run-provider')).toContainText('Rules without a language model');
    await dialog.getByLabel('From – to').check();
    await dialog.getByLabel('From (UTC)').fill('2026-11-02T00:00');
    await dialog.getByLabel('To (UTC)').fill('2026-11-01T00:00');
    await dialog.getByRole('button', { name: 'Start the run' }).click();
    await expect(dialog.getByTestId('run-form-error')).toHaveText('To must be later than From.');
    await dialog.getByLabel('From (UTC)').fill('2000-01-01T00:00');
    await dialog.getByLabel('To (UTC)').fill('2100-01-01T00:00');
    await dialog.getByRole('button', { name: 'Start the run' }).click();

    // The worker starts runs by the clock too: what follows is about this one.
    await expect(page).toHaveURL(RUN);
    const id = RUN.exec(page.url())?.[1] ?? '';
    await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'completed', { timeout: 30_000 });
    await expect(page.getByTestId('run-log')).toContainText('Successfully completed');
    await expect(page.getByTestId('run-progress')).toContainText('passed the filter');
    await expect(rows(page)).not.toHaveCount(0);
    await expect(page.getByTestId('message')).not.toHaveCount(0);
    await page.getByRole('link', { name: 'In the Task History' }).click();
    await expect(page.getByTestId('history-row').first()).toHaveAttribute('data-task-name', 'execute_analysis_run');
    await page.getByRole('link', { name: 'Analysis', exact: true }).click();
    await expect(page.locator(`[data-testid="run-row"][data-id="${id}"]`)).toHaveAttribute('data-status', 'completed');
  });

  test('whose agent was switched off meanwhile is told in the form', async ({ page }) => {
    await open(page, `${working.url}/monitoring/analysis?new`);
    const dialog = page.getByTestId('new-run');
    await expect(dialog.getByTestId('run-provider')).toBeVisible();
    await working.sql('update agent_assignments set is_active = false');
    await dialog.getByRole('button', { name: 'Start the run' }).click();
    await expect(dialog.getByTestId('run-form-error')).toContainText('not active');
    await dialog.getByRole('link', { name: 'see what became of it' }).click();
    await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'failed');
    await expect(page.getByTestId('run-error')).toContainText('not active');
    await working.sql('update agent_assignments set is_active = true');
  });
});

test('where there is no run yet, it is said what one does', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/monitoring/analysis`);
  await expect(page.getByTestId('no-runs')).toContainText('proposes the tasks that follow');
  await page.getByTestId('no-runs').getByRole('link', { name: 'New run…' }).click();
  await expect(page.getByTestId('new-run')).toBeVisible();
});

test('a run is followed live, in the list and on its own page, without loading either again', async ({ page, context, fresh }) => {
  const id = await seedRun(fresh, { status: 'running', batches: [0, 10], proposals: [] });
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  const list = await context.newPage();
  await open(list, `${fresh.url}/monitoring/analysis`);
  for (const one of [page, list]) await mark(one);
  await expect(page.getByTestId('run-log')).toContainText('Created 10 batches');
  for (const done of [1, 2, 3]) {
    await progress(fresh, id, done, 10);
    await expect(page.getByTestId('run-progress-text')).toHaveText(`Batch ${done + 1} of 10`);
    await expect(figure(page, 'messages')).toHaveText(`${15 * done} of 150`);
    await expect(figure(page, 'time')).toHaveText(/^(\d+s|\d+m \d\ds|\d+h \d\dm)$/);
    await expect(page.getByTestId('run-log')).toContainText(`Processing batch ${done + 1}/10`);
    await expect(list.locator('[data-count="batches"]')).toHaveText(`${done} of 10`);
  }
  for (const one of [page, list]) await expectNotReloaded(one);
});

test('the log follows its end, unless the reader has scrolled up', async ({ page, fresh }) => {
  const id = await seedRun(fresh, { status: 'running', batches: [0, 200], proposals: [] });
  await log(fresh, id, Array.from({ length: 60 }, (_, n) => `line ${n}`));
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  const scroller = page.getByTestId('run-log');
  const below = () => scroller.evaluate(element => element.scrollHeight - element.scrollTop - element.clientHeight);
  await expect.poll(below).toBeLessThan(24);
  await progress(fresh, id, 1, 200);
  await expect(scroller).toContainText('Processing batch 2/200');
  await expect.poll(below).toBeLessThan(24);
  await scroller.evaluate(element => element.scrollTo(0, 0));
  await progress(fresh, id, 2, 200);
  await expect(scroller).toContainText('Processing batch 3/200');
  // Following would scroll in the frame after the line was drawn.
  const top = await scroller.evaluate(
    element => new Promise<number>(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve(element.scrollTop)))),
  );
  expect(top).toBe(0);
});

test('lines of the log that come without an event show too', async ({ page, fresh }) => {
  const id = await seedRun(fresh, { status: 'running', batches: [0, 10], proposals: [] });
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expect(page.getByTestId('run-log')).toContainText('Created 10 batches');
  await log(fresh, id, ['Trying batch 3 again in 8 s']);
  await expect(page.getByTestId('run-log')).toContainText('Trying batch 3 again in 8 s');
});

test('a log of more lines than an answer has is there to its end', async ({ page, fresh }) => {
  const id = await seedRun(fresh);
  await fresh.sql(`insert into analysis_log (run_id, line) select '${id}', 'Run ${id}: line ' || n || '.' from generate_series(1, 2500) n`);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expect(page.getByTestId('run-log').getByRole('listitem')).toHaveCount(2504);
  await expect(page.getByTestId('run-log')).toContainText('line 2500.');
});

test('a failed run says why, at which step', async ({ page, fresh }) => {
  const id = await seedRun(fresh, { status: 'failed', batches: [1, 3], error: 'connection refused by http://127.0.0.1:9/v1' });
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expect(page.getByTestId('run-error')).toContainText('connection refused by http://127.0.0.1:9/v1');
  await expect(page.getByTestId('run-error')).toContainText('Step process_batch, batch 2');
  await expect(page.getByTestId('run-progress-text')).toHaveText('Stopped after 1 of 3 batches.');
});

test('a run that waits is cancelled after a question', async ({ page, fresh }) => {
  const id = await seedRun(fresh, { status: 'pending', batches: [0, 0], proposals: [] });
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expect(page.getByRole('button', { name: 'Start', exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Let it run' }).click();
  await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'pending');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await page.getByRole('button', { name: 'Cancel the run' }).click();
  await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'cancelled');
  await expect(page.getByRole('button', { name: 'Start', exact: true })).toBeHidden();
  expect(await fresh.sql(`select status from analysis_runs where id = '${id}'`)).toBe('cancelled');
});

test('proposals are reviewed by keyboard alone, undone, and closed', async ({ page, fresh }) => {
  const id = await seedRun(fresh);
  const statuses = () => fresh.sql(`select string_agg(status, ' ' order by batch, place) from proposals where run_id = '${id}'`);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await mark(page);
  const close = page.getByRole('button', { name: 'Close the review…' });
  await expect(close).toBeDisabled();
  await expect(close).toHaveAccessibleDescription('5 proposals are not reviewed yet.');
  await expectCurrent(page, 1);
  await expect(page.getByTestId('message')).toHaveCount(3);
  await expect(page.getByTestId('proposal-detail')).toContainText('support has eleven tickets');

  await page.keyboard.press('j');
  await expectCurrent(page, 2);
  await expect(row(page, 2).getByRole('link')).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expectCurrent(page, 3);
  await page.keyboard.press('k');
  await page.keyboard.press('ArrowUp');
  await expectCurrent(page, 1);

  await page.keyboard.press('a');
  await expect(row(page, 1)).toHaveAttribute('data-status', 'approved');
  await expectCurrent(page, 2);
  await page.keyboard.press('r');
  await expect(row(page, 2)).toHaveAttribute('data-status', 'rejected');
  await expectCurrent(page, 3);
  await expect(row(page, 3).getByRole('link')).toBeFocused();
  await page.keyboard.press('u');
  await expect(row(page, 2)).toHaveAttribute('data-status', 'pending');
  await expectCurrent(page, 2);
  await page.keyboard.press('r');
  await expect(row(page, 2)).toHaveAttribute('data-status', 'rejected');

  // Without a duplicate it asks what to merge into; keys mean nothing while it does.
  await expectCurrent(page, 3);
  await page.keyboard.press('m');
  const merge = page.getByTestId('merge');
  await expect(merge).toBeVisible();
  await page.keyboard.press('a');
  await page.keyboard.press('Escape');
  await expect(merge).toBeHidden();
  await expect(row(page, 3)).toHaveAttribute('data-status', 'pending');
  await page.keyboard.press('m');
  await merge.getByRole('button', { name: PROPOSALS[4]?.title }).press('Enter');
  await expect(row(page, 3)).toHaveAttribute('data-status', 'merged');

  // With one it merges at once.
  await expectCurrent(page, 4);
  await expect(page.getByTestId('duplicate')).toContainText('87% alike');
  await page.keyboard.press('m');
  await expect(row(page, 4)).toHaveAttribute('data-status', 'merged');
  await expectCurrent(page, 5);
  await page.keyboard.press('a');
  await expect(row(page, 5)).toHaveAttribute('data-status', 'approved');
  await expect(page.getByTestId('review-said')).toContainText('Nothing is left to decide');
  await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'reviewed');
  expect(await statuses()).toBe('approved rejected merged merged approved');

  await page.keyboard.press('?');
  await expect(page.getByTestId('keys')).toContainText('Undo the last decision');
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('keys')).toBeHidden();

  await close.click();
  await page.getByRole('button', { name: 'Close the review', exact: true }).click();
  await expect(page.getByTestId('run-outcome').locator('[data-figure="approval_rate"]')).toHaveText('80%');
  await expect(page.getByTestId('run-outcome').locator('[data-figure="rejected_confidence"]')).toHaveText('86%');
  await expect(page.getByTestId('run-status')).toHaveAttribute('data-status', 'closed');
  await expect(page.getByTestId('review-final')).toContainText('final');
  await expect(page.getByRole('button', { name: 'Undo' })).toBeHidden();
  const sent: string[] = [];
  page.on('request', request => sent.push(request.url()));
  await page.keyboard.press('u');
  // Keys are heard in their order: when this one has worked, the one before it has done what it does.
  await page.keyboard.press('?');
  await expect(page.getByTestId('keys')).toBeVisible();
  expect(sent.filter(url => url.includes(DECIDE))).toEqual([]);
  expect(await statuses()).toBe('approved rejected merged merged approved');
  await expectNotReloaded(page);
});

test('keys that come faster than the answers are all heard, each for its own proposal', async ({ page, fresh }) => {
  const id = await seedRun(fresh);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expectCurrent(page, 1);
  await page.keyboard.type('ararr');
  await expect(page.getByTestId('review-said')).toContainText('Nothing is left to decide');
  const statuses = rows(page).evaluateAll(rows => rows.map(row => row.getAttribute('data-status')));
  expect(await statuses).toEqual(['approved', 'rejected', 'approved', 'rejected', 'rejected']);
});

test('keys that come while an answer is on its way are for the proposal that was shown', async ({ page, fresh }) => {
  const id = await seedRun(fresh);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expectCurrent(page, 1);
  let release = () => {};
  const held = new Promise<void>(resolve => (release = resolve));
  let asked = 0;
  await page.route(url => url.pathname === DECIDE, async route => {
    asked += 1;
    await held;
    await route.continue();
  });
  await page.keyboard.press('a');
  await expect.poll(() => asked).toBe(1);
  await page.keyboard.press('j');
  await expectCurrent(page, 2);
  await page.keyboard.press('r');
  // It was pressed for the second one, wherever the reader goes then.
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await expectCurrent(page, 4);
  expect(asked).toBe(1);
  release();
  await expect(row(page, 2)).toHaveAttribute('data-status', 'rejected');
  await expectCurrent(page, 4);
  const shown = rows(page).evaluateAll(rows => rows.map(row => row.getAttribute('data-status')));
  expect(await shown).toEqual(['approved', 'rejected', 'pending', 'pending', 'pending']);

  // Undo takes back the current one if it is decided, else the last decision.
  await row(page, 1).click();
  await expectCurrent(page, 1);
  await page.keyboard.press('u');
  await expect(row(page, 1)).toHaveAttribute('data-status', 'pending');
  await expectCurrent(page, 1);
  await page.keyboard.press('u');
  await expect(row(page, 2)).toHaveAttribute('data-status', 'pending');
  await expectCurrent(page, 2);
});

test.describe('a merge that is refused', () => {
  // Chromium notes every answer whose status is no success.
  test.use({ allowedErrors: /the server responded with a status of 4\d\d/ });

  test('asks for another proposal, but not for one that was rejected', async ({ page, fresh }) => {
    const proposals = PROPOSALS.map((proposal, n) => (n === 1 ? { ...proposal, status: 'rejected' } : proposal));
    const id = await seedRun(fresh, { proposals });
    await open(page, `${fresh.url}/monitoring/analysis/${id}`);
    // The first one becomes part of another, so that its double can't be merged into it.
    await page.keyboard.press('m');
    const merge = page.getByTestId('merge');
    await expect(merge.getByRole('button', { name: PROPOSALS[1]?.title })).toHaveCount(0);
    await merge.getByRole('button', { name: PROPOSALS[4]?.title }).click();
    await expect(row(page, 1)).toHaveAttribute('data-status', 'merged');
    await row(page, 4).click();
    await expectCurrent(page, 4);
    await page.keyboard.press('m');
    await expect(merge).toContainText('merged into another');
    await merge.getByRole('button', { name: PROPOSALS[2]?.title }).click();
    await expect(row(page, 4)).toHaveAttribute('data-status', 'merged');
  });
});

test.describe('what can’t be loaded', () => {
  test.use({ allowedErrors: /Failed to load resource: net::ERR_/ });

  test('is told, and loaded by another attempt', async ({ page, fresh }) => {
    const id = await seedRun(fresh);
    await open(page, `${fresh.url}/monitoring/analysis/${id}`);
    await page.route('**/api/fn/messages', route => route.abort());
    await page.keyboard.press('j');
    await expectCurrent(page, 2);
    await expect(page.getByTestId('messages-error')).toContainText('not reachable');
    await page.unroute('**/api/fn/messages');
    await page.getByRole('button', { name: 'Try again' }).click();
    await expect(page.getByTestId('message')).toHaveCount(3);

    await page.route('**/api/fn/assignments', route => route.abort());
    await page.getByRole('link', { name: 'Analysis', exact: true }).first().click();
    await page.getByRole('link', { name: 'New run…' }).click();
    const dialog = page.getByTestId('new-run');
    await expect(dialog.getByTestId('no-choices')).toContainText('not reachable');
    await page.unroute('**/api/fn/assignments');
    await dialog.getByRole('button', { name: 'Try again' }).click();
    await expect(dialog.getByTestId('run-provider')).toBeVisible();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await expect(dialog).toBeHidden();
  });
});

test('keys that come before a question are not taken for its answer, nor for what comes after it', async ({ page, fresh }) => {
  const id = await seedRun(fresh);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expectCurrent(page, 1);
  await page.keyboard.type('ama');
  await page.getByTestId('merge').getByRole('button', { name: PROPOSALS[4]?.title }).click();
  await expect(row(page, 2)).toHaveAttribute('data-status', 'merged');
  await expectCurrent(page, 3);
  await page.keyboard.press('r');
  await expect(row(page, 3)).toHaveAttribute('data-status', 'rejected');
  await expectCurrent(page, 4);
  const statuses = rows(page).evaluateAll(rows => rows.map(row => row.getAttribute('data-status')));
  expect(await statuses).toEqual(['approved', 'merged', 'rejected', 'pending', 'pending']);
});

test('what somebody else decides shows, and buttons do what keys do', async ({ page, context, fresh }) => {
  const id = await seedRun(fresh);
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  const other = await context.newPage();
  await open(other, `${fresh.url}/monitoring/analysis/${id}`);
  const approve = page.getByRole('button', { name: 'Approve' });
  await approve.click();
  await expect(row(other, 1)).toHaveAttribute('data-status', 'approved');
  await expect(other.getByTestId('review-summary')).toHaveText('5, 4 to review');
  await expect(approve).toBeFocused();
  await row(page, 5).click();
  await expectCurrent(page, 5);
  await page.getByRole('button', { name: 'Reject' }).click();
  await expect(row(other, 5)).toHaveAttribute('data-status', 'rejected');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(row(other, 5)).toHaveAttribute('data-status', 'pending');
  // A duplicate leads to the proposal that says the same, wherever that is.
  await row(page, 4).click();
  await page.getByTestId('duplicate').getByRole('link').click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(PROPOSALS[0]?.title ?? '');
  await page.getByRole('link', { name: 'The run that proposes it' }).click();
  await expect(rows(page)).toHaveCount(5);
});

test('more than fifty proposals have pages', async ({ page, fresh }) => {
  const proposals = Array.from({ length: 53 }, (_, n) => ({ title: `Proposal ${n + 1}` }));
  const id = await seedRun(fresh, { proposals });
  await open(page, `${fresh.url}/monitoring/analysis/${id}`);
  await expect(rows(page)).toHaveCount(50);
  await page.getByRole('link', { name: 'Page 2' }).click();
  await expect(rows(page)).toHaveCount(3);
  await expect(page.getByTestId('current-title')).toHaveText('Proposal 51');
});

test.describe('what is not there', () => {
  test.use({ allowedErrors: /the server responded with a status of 40[04]/ });

  test('unknown runs and pages are told', async ({ page, fresh }) => {
    for (const unknown of ['analysis/00000000-0000-0000-0000-000000000000', 'analysis/seven', 'proposals/seven']) {
      await open(page, `${fresh.url}/monitoring/${unknown}`);
      await expect(page.getByText('Not found', { exact: true })).toBeVisible();
    }
    await open(page, `${fresh.url}/monitoring/analysis?page=0`);
    await expect(page.getByText('must be the number of a page, from 1')).toBeVisible();
  });
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('runs, their log and their proposals can be read', async ({ page, fresh }) => {
    const id = await seedRun(fresh);
    await page.goto(`${fresh.url}/monitoring/analysis`);
    await page.getByTestId('run-row').getByRole('link').click();
    await expect(page).toHaveURL(`${fresh.url}/monitoring/analysis/${id}`);
    await expect(page.getByTestId('run-log')).toContainText('45 messages after pre-filter');
    await expect(page.getByTestId('message')).toHaveCount(3);
    await row(page, 2).getByRole('link').click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(PROPOSALS[1]?.title ?? '');
    await expect(page.getByTestId('proposal-detail')).toContainText('Three messages name the same failure');
  });
});
