/** Three speeds, chosen by a test's name: `x.test.ts` needs nothing, `x.int.test.ts` needs servers, `x.e2e.test.ts` runs processes. */
import { configDefaults, defineConfig } from 'vitest/config';

const SERVERS = 'packages/testkit/src/global-setup.ts';
const code = '{packages,services,deploy,scripts,test-e2e,bench}';

export default defineConfig({
  test: {
    passWithNoTests: true,
    projects: [
      {
        test: {
          name: 'unit',
          include: [`${code}/**/*.test.{ts,mjs}`],
          exclude: [...configDefaults.exclude, '**/*.{int,e2e}.test.ts'],
        },
      },
      {
        test: {
          name: 'int',
          include: [`${code}/**/*.int.test.ts`],
          globalSetup: SERVERS,
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: [`${code}/**/*.e2e.test.ts`],
          globalSetup: SERVERS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
