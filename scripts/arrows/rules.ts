/**
 * Which way imports may point (house rule 5). A rule names what may not be; its `why` is what the one who broke it reads.
 */
import type { Arrow } from './graph.ts';

export interface Rule {
  readonly name: string;
  readonly why: string;
  readonly breaks: (arrow: Arrow) => boolean;
}

/** Files that hold tests, or serve only them. */
const isTest = (path: string): boolean =>
  /\.(test|contract|fixture)\.(ts|mjs)$|\/(fixtures|testing)\/|\/(fixtures|test-support)\.ts$/.test(path) ||
  home(path) === 'packages/testkit';

/** `packages/bus/src/x.ts` → `packages/bus`. */
const home = (path: string): string => path.split('/').slice(0, 2).join('/');
const folder = (path: string): string => path.slice(0, path.lastIndexOf('/'));
const isIn = (path: string, area: 'packages' | 'services' | 'deploy' | 'test-e2e' | 'bench' | 'scripts'): boolean =>
  path.startsWith(`${area}/`);

const FRONT_DOOR = /^[^/]+\/[^/]+\/src\/index\.ts$/;
const DATABASE = ['pg', 'kysely', 'packages/event-store/src/index.ts'];

export const RULES: readonly Rule[] = [
  {
    name: 'contracts-know-nobody',
    why: 'The shared language may depend on zod alone.',
    breaks: ({ from, to }) =>
      home(from) === 'packages/contracts' && !isTest(from) && home(to) !== 'packages/contracts' && to !== 'zod',
  },
  {
    name: 'decisions-are-pure',
    why: 'A decision sees the shared language and its own noun: no clock, no database, no bus.',
    breaks: ({ from, to }) =>
      /\/decisions\.ts$/.test(from) && to !== 'packages/contracts/src/index.ts' && folder(to) !== folder(from),
  },
  {
    name: 'services-meet-only-in-contracts',
    why: 'Services talk over the bus and HTTP. What two of them need belongs into a package.',
    breaks: ({ from, to }) => isIn(from, 'services') && isIn(to, 'services') && home(from) !== home(to),
  },
  {
    name: 'packages-never-know-services',
    why: 'A package serves every service, and knows none.',
    breaks: ({ from, to }) => isIn(from, 'packages') && (isIn(to, 'services') || isIn(to, 'deploy')),
  },
  {
    name: 'only-deployments-compose-services',
    why: 'Services are put together in deploy/; tests and benchmarks meet them from outside.',
    breaks: ({ from, to }) => isIn(to, 'services') && !isIn(from, 'services') && !isIn(from, 'deploy') && !isIn(from, 'packages'),
  },
  {
    name: 'enter-by-the-front-door',
    why: "What a package's exports do not offer is private to it: import it by its name.",
    breaks: ({ from, to, byDoor }) =>
      /^(packages|services|deploy)\//.test(to) && home(from) !== home(to) && !byDoor && !FRONT_DOOR.test(to),
  },
  {
    name: 'gateway-has-no-database',
    why: 'The edge owns nothing durable and reads no tables.',
    breaks: ({ from, to }) => home(from) === 'services/gateway' && !isTest(from) && DATABASE.includes(to),
  },
  {
    name: 'testkit-is-for-tests',
    why: 'What runs in production does not depend on what tests it.',
    breaks: ({ from, to }) => /^(packages|services|deploy)\//.test(from) && !isTest(from) && home(to) === 'packages/testkit',
  },
];
