import { defineConfig } from 'vitest/config';

/** Limits end what hangs and are never met otherwise: a machine that does other work takes twenty times as long as one that does not. */
const limitMs = 180_000;

const shared = {
  environment: 'node' as const,
  setupFiles: ['./vitest.setup.ts'],
  testTimeout: limitMs,
  hookTimeout: limitMs,
  expect: { poll: { timeout: limitMs } },
};

export default defineConfig({
  test: {
    // A core is not kept back: much of what tests wait for are other processes.
    maxWorkers: '100%',
    coverage: { provider: 'v8', include: ['{contract,proxy,control-plane,gateway}/src/**'] },
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: [
            '*/src/**/*.test.ts',
            'contract/test/**/*.test.ts',
            'smoke/*.test.ts',
            'smoke/{simulator,conformance,bench}/**/*.test.ts',
            'scripts/{,api/}*.test.{mjs,ts}',
          ],
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['{proxy,control-plane,gateway}/test/**/*.test.ts', 'smoke/clients/*.test.ts'],
        },
      },
      {
        // Infrastructure, chart, workflows, scripts of operators, the gate: what needs programs that npm does not have (`npm run tools`).
        test: {
          ...shared,
          name: 'packaging',
          include: [
            '{cdktf,charts}/test/**/*.test.ts',
            '.github/test/*.test.ts',
            'scripts/{airgap,azure,image}/**/*.test.ts',
            'smoke/gate/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['smoke/clients/**/*.e2e.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
