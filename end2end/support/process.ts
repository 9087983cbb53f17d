import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const ARTIFACTS = resolve(ROOT, 'end2end/artifacts');
export const HOST = '127.0.0.1';

/** Waits until a condition holds; `what` says what did not happen in time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await pause(25);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(done => server.listen(0, HOST, done));
  const { port } = server.address() as AddressInfo;
  await new Promise(done => server.close(done));
  return port;
}

export function answers(port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(port, HOST, () => done(true)).on('error', () => done(false));
    socket.on('connect', () => socket.destroy());
  });
}

/**
 * A process in the background, known by a file with its id: what one process of Playwright starts, another may stop.
 */
export class Background {
  constructor(
    readonly name: string,
    private readonly directory: string,
    private readonly command: readonly [string, ...string[]],
    private readonly options: { cwd: string; env: Record<string, string | undefined> },
  ) {}

  get log(): string {
    return resolve(ARTIFACTS, `${this.name}.log`);
  }

  start(): void {
    const log = openSync(this.log, 'a');
    const [program, ...args] = this.command;
    const child = spawn(program, args, {
      cwd: this.options.cwd,
      env: { ...process.env, ...this.options.env },
      // A process group of its own: it is stopped by us, and with its children.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', error => writeFileSync(this.log, `${program} can't be started: ${error.message}\n`, { flag: 'a' }));
    child.unref();
    writeFileSync(this.pidFile, String(child.pid ?? 0));
  }

  /** Waits until it is ready, or fails with the end of its log. */
  async ready(is: () => boolean | Promise<boolean>): Promise<void> {
    try {
      await until(`${this.name} is ready`, async () => {
        if (!this.isRunning()) throw new Error(`${this.name} ended`);
        return is();
      });
    } catch (error) {
      const end = readFileSync(this.log, 'utf8').split('\n').slice(-30).join('\n');
      throw new Error(`${String(error)}\n${end}`);
    }
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.isRunning()) {
      process.kill(this.pid, signal);
      await until(`${this.name} stops`, () => !this.isRunning()).catch((error: unknown) => {
        this.signal('SIGKILL');
        throw error;
      });
    }
    rmSync(this.pidFile, { force: true });
  }

  /** Ends it, by force where it takes long: for programs of others whose way of ending is not what is tested. */
  async end(): Promise<void> {
    if (this.isRunning()) {
      process.kill(this.pid, 'SIGTERM');
      await until(`${this.name} ends`, () => !this.isRunning(), 5).catch(() => this.signal('SIGKILL'));
    }
    await this.stop();
  }

  private isRunning(): boolean {
    try {
      // The state stands behind the name, which may hold spaces; Z is a process that ended and was not yet asked for.
      const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
      return !/\) Z/.test(stat);
    } catch {
      return false;
    }
  }

  private get pid(): number {
    return Number(readFileSync(this.pidFile, 'utf8'));
  }

  private get pidFile(): string {
    return resolve(this.directory, `${this.name}.pid`);
  }
}
