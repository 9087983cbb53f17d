import { mkdirSync, rmSync } from 'node:fs';

import { ARTIFACTS, freePort } from './process.ts';
import { TaskIq } from './taskiq.ts';
import { Taskscope, requireBuild, temporaryDirectory } from './taskscope.ts';

/** Starts what the specs share, and returns what stops it. The specs find it by the environment. */
export default async function setup(): Promise<() => Promise<void>> {
  requireBuild();
  mkdirSync(ARTIFACTS, { recursive: true });
  process.env.END2END_DIRECTORY = temporaryDirectory();
  process.env.END2END_PORT = String(await freePort());
  process.env.END2END_NATS_PORT = String(await freePort());
  const taskscope = sharedTaskscope();
  const taskiq = sharedTaskIq();
  const stop = async () => {
    await taskiq.stop().catch(console.error);
    await taskscope.stop().catch(console.error);
    rmSync(process.env.END2END_DIRECTORY ?? '', { recursive: true, force: true });
  };
  try {
    await taskscope.start();
    await taskiq.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

export function sharedTaskscope(): Taskscope {
  return new Taskscope('taskscope', fromEnvironment('DIRECTORY'), Number(fromEnvironment('PORT')));
}

export function sharedTaskIq(): TaskIq {
  const port = Number(fromEnvironment('NATS_PORT'));
  return new TaskIq('taskiq', fromEnvironment('DIRECTORY'), port, sharedTaskscope().url);
}

function fromEnvironment(name: string): string {
  const value = process.env[`END2END_${name}`];
  if (!value) throw new Error(`END2END_${name} is not set: the global setup did not run`);
  return value;
}
