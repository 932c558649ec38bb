/** P24: what a chat file of 25 MiB costs in memory on its way into a workspace. It is passed on in pieces, and never held whole. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { median } from '../lib/compare.ts';
import { pssMegabytes } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import type { Cluster } from '../lib/system.ts';

const FILE_BYTES = 25 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'x');
const TIMES = 10;
/** The first ones show what code and pools cost, not what a file does. */
const WARM_UPS = 10;
const LOOK_EVERY_MS = 4;
const READY_LIMIT_MS = 30_000;
const BOUNDARY = 'molecule-bench';

export async function fileFigures(cluster: Cluster): Promise<Figure[]> {
  const workspaceId = await runningAgent(cluster.url());
  for (let time = 0; time < WARM_UPS; time++) await upload(cluster.url(), workspaceId);

  const grown: Record<string, number[]> = { 'gateway-0': [], 'provisioner-0': [] };
  for (let time = 0; time < TIMES; time++) {
    const uploading = upload(cluster.url(), workspaceId);
    const growths = Object.entries(grown).map(async ([name, all]) => all.push(await growth(cluster.pid(name), uploading)));
    await Promise.all(growths);
  }
  const of = (name: string) => median(grown[name] ?? []);
  return [
    {
      id: 'P24',
      what: 'memory (PSS) that gateway and provisioner grow by, together, while 25 MiB are uploaded',
      value: of('gateway-0') + of('provisioner-0'),
      unit: 'MB',
      pass: 18,
      stretch: 8,
      better: 'lower',
      behind: `gateway ${short(of('gateway-0'))} MB, provisioner ${short(of('provisioner-0'))} MB; ${TIMES} files, one after the other`,
    },
  ];
}

/** A workspace whose agent runs here, as a process. */
async function runningAgent(url: string): Promise<string> {
  const made = await fetch(`${url}/workspaces`, { method: 'POST', body: JSON.stringify({ name: 'files', runtime: 'echo' }) });
  const { id } = (await made.json()) as { id: string };
  for (const deadline = Date.now() + READY_LIMIT_MS; Date.now() < deadline; await delay(50)) {
    const { status } = (await (await fetch(`${url}/workspaces/${id}`)).json()) as { status: string };
    if (status === 'online') return id;
  }
  throw new Error(`workspace ${id} did not come online`);
}

/** By how much the memory of a process exceeds, at its highest, what it was. */
async function growth(pid: number, during: Promise<void>): Promise<number> {
  const before = pssMegabytes(pid);
  let highest = before;
  let over = false;
  const ended = during.finally(() => {
    over = true;
  });
  while (!over) {
    highest = Math.max(highest, pssMegabytes(pid));
    await delay(LOOK_EVERY_MS);
  }
  await ended;
  return highest - before;
}

async function upload(url: string, workspaceId: string): Promise<void> {
  const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="large.bin"\r\n\r\n`;
  const tail = `\r\n--${BOUNDARY}--\r\n`;
  function* body() {
    yield Buffer.from(head);
    for (let sent = 0; sent < FILE_BYTES; sent += PIECE.length) yield PIECE;
    yield Buffer.from(tail);
  }
  const outgoing = request(`${url}/workspaces/${workspaceId}/chat/uploads`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': head.length + FILE_BYTES + tail.length,
    },
  });
  Readable.from(body()).pipe(outgoing);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const said = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`the file was not stored: ${answer.statusCode} ${said}`);
}
