#!/usr/bin/env node
/**
 * What `npm start`, `npm test` and their siblings run: prepares the checkout where it is not prepared, then runs the command
 * with the project's own Node. Plain JavaScript without dependencies, because nothing is there yet. A prepared checkout is
 * recognised by a stamp: no network, no installation, a few milliseconds.
 */
import { COMMANDS, usage } from './bootstrap/commands.mjs';
import { CannotPrepare, prepare } from './bootstrap/prepare.mjs';
import { runAll } from './bootstrap/run.mjs';
import { nodeIsTooOld } from './bootstrap/versions.mjs';

const [name = '', ...args] = process.argv.slice(2);

try {
  if (nodeIsTooOld(process.versions.node)) {
    throw new CannotPrepare(
      `this is Node ${process.versions.node}, and Molecule needs Node 20 or newer to begin with. See https://nodejs.org`,
    );
  }
  const command = COMMANDS[name];
  if (command === undefined) throw new CannotPrepare(usage());
  const plan = command(args);
  const tools = await prepare(plan.needs);
  process.exitCode = await runAll(plan, tools);
} catch (error) {
  if (!(error instanceof CannotPrepare)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
