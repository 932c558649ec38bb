/** Reads `STREAMS` streams of events at `URL` to their ends, in a process of its own; says how late the events were, in ms. */
import { Agent, request } from 'undici';

export interface StreamsReport {
  readonly p50: number;
  readonly p99: number;
  readonly events: number;
}

/** What is heard so soon after the start is warm-up. */
const WARM_MS = 1_500;
const SENT_AT = /"at":(\d+(?:\.\d+)?)/g;

const { URL = '', STREAMS, BODY } = process.env;
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
const now = () => performance.timeOrigin + performance.now();
const started = now();
const late: number[] = [];

async function read(): Promise<void> {
  const { statusCode, body } = await request(URL, { method: 'POST', body: BODY ?? '', dispatcher });
  if (statusCode !== 200) throw new Error(`${URL} answered ${statusCode}`);
  for await (const chunk of body) {
    const heardAt = now();
    for (const [, sentAt] of String(chunk).matchAll(SENT_AT))
      if (Number(sentAt) > started + WARM_MS) late.push(heardAt - Number(sentAt));
  }
}

await Promise.all(Array.from({ length: Number(STREAMS) }, read));
late.sort((a, b) => a - b);
const at = (share: number) => late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? Number.NaN;
process.send?.({ p50: at(0.5), p99: at(0.99), events: late.length } satisfies StreamsReport, () => process.exit(0));
