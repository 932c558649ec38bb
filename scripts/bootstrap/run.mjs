/**
 * Runs the steps of a plan one after the other, in the foreground.
 *
 *   B1. Each signal reaches the running step once. A terminal sends it to every process of its group, so there it is not
 *       handed on; elsewhere one of a burst is (npm passes on what its group has heard already).
 *   B2. A step does not outlive who could stop it: when npm is killed the step is told to stop, and a step that asked for a
 *       channel notices when we are.
 *   B3. The exit code is the step's own; 128 + signal when a signal ended it.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './prepare.mjs';

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const BURST_MS = 500;
const LOOK_FOR_NPM_EVERY_MS = 500;

/**
 * @param {import('./commands.mjs').Plan} plan
 * @param {{ node: string, path: string }} tools
 * @returns {Promise<number>} the exit code
 */
export async function runAll({ steps, summary = false }, tools) {
  const results = [];
  for (const step of steps) {
    if (summary) process.stdout.write(`\n── ${step.name} ${'─'.repeat(Math.max(0, 60 - step.name.length))}\n`);
    const startedAt = performance.now();
    const { code, told } = await runStep(step, tools);
    results.push({ name: step.name, code, ms: performance.now() - startedAt });
    if (told) break;
  }
  if (summary) process.stdout.write(`\n${summaryOf(results, steps.length)}\n`);
  return results.find(({ code }) => code !== 0)?.code ?? 0;
}

/**
 * @param {readonly { name: string, code: number, ms: number }[]} results
 * @param {number} planned
 */
export function summaryOf(results, planned) {
  const lines = results.map(
    ({ name, code, ms }) =>
      `  ${code === 0 ? '✓' : '✗'} ${name.padEnd(8)}${(ms / 1000).toFixed(1).padStart(7)} s${code === 0 ? '' : `   failed (code ${code})`}`,
  );
  const failed = results.filter(({ code }) => code !== 0).map(({ name }) => name);
  const left = planned - results.length;
  const verdict = failed.length > 0 ? `failed: ${failed.join(', ')}` : left > 0 ? 'stopped' : 'all passed';
  const count = `steps: ${results.length - failed.length} passed, ${failed.length} failed`;
  return [...lines, ...(left > 0 ? [`  ${left} not run`] : []), verdict, count].join('\n');
}

/**
 * @param {import('./commands.mjs').Step} step
 * @param {{ node: string, path: string }} tools
 * @returns {Promise<{ code: number, told: boolean }>} `told`: a signal asked us to stop
 */
function runStep({ run: [program = '', ...args], channel = false }, { node, path }) {
  return new Promise((resolve) => {
    const command = program === 'node' ? node : join(ROOT, 'node_modules', '.bin', program);
    const stdio = /** @type {import('node:child_process').StdioOptions} */ ([
      'inherit',
      'inherit',
      'inherit',
      ...(channel ? ['ipc'] : []),
    ]);
    const child = spawn(command, args, { cwd: ROOT, stdio, env: { ...process.env, PATH: path } });
    let told = false;
    const oncePerBurst = limiter(BURST_MS, () => performance.now());
    const pass = (/** @type {NodeJS.Signals} */ signal) => {
      told = true;
      if (signal !== 'SIGTERM' && process.stdin.isTTY) return;
      if (oncePerBurst()) child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, pass);
    const stopWatching = whenNpmIsGone(() => {
      if (!told) pass('SIGTERM');
    });

    const over = (/** @type {number} */ code) => {
      for (const signal of SIGNALS) process.off(signal, pass);
      stopWatching();
      resolve({ code, told });
    };
    child.once('error', (error) => {
      console.error(`${command} cannot be run: ${error.message}`);
      over(1);
    });
    child.once('exit', (code, signal) => over(code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0)));
  });
}

/**
 * `true` for the first call, and then again once `quietMs` have passed since the last `true`.
 *
 * @param {number} quietMs
 * @param {() => number} now
 */
export function limiter(quietMs, now) {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() - last < quietMs) return false;
    last = now();
    return true;
  };
}

/** @param {() => void} act @returns {() => void} */
function whenNpmIsGone(act) {
  if (process.env['npm_lifecycle_event'] === undefined) return () => undefined;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, LOOK_FOR_NPM_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
