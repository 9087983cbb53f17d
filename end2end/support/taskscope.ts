import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

import { Background, HOST, ROOT, freePort } from './process.ts';

const run = promisify(execFile);

/** The program under test. */
const PROGRAM = resolve(ROOT, process.env.TASKSCOPE_PROGRAM ?? 'target/release/taskscope');

/** One event of `POST /api/v1/events`. */
export interface NativeEvent {
  type: 'task_queued' | 'task_started' | 'task_completed' | 'task_failed';
  task_id: string;
  task_name?: string;
  timestamp: string;
  attempt?: number;
  worker?: string;
  queue?: string;
  params?: unknown;
  result?: unknown;
  duration_ms?: number;
  error_message?: string;
  error_traceback?: string;
}

export interface TaskMetrics {
  task_name: string;
  total_executions: number;
  pending: number;
  running: number;
  success: number;
  failed: number;
  avg_duration_ms: number | null;
  success_rate: number | null;
}

export interface Execution {
  id: number;
  task_name: string;
  task_id: string | null;
  status: string;
  attempt: number;
  error_message: string | null;
}

/** A running Taskscope with a data directory, and so a Postgres, of its own. */
export class Taskscope {
  readonly url: string;
  private readonly process: Background;

  constructor(
    readonly name: string,
    private readonly directory: string,
    readonly port: number,
    /** Whether the product's own worker runs too, with sample data. */
    working = false,
    /** Settings that differ from the usual ones. */
    settings: Record<string, string> = {},
  ) {
    this.url = `http://${HOST}:${port}`;
    this.process = new Background(name, directory, [PROGRAM], {
      cwd: ROOT,
      env: {
        TASKSCOPE_ADDR: `${HOST}:${port}`,
        TASKSCOPE_DATA_DIR: this.dataDirectory,
        DATABASE_URL: undefined,
        TASKSCOPE_WORKER: String(working),
        TASKSCOPE_SAMPLE_DATA: String(working),
        ...settings,
      },
    });
  }

  /** Starts an empty one. */
  static async fresh(name: string, working = false, settings: Record<string, string> = {}): Promise<Taskscope> {
    const server = new Taskscope(name, temporaryDirectory(), await freePort(), working, settings);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    this.process.start();
    // One that asks for a login says only that it doesn't know who asks, and not before the database is there.
    await this.process.ready(async () => [200, 401].includes((await fetch(`${this.url}/readyz`).catch(() => undefined))?.status ?? 0));
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }

  /** Stops it and throws its data away. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Reports events; all of them must be accepted. */
  async report(events: NativeEvent[]): Promise<void> {
    const response = await fetch(`${this.url}/api/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    });
    const text = await response.text();
    if (response.status !== 202 || JSON.parse(text).rejected !== 0) throw new Error(`${response.status}: ${text.slice(0, 500)}`);
  }

  /** Sends a worker's sign of life; the next one is due after `interval_ms`. */
  async heartbeat(worker: string, more: Record<string, unknown> = {}): Promise<void> {
    const beat = { worker, host: 'web-1', pid: 41, started_at: new Date().toISOString(), client: 'end2end 1', interval_ms: 3_600_000, ...more };
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.url}/api/v1/heartbeats`, { method: 'POST', headers, body: JSON.stringify(beat) });
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  }

  async metrics(taskName: string): Promise<TaskMetrics> {
    const { metrics } = await this.get<{ metrics: TaskMetrics[] }>('/api/v1/monitoring/metrics');
    const none = { total_executions: 0, pending: 0, running: 0, success: 0, failed: 0, avg_duration_ms: null, success_rate: null };
    return metrics.find(metrics => metrics.task_name === taskName) ?? { task_name: taskName, ...none };
  }

  history(params: Record<string, string> = {}): Promise<{ total_count: number; total_pages: number; items: Execution[] }> {
    return this.get(`/api/v1/monitoring/history?${new URLSearchParams(params).toString()}`);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Runs SQL in the embedded cluster, as somebody with psql would. */
  async sql(statement: string): Promise<string> {
    const socket = resolve(this.dataDirectory, 'run');
    const args = ['-h', socket, '-p', '5432', '-U', 'postgres', '-d', 'taskscope', '-v', 'ON_ERROR_STOP=1', '-At', '-c', statement];
    const { stdout } = await run('psql', args, { cwd: '/' });
    return stdout.trim();
  }

  private get dataDirectory(): string {
    return resolve(this.directory, 'data');
  }
}

/** A directory that Postgres' user may pass through when the tests run as root. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync('/tmp/taskscope-end2end-');
  chmodSync(directory, 0o755);
  return directory;
}

export function requireBuild(): void {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: call make build`);
}
