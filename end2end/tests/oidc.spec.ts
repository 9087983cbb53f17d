import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { resolve } from 'node:path';

import { Background, HOST, ROOT, freePort } from '../support/process.ts';
import { Taskscope, temporaryDirectory } from '../support/taskscope.ts';
import { expect, test } from '../support/test.ts';

const PASSWORD = 'correct horse battery';
const SECRET = 'a secret between both';

// Chromium notes every page whose status is no success, and a socket that is refused; the provider's own pages are the provider's.
test.use({ allowedErrors: /the server responded with a status of \d\d\d|WebSocket connection to|localhost/ });

let server: Taskscope;
let provider: Background;
let issuer: string;
const directory = temporaryDirectory();

test.beforeAll(async () => {
  const [port, providerPort] = [await freePort(), await freePort()];
  // Another site than the server's, as it is in life.
  issuer = `http://localhost:${providerPort}`;
  const program = resolve(ROOT, 'end2end/support/oidc-provider.mjs');
  const command = ['node', program, String(providerPort), SECRET, `http://${HOST}:${port}/login/oidc/callback`] as const;
  provider = new Background('oidc-provider', directory, [...command], { cwd: resolve(ROOT, 'end2end'), env: {} });
  server = new Taskscope('oidc', directory, port, false, {
    TASKSCOPE_LOGIN: 'accounts',
    TASKSCOPE_ADMIN_PASSWORD: PASSWORD,
    TASKSCOPE_PUBLIC_URL: `http://${HOST}:${port}`,
    TASKSCOPE_OIDC_ISSUER: issuer,
    TASKSCOPE_OIDC_CLIENT_ID: 'taskscope',
    TASKSCOPE_OIDC_CLIENT_SECRET: SECRET,
    TASKSCOPE_OIDC_NAME: 'Example Login',
    TASKSCOPE_OIDC_SCOPES: 'profile,email,groups',
    TASKSCOPE_OIDC_ADMINS: 'admins',
    TASKSCOPE_OIDC_OPERATORS: 'ops',
    TASKSCOPE_OIDC_VIEWERS: 'staff',
  });
  await server.start();
  await expect.poll(async () => server.sql('select count(*) from accounts').catch(() => '')).toBe('1');
});

test.afterAll(async () => {
  await provider.end();
  await server.remove();
});

async function startProvider(): Promise<void> {
  provider.start();
  await provider.ready(async () => (await fetch(`${issuer}/.well-known/openid-configuration`).catch(() => undefined))?.status === 200);
  // The server doesn't ask again within two seconds after it got no answer.
  const begin = async () => (await fetch(`${server.url}/login/oidc`, { redirect: 'manual' })).status;
  await expect.poll(begin, { intervals: [0, 2100], timeout: 30_000 }).toBe(303);
}

/** Goes through the provider's own pages. */
async function logInThere(page: Page, name: string): Promise<void> {
  // Its pages ask for a font of somebody else's, who needn't be there.
  await page.route(url => url.protocol === 'https:', route => route.fulfill({ contentType: 'text/css', body: '' }));
  await page.getByRole('link', { name: 'Log in with Example Login' }).click();
  await expect(page).toHaveURL(new RegExp(`^${issuer}/interaction/`));
  await page.locator('input[name="login"]').fill(name);
  await page.locator('input[name="password"]').fill('any');
  await page.locator('button[type="submit"]').click();
  // It asks whether Taskscope may know.
  await page.locator('button[type="submit"]').click();
}

test('a provider that is away keeps nobody out who has a password', async ({ page }) => {
  await page.goto(`${server.url}/monitoring/workers`);
  await page.getByRole('link', { name: 'Log in with Example Login' }).click();
  await expect(page.getByRole('alert')).toContainText('Example Login gives no answer');
  await expect(page.getByLabel('Name')).toBeFocused();
  await page.getByLabel('Name').fill('admin');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page).toHaveURL(`${server.url}/monitoring/workers`);
});

// The server has begun without the provider, and finds it now.
test.describe('once the provider is there', () => {
  test.beforeAll(startProvider);

  for (const javaScriptEnabled of [true, false]) {
    test.describe(javaScriptEnabled ? 'with scripts' : 'without scripts', () => {
      test.use({ javaScriptEnabled });

      test('people log in through the provider, and out', async ({ page }) => {
        await page.goto(`${server.url}/monitoring/history?status=failed`);
        await logInThere(page, 'ann');
        await expect(page).toHaveURL(`${server.url}/monitoring/history?status=failed`);
        await expect(page.getByRole('link', { name: 'ann@example.com' })).toBeVisible();
        await page.goto(`${server.url}/monitoring/access`);
        await expect(page.getByText('in the role operator')).toBeVisible();
        await expect(page.getByRole('form', { name: 'Change your password' })).toHaveCount(0);
        await page.getByRole('button', { name: 'Log out' }).click();
        await expect(page).toHaveURL(/\/login(\?|$)/);
        await page.goto(`${server.url}/monitoring`);
        await expect(page).toHaveURL(/\/login\?next=/);
      });
    });
  }

  test('who is in no group that is named is told so', async ({ page }) => {
    await page.goto(`${server.url}/login`);
    await logInThere(page, 'mallory');
    await expect(page.getByRole('alert')).toContainText('Example Login knows you as mallory@example.com, but nobody has let you in here.');
    expect((await page.context().cookies()).map(cookie => cookie.name)).not.toContain('taskscope_session');
  });

  test('an admin sees who comes from where', async ({ page }) => {
    await page.goto(`${server.url}/login?next=/monitoring/access`);
    await logInThere(page, 'root');
    const ann = page.locator('[data-testid="account"][data-name="ann@example.com"]');
    await expect(ann).toContainText(`through ${issuer}`);
    await expect(ann.getByRole('combobox')).toHaveCount(0);
    await expect(page.getByTestId('audit').filter({ hasText: 'mallory@example.com is not let in' })).toBeVisible();
  });
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`login with a provider, ${colorScheme}: no violation`, async ({ page }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.goto(`${server.url}/login`);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, help, nodes }) => `${id}: ${help} ${nodes.map(node => node.html).join(' ')}`)).toEqual([]);
  });
}
