import { defineConfig } from '@playwright/test';

// The servers under test are started by support/setup.ts, one set for the run; a spec that needs an empty one starts its own.
export default defineConfig({
  testDir: 'tests',
  globalSetup: './support/setup.ts',
  outputDir: 'artifacts/results',
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  forbidOnly: !!process.env.CI,
  reporter: [['list'], ['json', { outputFile: 'artifacts/report.json' }]],
  use: {
    browserName: 'chromium',
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      // Without these, Chromium asks the network for things of its own at every start.
      args: ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
    },
  },
});
