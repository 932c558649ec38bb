/**
 * The commands, and the steps each consists of. Pure: a command is a function from its arguments to a plan.
 *
 * @typedef {{ readonly nats?: 'NATS_URL' | 'TEST_NATS_URL' }} Needs  whether a nats-server is needed, unless that variable names one
 * @typedef {{ readonly name: string, readonly run: readonly string[], readonly channel?: boolean }} Step  a program of
 *   `node_modules/.bin` (or `node`) and its arguments; with a channel, it stops when we are gone
 * @typedef {{ readonly needs: Needs, readonly steps: readonly Step[], readonly summary?: boolean }} Plan
 */

/** What `npm test` does, in this order. Those that take paths are given the ones on the command line. */
const TEST_STEPS = [
  { name: 'lint', run: ['biome', 'check'], takesPaths: false },
  { name: 'types', run: ['tsc', '-p', '.'], takesPaths: false },
  { name: 'arrows', run: ['node', 'scripts/arrows/main.ts'], takesPaths: false },
  { name: 'unit', run: ['vitest', 'run', '--project', 'unit'], takesPaths: true },
  { name: 'int', run: ['vitest', 'run', '--project', 'int'], takesPaths: true },
  { name: 'e2e', run: ['vitest', 'run', '--project', 'e2e'], takesPaths: true },
];
const SERVED = ['int', 'e2e'];

/** @type {Readonly<Record<string, (args: readonly string[]) => Plan>>} */
export const COMMANDS = {
  start: () => ({
    needs: { nats: 'NATS_URL' },
    steps: [{ name: 'start', run: ['node', 'deploy/embedded/src/main.ts'], channel: true }],
  }),
  test: (args) => testPlan(args),
  bench: (args) => ({ needs: { nats: 'TEST_NATS_URL' }, steps: [{ name: 'bench', run: ['node', 'bench/main.ts', ...args] }] }),
  lint: (args) => ({ needs: {}, steps: [{ name: 'lint', run: ['biome', 'check', ...args] }] }),
  typecheck: (args) => ({ needs: {}, steps: [{ name: 'types', run: ['tsc', '-p', '.', ...args] }] }),
  molecule: (args) => ({
    needs: args[0] === 'up' ? { nats: 'NATS_URL' } : {},
    steps: [{ name: 'molecule', run: ['node', 'packages/cli/src/main.ts', ...args] }],
  }),
  reference: () => ({
    needs: { nats: 'NATS_URL' },
    steps: [{ name: 'reference', run: ['node', 'deploy/embedded/src/write-reference.ts'] }],
  }),
  prepare: () => ({ needs: { nats: 'NATS_URL' }, steps: [] }),
};

/**
 * `npm test -- unit int packages/bus -t park`: names of steps choose steps; everything else goes to the test runner, and
 * alone chooses the steps that run tests.
 *
 * @param {readonly string[]} args
 * @returns {Plan}
 */
function testPlan(args) {
  const isStep = (/** @type {string} */ arg) => TEST_STEPS.some(({ name }) => name === arg);
  const rest = args.filter((arg) => !isStep(arg));
  const wanted = TEST_STEPS.filter(({ name, takesPaths }) =>
    args.some(isStep) ? args.includes(name) : takesPaths || rest.length === 0,
  );
  return {
    needs: wanted.some(({ name }) => SERVED.includes(name)) ? { nats: 'TEST_NATS_URL' } : {},
    steps: wanted.map(({ name, run, takesPaths }) => ({ name, run: takesPaths ? [...run, ...rest] : run })),
    summary: true,
  };
}

export const usage = () =>
  [
    'npm start                        starts Molecule (settings: the environment, see README.md)',
    `npm test [-- <step> <path>]      ${TEST_STEPS.map(({ name }) => name).join(', ')}; all of them when none is named`,
    'npm run molecule -- <command>    status, doctor, events, rebuild, audit',
    'npm run bench | lint | typecheck',
    'npm run reference                writes docs/reference anew from what the services say of themselves',
  ].join('\n');
