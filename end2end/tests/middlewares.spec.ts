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
    await taskiq.end();
  }
});

test('TaskscopeMiddleware tells the cause, the traceback and the worker, and a worker that is killed is missed', async ({ page, fresh }) => {
  const taskiq = new TaskIq('own', temporaryDirectory(), await freePort(), fresh.url, 'taskscope');
  await taskiq.start();
  try {
    await open(page, `${fresh.url}/monitoring/workers`);
    await expect(page.getByTestId('worker')).toHaveAttribute('data-health', 'alive');
    await taskiq.send('embed_atoms_batch_task', { atom_ids: [1], provider_id: 'busy' });
    await expect.poll(async () => (await fresh.history({ status: 'success' })).total_count).toBe(1);
    const { items } = await fresh.history({});
    expect(items.map(({ attempt, status }) => `${attempt} ${status}`)).toEqual(['3 success', '2 failed', '1 failed']);
    await taskiq.send('extract_knowledge_from_messages_task', { message_ids: [], provider_id: 'openai' });
    await expect.poll(async () => (await fresh.history({ task_name: 'extract_knowledge_from_messages_task' })).items[0]?.status).toBe('failed');
    const [failed] = (await fresh.history({ task_name: 'extract_knowledge_from_messages_task' })).items;
    await open(page, `${fresh.url}/monitoring/executions/${failed?.id}`);
    await expect(page.getByTestId('execution-detail')).toContainText('No messages provided for extraction');
    await expect(page.getByTestId('execution-detail')).toContainText(/app\/tasks\.py", line \d+, in extract_knowledge_from_messages_task/);
    await expect(page.getByTestId('execution-detail')).toContainText('ValueError');
    taskiq.kill();
    await open(page, `${fresh.url}/monitoring/workers`);
    await expect(page.getByTestId('worker')).toHaveAttribute('data-health', 'gone', { timeout: 20_000 });
  } finally {
    await taskiq.stop();
  }
});
