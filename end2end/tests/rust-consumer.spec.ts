import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

import { execution, executions } from '../support/data.ts';
import { ROOT } from '../support/process.ts';
import { expect, test } from '../support/test.ts';

test('another Rust program prints metrics and failed executions', async ({ fresh }) => {
  await fresh.report([
    ...executions(3, 'score_message_task', { durationMs: 200 }),
    ...execution('extract_knowledge_from_messages_task', { failed: true }),
  ]);
  await expect.poll(async () => (await fresh.history()).total_count).toBe(4);

  const program = resolve(ROOT, 'target/consumer/debug/rust-consumer');
  const { stdout } = await promisify(execFile)(program, [fresh.url]);
  expect(stdout).toMatch(/^score_message_task +3 +0 +0 +3 +0 +200\.0 ms +100\.0 %$/m);
  expect(stdout).toMatch(/^extract_knowledge_from_messages_task +1 +0 +0 +0 +1 +– +0\.0 %$/m);
  expect(stdout).toMatch(/extract_knowledge_from_messages_task .*No messages provided for extraction/);

  const nobody = promisify(execFile)(program, ['http://127.0.0.1:1']);
  await expect(nobody).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('not reachable') });
});
