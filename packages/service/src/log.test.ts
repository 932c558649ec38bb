import { describe, expect, it } from 'vitest';
import { createLog, type Log } from './log.ts';

const logged = (write: (log: Log) => void): string => {
  const lines: string[] = [];
  write(createLog({ service: 'registry', level: 'info', destination: { write: (line: string) => void lines.push(line) } }));
  return lines.join('');
};
const entry = (write: (log: Log) => void) => JSON.parse(logged(write)) as Record<string, unknown>;

describe('a log line', () => {
  it('is JSON with a level, a time, a service and a message', () => {
    expect(entry((log) => log.warn({ workspaceId: 'w' }, 'lost'))).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      service: 'registry',
      workspaceId: 'w',
      msg: 'lost',
    });
  });

  it('stays one line, whatever is in it', () => {
    const nasty = 'a\n{"level":"fatal","msg":"forged"}\r\u2028';
    const text = logged((log) => log.info({ name: nasty, nested: { list: [nasty] } }, nasty));
    expect(text.match(/\n/g)).toHaveLength(1);
    expect(text).not.toContain('\r');
    expect((JSON.parse(text) as { name: string }).name).toBe(nasty);
  });
});

describe('secrets (I10)', () => {
  it.each([
    'authorization',
    'Authorization',
    'cookie',
    'token',
    'auth_token',
    'authToken',
    'ADMIN_TOKEN',
    'tokens',
    'clientSecret',
    'SECRETS_ENCRYPTION_KEY',
    'apiKey',
    'api_key',
    'privateKey',
    'internalKey',
    'password',
    'credentials',
    'DATABASE_URL',
    'databaseUrl',
  ])('hides what stands under %s, at any depth', (key) => {
    for (const value of [{ [key]: 'hunter2' }, { req: { headers: { [key]: 'hunter2' } } }, { list: [{ [key]: ['hunter2'] }] }])
      expect(logged((log) => log.info(value, 'x'))).not.toContain('hunter2');
    expect(logged((log) => log.child({ [key]: 'hunter2' }).info('x'))).not.toContain('hunter2');
  });

  it('leaves what only sounds like one', () => {
    const harmless = { tokenId: 'id', tokens: 3, noLiveToken: true, key: 'k', keyboard: 'qwerty' };
    expect(entry((log) => log.info(harmless, 'x'))).toMatchObject(harmless);
  });

  it('hides passwords in URLs and bearers in texts, messages and errors', () => {
    const text = 'cannot reach postgres://user:hunter2@db:5432/x with Bearer hunter2, sorry';
    const cause = new Error(text);
    const error = Object.assign(new Error(text, { cause }), { config: { headers: { authorization: 'hunter2' } } });
    for (const write of [
      (log: Log) => log.info(text),
      (log: Log) => log.info({ text, list: [text] }, 'x'),
      (log: Log) => log.error({ err: error }, 'failed'),
      (log: Log) => log.error({ error }, 'failed'),
      (log: Log) => log.error(error),
      (log: Log) => log.error({ err: new AggregateError([error], text) }, 'failed'),
      (log: Log) => log.error({ nested: { err: error } }, 'failed'),
      (log: Log) => log.error({ err: text }, 'failed'),
    ])
      expect(logged(write)).not.toContain('hunter2');
    expect(entry((log) => log.error({ err: error }, 'failed'))).toMatchObject({
      err: {
        type: 'Error',
        message: expect.stringContaining('postgres://…@db:5432/x'),
        stack: expect.stringContaining('log.test'),
      },
    });
  });

  it('changes nothing of what it is given', () => {
    const given = Object.freeze({ headers: Object.freeze({ authorization: 'hunter2', host: 'h' }) });
    expect(entry((log) => log.info(given, 'x'))['headers']).toEqual({ authorization: '[hidden]', host: 'h' });
    expect(given.headers.authorization).toBe('hunter2');
  });

  it('survives circles', () => {
    const circle: Record<string, unknown> = { token: 'hunter2' };
    circle['self'] = circle;
    expect(logged((log) => log.info(circle, 'x'))).not.toContain('hunter2');
  });
});
