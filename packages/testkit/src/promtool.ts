/** What Prometheus itself says of an exposition: `promtool check metrics` (Debian package `prometheus`). */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { Missing } from './servers.ts';

/** What it finds wrong or bad in a text; `''`: nothing. */
export type Promtool = (exposition: string) => Promise<string>;

/** @throws Missing */
export async function findPromtool(): Promise<Promtool> {
  await run(['--version'], '').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Missing('promtool is needed for this test: apt-get install prometheus') : error;
  });
  return async (exposition) => {
    const { code, said } = await run(['check', 'metrics'], exposition);
    return code === 0 ? '' : said || `promtool ended with ${code}`;
  };
}

async function run(args: readonly string[], input: string): Promise<{ code: number | null; said: string }> {
  const child = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  child.stdin.on('error', () => undefined).end(input);
  const [code, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, said: `${out}${err}`.trim() };
}
