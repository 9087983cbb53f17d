import { ATOMS, seedTopic } from '../support/analysis.ts';
import { connection, expect, expectNotReloaded, mark, open, test } from '../support/test.ts';

test('topics are listed with their numbers, and searched by what is typed', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/monitoring/knowledge`);
  await expect(page.getByTestId('no-topics')).toContainText('Nothing is known yet');
  await seedTopic(fresh, 'Login');
  await seedTopic(fresh, 'Nightly export', []);
  await page.reload();
  await expect(connection(page)).toHaveText('Connected');
  const rows = page.getByTestId('topic-row');
  await expect(rows).toHaveCount(2);
  const login = rows.filter({ hasText: 'Login' });
  await expect(login.locator('[data-count="atoms"]')).toHaveAttribute('data-value', '3');
  await expect(login.locator('[data-count="approved"]')).toHaveAttribute('data-value', '1');
  await expect(login.locator('[data-count="messages"]')).toHaveAttribute('data-value', '3');
  await mark(page);
  await page.getByRole('searchbox').fill('nightly');
  await expect(rows).toHaveCount(1);
  await expect(page).toHaveURL(`${fresh.url}/monitoring/knowledge?q=nightly`);
  await page.getByRole('searchbox').fill('no topic has this');
  await expect(page.getByText('No topic has this in its name or description.')).toBeVisible();
  await page.getByRole('link', { name: 'Show all topics' }).click();
  await expect(rows).toHaveCount(2);
  await expect(page.getByRole('searchbox')).toHaveValue('');
  await expectNotReloaded(page);
});

test('a topic shows its atoms with their messages, which are approved, rejected and taken back', async ({ page, fresh }) => {
  const id = await seedTopic(fresh, 'Login');
  await open(page, `${fresh.url}/monitoring/knowledge`);
  await page.getByTestId('topic-row').getByRole('link').click();
  await expect(page).toHaveURL(`${fresh.url}/monitoring/knowledge/${id}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Login');
  await expect(page.getByTestId('topic')).toContainText('since the addresses moved to a table of their own');
  const atoms = page.getByTestId('atom');
  await expect(atoms).toHaveCount(ATOMS.length);
  const atom = (n: number) => atoms.filter({ hasText: ATOMS[n]?.title });
  await expect(atom(0)).toHaveAttribute('data-status', 'approved');
  await expect(atom(0)).toContainText('auto-approved');
  await expect(atom(0)).toContainText('version 2');
  await expect(atom(0).getByTestId('message').first()).toBeHidden();
  await atom(0).getByText('Source messages (3)').click();
  await expect(atom(0).getByTestId('message')).toHaveCount(3);
  await expect(atom(0).getByTestId('message').first()).toBeVisible();

  await atom(1).getByRole('button', { name: 'Approve' }).click();
  await expect(atom(1)).toHaveAttribute('data-status', 'approved');
  await expect(page.locator('.topic-facts [data-count="approved"]')).toHaveAttribute('data-value', '2');
  await atom(2).getByRole('button', { name: 'Reject' }).click();
  await expect(atom(2)).toHaveAttribute('data-status', 'rejected');
  await atom(2).getByRole('button', { name: 'Undo' }).click();
  await expect(atom(2)).toHaveAttribute('data-status', 'pending');
  // What was unfolded stays so.
  await expect(atom(0).getByTestId('message').first()).toBeVisible();
  expect(await fresh.sql(`select string_agg(status, ' ' order by confidence desc) from atoms`)).toBe('approved approved pending');
});

test.describe('what is not there', () => {
  test.use({ allowedErrors: /the server responded with a status of 404/ });

  test('an unknown topic is told', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring/knowledge/00000000-0000-0000-0000-000000000000`);
    await expect(page.getByText('Not found', { exact: true })).toBeVisible();
  });
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('topics are searched and read', async ({ page, fresh }) => {
    await seedTopic(fresh, 'Login');
    await seedTopic(fresh, 'Nightly export', []);
    await page.goto(`${fresh.url}/monitoring/knowledge`);
    await page.getByRole('searchbox').fill('login');
    await page.getByRole('searchbox').press('Enter');
    await expect(page.getByTestId('topic-row')).toHaveCount(1);
    await page.getByTestId('topic-row').getByRole('link').click();
    await expect(page.getByTestId('atom')).toHaveCount(3);
    await page.getByTestId('atom').first().getByText('Source messages (3)').click();
    await expect(page.getByTestId('atom').first().getByTestId('message').first()).toBeVisible();
  });
});
