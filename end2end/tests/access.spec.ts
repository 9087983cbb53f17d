import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';

import { Taskscope } from '../support/taskscope.ts';
import { expect, open, test } from '../support/test.ts';

const PASSWORD = 'correct horse battery';

// Chromium notes every page and call whose status is no success, and a socket that is refused.
test.use({ allowedErrors: /the server responded with a status of 4\d\d|WebSocket connection to/ });

let server: Taskscope;

test.beforeAll(async () => {
  server = await Taskscope.fresh('access', false, { TASKSCOPE_LOGIN: 'accounts', TASKSCOPE_ADMIN_PASSWORD: PASSWORD });
  // That it asks who asks is no sign that the tables are there.
  await expect.poll(async () => server.sql('select count(*) from accounts').catch(() => '')).toBe('1');
});

test.afterAll(async () => {
  await server.remove();
});

async function logIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

test('the login leads to the page that was asked for, says what is wrong, and has a way out', async ({ page }) => {
  await page.goto(`${server.url}/monitoring/history?status=failed`);
  await expect(page).toHaveURL(/\/login\?next=/);
  await logIn(page, 'admin', 'wrong wrong wrong');
  await expect(page.getByRole('alert')).toHaveText('The name or the password is wrong.');
  await expect(page.getByLabel('Name')).toHaveValue('admin');
  await logIn(page, 'admin');
  await expect(page).toHaveURL(`${server.url}/monitoring/history?status=failed`);
  await expect(page.getByRole('link', { name: 'admin' })).toBeVisible();
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Log out' }).click();
  // The answer leads there, and so does the socket that is closed; whichever comes last.
  await expect(page).toHaveURL(/\/login(\?|$)/);
  await page.goto(`${server.url}/monitoring`);
  await expect(page).toHaveURL(/\/login\?next=/);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('people log in and out', async ({ page }) => {
    await page.goto(`${server.url}/monitoring/workers`);
    await logIn(page, 'admin');
    await expect(page.getByRole('heading', { name: 'Workers', exact: true })).toBeVisible();
    await page.getByRole('button', { name: 'Log out' }).click();
    await expect(page).toHaveURL(`${server.url}/login`);
  });
});

test('an admin makes accounts and tokens, and takes them back; what was done stands in the audit log', async ({ page, browser }) => {
  await page.goto(`${server.url}/monitoring/access`);
  await logIn(page, 'admin');
  await open(page, `${server.url}/monitoring/access`);
  const form = page.getByRole('form', { name: 'New account' });
  await form.getByLabel('Name').fill('ann');
  await form.getByLabel('Password').fill(PASSWORD);
  await form.getByRole('button', { name: 'Add account' }).click();
  const ann = page.locator('[data-testid="account"][data-name="ann"]');
  await expect(ann).toBeVisible();
  await expect(form.getByLabel('Name')).toHaveValue('');

  const context = await browser.newContext();
  const theirs = await context.newPage();
  await theirs.goto(`${server.url}/monitoring/access`);
  await logIn(theirs, 'ann');
  await expect(theirs.getByText('in the role viewer')).toBeVisible();
  await expect(theirs.getByRole('heading', { name: 'Tokens' })).toHaveCount(0);
  await open(theirs, `${server.url}/monitoring/tasks?run=cleanup_old_task_logs`);
  await expect(theirs.getByTestId('role-note')).toHaveText('Running a task needs the role operator; yours is viewer.');
  await expect(theirs.getByTestId('task-type').first()).toBeVisible();
  await expect(theirs.getByRole('link', { name: /^Run / })).toHaveCount(0);
  await expect(theirs.getByTestId('run-dialog')).toHaveCount(0);
  await open(theirs, `${server.url}/monitoring`);

  await ann.getByLabel('Role of ann').selectOption('operator');
  // The session goes on in the new role, after the page has connected anew.
  await expect(theirs.getByText('Connected', { exact: true })).toBeVisible();
  await open(theirs, `${server.url}/monitoring/tasks`);
  await expect(theirs.getByRole('link', { name: 'Run cleanup_old_task_logs…' })).toBeVisible();
  await expect(theirs.getByTestId('role-note')).toHaveCount(0);
  await ann.getByRole('button', { name: 'Disable ann' }).click();
  await expect(ann.getByText('disabled')).toBeVisible();
  await expect(theirs).toHaveURL(/\/login\?next=%2Fmonitoring%2Ftasks$/);
  await context.close();

  const tokens = page.getByRole('form', { name: 'New token' });
  await tokens.getByLabel('Name').fill('mail workers');
  await tokens.getByLabel('Task types and workers').fill('mail.*');
  await tokens.getByRole('button', { name: 'Make token' }).click();
  const secret = (await page.getByRole('region', { name: 'Token', exact: true }).textContent()) ?? '';
  expect(secret).toMatch(/^tsi_[\w-]{43}$/);
  const report = (task_name: string) =>
    fetch(`${server.url}/api/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: JSON.stringify([{ type: 'task_started', task_id: '1', task_name, timestamp: new Date().toISOString() }]),
    });
  expect((await report('mail.send')).status).toBe(202);
  expect((await report('billing.charge')).status).toBe(400);
  await page.getByRole('button', { name: 'Revoke mail workers' }).click();
  await page.getByRole('dialog', { name: 'Revoke this token?' }).getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByTestId('token')).toHaveCount(0);
  expect((await report('mail.send')).status).toBe(401);

  await open(page, `${server.url}/monitoring/access`);
  await expect(page.getByTestId('audit').filter({ hasText: 'POST /api/fn/revoke_token' })).toBeVisible();
  await expect(page.getByTestId('audit').filter({ hasText: 'ann as viewer' })).toBeVisible();
  await expect(page.locator('body')).not.toContainText(PASSWORD);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`login and access, ${colorScheme}: no violation`, async ({ page }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const check = async () => {
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, help, nodes }) => `${id}: ${help} ${nodes.map(node => node.html).join(' ')}`)).toEqual([]);
    };
    await page.goto(`${server.url}/login`);
    await check();
    await logIn(page, 'nobody');
    await check();
    await logIn(page, 'admin');
    await expect(page).toHaveURL(/monitoring/);
    await open(page, `${server.url}/monitoring/access`);
    await check();
  });
}
