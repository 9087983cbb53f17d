import type { Page } from '@playwright/test';

import { execution } from '../support/data.ts';
import { expect, open, test } from '../support/test.ts';

const TASK = 'score_message_task';

function box(page: Page) {
  return page.getByRole('combobox', { name: 'Search' });
}

function option(page: Page, name: string | RegExp) {
  return page.getByRole('listbox', { name: 'Suggestions' }).getByRole('option', { name });
}

function total(page: Page) {
  return page.getByTestId('history-total');
}

test.describe('Search of the history', () => {
  test('keys and values are completed with the keyboard alone', async ({ page, fresh }) => {
    await fresh.report([
      ...execution(TASK, { failed: true, id: 'search-1' }),
      ...execution(TASK, { id: 'search-2' }),
      ...execution('embed_atoms_batch_task', { failed: true, id: 'search-3' }),
    ]);
    await expect.poll(async () => (await fresh.history()).total_count).toBe(3);
    await open(page, `${fresh.url}/monitoring/history`);
    await box(page).focus();
    await expect(box(page)).toHaveAttribute('aria-expanded', 'false');
    await page.keyboard.type('stat');
    await expect(box(page)).toHaveAttribute('aria-expanded', 'true');
    await page.keyboard.press('ArrowDown');
    const first = option(page, /^status:/);
    await expect(first).toHaveAttribute('aria-selected', 'true');
    await expect(box(page)).toHaveAttribute('aria-activedescendant', (await first.getAttribute('id')) ?? '');
    await page.keyboard.press('Enter');
    await expect(box(page)).toHaveValue('status:');
    await page.keyboard.type('fa');
    await expect(option(page, 'failed')).toBeVisible();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await expect(box(page)).toHaveValue('status:failed ');
    await expect(total(page)).toHaveText('2 executions');
    await page.keyboard.type('task:score');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await expect(box(page)).toHaveValue(`status:failed task:${TASK} `);
    await expect(page).toHaveURL(/q=status:failed(\+|%20)task:score_message_task/);
    await expect(total(page)).toHaveText('1 execution');
  });

  test('Escape closes the suggestions and keeps the text', async ({ page, taskscope }) => {
    await open(page, `${taskscope.url}/monitoring/history`);
    await box(page).fill('status:');
    await expect(option(page, 'pending')).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(box(page)).toHaveAttribute('aria-expanded', 'false');
    await expect(box(page)).toHaveValue('status:');
  });

  test('a suggestion is taken with the mouse', async ({ page, taskscope }) => {
    await open(page, `${taskscope.url}/monitoring/history`);
    await box(page).fill('is:');
    await option(page, 'retried').click();
    await expect(box(page)).toHaveValue('is:retried ');
    await expect(box(page)).toBeFocused();
    await expect(page).toHaveURL(/q=is:retried/);
  });

  test('what is wrong is marked and explained, and the page stays', async ({ page, taskscope }) => {
    await open(page, `${taskscope.url}/monitoring/history`);
    await box(page).fill('refused status:done');
    await page.keyboard.press('Enter');
    await expect(box(page)).toHaveAttribute('aria-invalid', 'true');
    await expect(page.locator('#filter-q-error mark')).toHaveText('done');
    await expect(page.locator('#filter-q-error')).toContainText('Character 16: status must be pending, running, success or failed');
    await expect(page).not.toHaveURL(/q=/);
    await box(page).fill('refused status:failed');
    await expect(box(page)).not.toHaveAttribute('aria-invalid');
    await expect(page).toHaveURL(/q=refused/);
  });

  test('the help says what can be searched for', async ({ page, taskscope }) => {
    await open(page, `${taskscope.url}/monitoring/history`);
    await page.getByText('What can be searched for').click();
    await expect(page.getByText('params.message_id:42')).toBeVisible();
  });
});

test.describe('Search without scripts', () => {
  test.use({ javaScriptEnabled: false, allowedErrors: /the server responded with a status of 400/ });

  test('the field is a plain one, and a wrong search is pointed at', async ({ page, fresh }) => {
    await fresh.report(execution(TASK, { failed: true, id: 'search-1' }));
    await expect.poll(async () => (await fresh.history()).total_count).toBe(1);
    await page.goto(`${fresh.url}/monitoring/history`);
    await page.getByLabel('Search').fill('status:failed task:score_*');
    await page.getByRole('button', { name: 'Apply' }).click();
    await expect(total(page)).toHaveText('1 execution');
    await page.goto(`${fresh.url}/monitoring/history?q=status:done`);
    await expect(page.getByLabel('Search')).toHaveValue('status:done');
    await expect(page.locator('#filter-q-error')).toContainText('Character 8: status must be');
  });
});
