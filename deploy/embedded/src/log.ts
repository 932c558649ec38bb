/** The log of all six services: one file of JSON lines, begun anew at each start; what needs attention also goes to stderr. */
import { existsSync, renameSync } from 'node:fs';
import { createLog, type Log, type LogLevel } from '@molecule/service';
import { destination, multistream } from 'pino';

/** The run before is kept as `molecule.1.log`. */
export function openLog({ logFile }: { readonly logFile: string }, level: LogLevel): Log {
  if (existsSync(logFile)) renameSync(logFile, logFile.replace(/\.log$/, '.1.log'));
  const streams = multistream([
    // Written at once: the last line before a crash is the one that matters.
    { level: 'trace', stream: destination({ dest: logFile, sync: true, mode: 0o600 }) },
    { level: 'warn', stream: process.stderr },
  ]);
  return createLog({ level, destination: streams });
}
