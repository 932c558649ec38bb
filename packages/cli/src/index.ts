/** The public surface of @molecule/cli. What is not named here is private to the package. */
export { main } from './cli.ts';
export { CliError, type Terminal } from './terminal.ts';
export { findTarget, homeOf, RunFile, runningHere, type Target } from './where.ts';
