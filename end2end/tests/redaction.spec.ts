import { expect, open, test } from '../support/test.ts';
import type { Taskscope } from '../support/taskscope.ts';

/** Reports an execution that names a customer, and waits until it is stored. */
async function order(server: Taskscope, id: string): Promise<number> {
  const params = { order: { customerNumber: 'K-4711' }, password: 'hunter2' };
  await server.report([{ type: 'task_completed', task_id: id, task_name: 'send_order', timestamp: new Date().toISOString(), params }]);
  await expect.poll(async () => (await server.history({ q: `id:${id}` })).total_count).toBe(1);
  return (await server.history({ q: `id:${id}` })).items[0]?.id ?? 0;
}

test('a key is added, shown by a preview, saved, and holds for new events', async ({ page, fresh }) => {
  const before = await order(fresh, 'before');
  await open(page, `${fresh.url}/monitoring/workers`);
  await page.getByRole('link', { name: 'Redaction of secrets' }).click();
  await expect(page.getByRole('heading', { name: 'Redaction', exact: true })).toBeVisible();
  await expect(page.getByTestId('redaction-defaults')).toContainText('password');
  const save = page.getByRole('button', { name: 'Save' });
  await expect(save).toBeDisabled();

  await page.getByLabel('Keys').fill('customer_number');
  await page.getByRole('button', { name: 'Preview' }).click();
  const found = page.getByTestId('redaction-found');
  await expect(found).toHaveCount(1);
  await expect(found).toHaveAttribute('data-place', 'params.order.customerNumber');
  await expect(found).toContainText('K-••••••');
  await expect(page.getByTestId('redaction-preview')).not.toContainText('4711');
  await page.getByLabel('Keys').fill('customer_number\npin');
  await expect(save, 'what was not tried is not saved').toBeDisabled();
  await page.getByLabel('Keys').fill('customer_number');
  await save.click();
  await expect(page.getByTestId('redaction-saved')).toContainText('Saved');
  await expect(save).toBeDisabled();

  const after = await order(fresh, 'after');
  await open(page, `${fresh.url}/monitoring/executions/${after}`);
  await expect(page.getByTestId('execution-detail')).toContainText('[redacted]');
  await expect(page.getByTestId('execution-detail')).not.toContainText('4711');
  await open(page, `${fresh.url}/monitoring/executions/${before}`);
  await expect(page.getByTestId('execution-detail'), 'what was stored before stays').toContainText('4711');
  await expect(page.getByTestId('execution-detail')).not.toContainText('hunter2');
  await open(page, `${fresh.url}/monitoring/redaction`);
  await expect(page.getByLabel('Keys')).toHaveValue('customer_number');
});

test.describe('a wrong pattern', () => {
  // Chromium notes every answer whose status is no success.
  test.use({ allowedErrors: /the server responded with a status of 400/ });

  test('is named with the reason, by keyboard alone, and nothing is saved', async ({ page, fresh }) => {
    await open(page, `${fresh.url}/monitoring/redaction`);
    await page.getByLabel('Patterns').focus();
    await page.keyboard.type('(open');
    await page.keyboard.press('Tab');
    await expect(page.getByLabel('Exceptions')).toBeFocused();
    await page.keyboard.press('Tab');
    await expect(page.getByRole('button', { name: 'Preview' })).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('redaction-error')).toContainText('"(open" is no regular expression');
    await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled();
    await page.getByLabel('Patterns').fill('K-\\d+');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect(page.getByTestId('redaction-preview')).toContainText('There are no executions to look at yet.');
    await expect(page.getByTestId('redaction-error')).toBeEmpty();
  });
});
