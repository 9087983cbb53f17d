import { freePort } from '../support/process.ts';
import { TaskIq } from '../support/taskiq.ts';
import { temporaryDirectory } from '../support/taskscope.ts';
import { count, expect, open, test } from '../support/test.ts';

test('DashboardMiddleware of taskiq-dashboard works by its url alone, as TaskiqAdminMiddleware does', async ({ page, fresh }) => {
  const taskiq = new TaskIq('dashboard', temporaryDirectory(), await freePort(), fresh.url, 'dashboard');
  await taskiq.start();
  try {
    await open(page, `${fresh.url}/monitoring`);
    await taskiq.send('score_message_task', { message_id: 1 });
    await expect(count(page, 'score_message_task', 'success')).toHaveAttribute('data-value', '1');
    await taskiq.send('embed_atoms_batch_task', { atom_ids: [1], provider_id: 'busy' });
    await expect(count(page, 'embed_atoms_batch_task', 'failed')).toHaveAttribute('data-value', '2');
    await expect(count(page, 'embed_atoms_batch_task', 'success')).toHaveAttribute('data-value', '1');
    await expect(count(page, 'embed_atoms_batch_task', 'total')).toHaveAttribute('data-value', '3');
  } finally {
    await taskiq.stop();
  }
});
