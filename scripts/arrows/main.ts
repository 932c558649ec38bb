/** `node scripts/arrows/main.ts`: says which imports point where they may not, and ends with 1 when there are any. */
import { join } from 'node:path';
import { check } from './check.ts';
import { readPackages, readSources } from './graph.ts';

const root = join(import.meta.dirname, '..', '..');
const sources = readSources(root);
const findings = check(sources, readPackages(root));
for (const finding of findings) console.error(`${finding}\n`);
if (findings.length > 0) process.exitCode = 1;
console.log(
  findings.length > 0
    ? `${findings.length} imports point where they may not`
    : `${sources.length} files, every import points the right way`,
);
