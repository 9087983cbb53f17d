// What the browser makes of the Overview, for `make bench`:
//
//   node bench/browser.mjs open URL SLOWDOWN ROUNDS    opens it that often, each time with an empty cache and a CPU that much slower
//   node bench/browser.mjs load URL SECONDS            opens it, says `ready` on a line of its own, and watches it for so long
//
// The last line of the output is JSON.
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from '@playwright/test';

const [mode, url, ...numbers] = process.argv.slice(2);
/** Seconds under load after which memory is looked at for the first time. */
const WARM_UP = 15;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
try {
  const measured = mode === 'open' ? await opened(Number(numbers[0]), Number(numbers[1])) : await loaded(Number(numbers[0]));
  console.log(JSON.stringify(measured));
} finally {
  await browser.close();
}

/** How long it takes to come alive, and how many bytes of WASM, JavaScript and CSS that takes. */
async function opened(slowdown, rounds) {
  const interactiveMs = [];
  let transferred = 0;
  for (let round = 0; round < rounds; round += 1) {
    const { page, session } = await freshPage();
    const bytes = await countBytes(session);
    await session.send('Emulation.setCPUThrottlingRate', { rate: slowdown });
    interactiveMs.push(await open(page));
    await page.waitForLoadState('networkidle');
    transferred = Math.max(transferred, bytes());
    await page.context().close();
  }
  return { interactiveMs, transferred };
}

/** Long tasks and memory while events come. */
async function loaded(seconds) {
  const { page, session } = await freshPage();
  await open(page);
  await page.waitForLoadState('networkidle');
  await collectGarbage(page, session);
  await page.evaluate(() => {
    window.longTasks = [];
    const note = list => window.longTasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration })));
    new PerformanceObserver(note).observe({ type: 'longtask' });
  });
  console.log('ready');
  await pause(WARM_UP * 1000);
  const before = await memory(page, session);
  await pause((seconds - WARM_UP) * 1000);
  const after = await memory(page, session);
  const ours = [before.collected, after.collected];
  const tasks = await page.evaluate(() => window.longTasks);
  // Collecting garbage for the measurement holds the page up too.
  const longTasksMs = tasks
    .filter(task => !ours.some(([from, to]) => task.startTime < to && task.startTime + task.duration > from))
    .map(task => task.duration);
  const messages = await page.evaluate(() => window.frames_seen);
  return { longTasksMs, before, after, messages };
}

/** A page without anything in its caches, which notes when it is alive, its WASM memory, and how many frames its sockets got. */
async function freshPage() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector('.connection[data-state="connected"]')) window.interactiveAt ??= performance.now();
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });
    const note = ({ instance }) => {
      window.wasmMemory ??= Object.values(instance.exports).find(value => value instanceof WebAssembly.Memory);
    };
    for (const name of ['instantiate', 'instantiateStreaming']) {
      const original = WebAssembly[name];
      WebAssembly[name] = async (...args) => {
        const result = await original.apply(WebAssembly, args);
        note(result instanceof WebAssembly.Instance ? { instance: result } : result);
        return result;
      };
    }
    window.frames_seen = 0;
    window.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        this.addEventListener('message', () => (window.frames_seen += 1));
      }
    };
  });
  return { page, session: await context.newCDPSession(page) };
}

/** Milliseconds from the start of the navigation until the page is alive: hydrated, and connected to the stream. */
async function open(page) {
  await page.goto(`${url}/monitoring`);
  return (await page.waitForFunction(() => window.interactiveAt, undefined, { polling: 100 })).jsonValue();
}

/** Adds up what the network brings of WASM, JavaScript and CSS, as it was sent. */
async function countBytes(session) {
  const code = new Set();
  let bytes = 0;
  session.on('Network.responseReceived', ({ requestId, response }) => {
    if (/wasm|javascript|css/.test(response.mimeType)) code.add(requestId);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (code.has(requestId)) bytes += encodedDataLength;
  });
  await session.send('Network.enable');
  return () => bytes;
}

/** Bytes that JavaScript and WASM hold after collecting garbage, elements, and between which times garbage was collected. */
async function memory(page, session) {
  const collected = await collectGarbage(page, session);
  await session.send('Performance.enable');
  const { metrics } = await session.send('Performance.getMetrics');
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize').value;
  // Not by a locator, which brings a script of its own into the page's heap.
  const [wasm, elements] = await page.evaluate(() => [
    window.wasmMemory?.buffer.byteLength ?? null,
    document.querySelectorAll('*').length,
  ]);
  if (wasm === null) throw new Error('the memory of WASM was not found');
  return { heap, wasm, elements, collected };
}

async function collectGarbage(page, session) {
  const now = () => page.evaluate(() => performance.now());
  const from = await now();
  await session.send('HeapProfiler.collectGarbage');
  return [from, await now()];
}
