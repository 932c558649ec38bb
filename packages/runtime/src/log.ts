/** A log of JSON lines. It is all a runtime needs, and keeps the agent's image free of a logging library. */
import type { Writable } from 'node:stream';

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Lines of `{"level","time","msg",…}`; an `err` member is written as its name, message and stack. */
export function createLog(out: Writable, base: object): Log {
  const write = (level: string) => (fields: object, message: string) => {
    out.write(`${JSON.stringify({ level, time: new Date().toISOString(), ...base, ...shown(fields), msg: message })}\n`);
  };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

const shown = (fields: object): object => {
  const { err } = fields as { err?: unknown };
  return err instanceof Error ? { ...fields, err: { name: err.name, message: err.message, stack: err.stack } } : fields;
};
