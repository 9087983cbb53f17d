import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

import { Background, HOST, ROOT, answers } from './process.ts';

const run = promisify(execFile);
const EXAMPLE = resolve(ROOT, 'examples/taskiq');

/** The TaskIQ application of examples/taskiq: a NATS server and a `taskiq worker`, reporting to one Taskscope. */
export class TaskIq {
  private readonly nats: Background;
  private readonly worker: Background;
  private readonly env: Record<string, string>;

  constructor(
    name: string,
    directory: string,
    private readonly natsPort: number,
    taskscopeUrl: string,
    middleware: 'admin' | 'dashboard' | 'taskscope' = 'admin',
  ) {
    this.env = {
      NATS_URL: `nats://${HOST}:${natsPort}`,
      TASKSCOPE_URL: taskscopeUrl,
      TASKSCOPE_MIDDLEWARE: middleware,
      PYTHONUNBUFFERED: '1',
      // Our own middleware is used as it stands in this repository.
      PYTHONPATH: resolve(ROOT, 'clients/python/src'),
    };
    const store = resolve(directory, `${name}-jetstream`);
    const nats = ['nats-server', '--addr', HOST, '--port', String(natsPort), '--jetstream', '--store_dir', store] as const;
    this.nats = new Background(`${name}-nats`, directory, nats, { cwd: directory, env: {} });
    const worker = ['taskiq', 'worker', '--workers', '1', 'app.broker:broker', 'app.tasks'] as const;
    this.worker = new Background(`${name}-worker`, directory, worker, { cwd: EXAMPLE, env: this.env });
  }

  async start(): Promise<void> {
    this.nats.start();
    await this.nats.ready(() => answers(this.natsPort));
    const before = statSync(this.worker.log, { throwIfNoEntry: false })?.size ?? 0;
    this.worker.start();
    await this.worker.ready(() => readFileSync(this.worker.log, 'utf8').slice(before).includes('Listening started'));
  }

  async stop(): Promise<void> {
    try {
      await this.worker.stop();
    } finally {
      await this.nats.stop();
    }
  }

  /** Stops it too where a middleware of others keeps the worker from ending. */
  async end(): Promise<void> {
    await this.worker.end();
    await this.nats.stop();
  }

  /** Sends one task and returns its id. */
  async send(name: string, kwargs: Record<string, unknown> = {}): Promise<string> {
    const args = ['-m', 'app.produce', '--once', name, '--kwargs', JSON.stringify(kwargs)];
    const { stdout } = await run('python', args, { cwd: EXAMPLE, env: { ...process.env, ...this.env } });
    return stdout.trim();
  }

  /** Ends the worker's processes without giving them a chance. */
  kill(): void {
    this.worker.signal('SIGKILL');
  }

  /** Freezes the worker while something is done: what is sent meanwhile stays queued. */
  async whileFrozen(act: () => Promise<void>): Promise<void> {
    this.worker.signal('SIGSTOP');
    try {
      await act();
    } finally {
      this.worker.signal('SIGCONT');
    }
  }
}
