import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { WorkspaceId } from '@molecule/contracts';
import { type Basics, createBasics, Scope } from '@molecule/service';
import { testLog, waitFor } from '@molecule/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { textOf } from '../backends/agent-path.ts';
import { NoBackend } from '../backends/no-backend.ts';
import { ProcessBackend } from '../backends/process/process-backend.ts';
import { Spool } from '../spool.ts';
import type { ChatParts } from './routes.ts';
import { Slots } from './slots.ts';
import { asForm, BOUNDARY, type Door, form, openDoor, ScriptedBackend } from './testing.ts';

const MIB = 1024 * 1024;
const id = randomUUID();
const uploads = `/workspaces/${id}/chat/uploads`;
const download = (path: string) => `/workspaces/${id}/chat/download?path=${encodeURIComponent(path)}`;
const post = (body: Buffer | Readable, headers: Readonly<Record<string, string>> = asForm) => ({ method: 'POST', headers, body });

interface Change {
  readonly backend?: ChatParts['uploads']['backend'];
  readonly silenceMs?: number;
  readonly atOnce?: number;
}

describe.each<Door>(['in one process', 'through a gateway'])('chat files, %s', (kind) => {
  const log = testLog();
  let scope: Scope;
  let backend: ScriptedBackend;
  let metrics: Basics['metrics'];
  let spoolDirectory: string;
  beforeEach(async () => {
    scope = new Scope();
    backend = new ScriptedBackend();
    spoolDirectory = await mkdtemp(join(tmpdir(), 'chat-spool-'));
  });
  afterEach(async () => {
    await scope.close();
    await rm(spoolDirectory, { recursive: true });
  });

  const open = async ({ backend: given = backend, silenceMs = 20_000, atOnce = 4 }: Change = {}) => {
    ({ metrics } = createBasics('provisioner', { level: 'silent', log }));
    const common = { backend: given, silenceMs };
    return await openDoor(
      kind,
      {
        uploads: {
          ...common,
          spool: await Spool.open(spoolDirectory),
          limits: { bodyBytes: 50 * MIB, fileBytes: 25 * MIB, silenceMs },
          copyMs: 20_000,
          slots: new Slots('upload', atOnce, metrics),
        },
        downloads: { ...common, startMs: 20_000, slots: new Slots('download', atOnce, metrics) },
      },
      log,
      scope,
    );
  };
  const running = async (transfer: 'upload' | 'download') =>
    Number(/ (\d+)$/m.exec(await metrics.getSingleMetricAsString(`molecule_chat_${transfer}s_running`))?.[1]);
  const ended = (transfer: 'upload' | 'download') => waitFor(async () => (await running(transfer)) === 0, { what: 'its end' });
  /** How many files of the spool this process holds open. */
  const spooled = async () => {
    const descriptors = await readdir('/proc/self/fd');
    const targets = await Promise.all(descriptors.map((one) => readlink(`/proc/self/fd/${one}`).catch(() => '')));
    return targets.filter((target) => target.startsWith(spoolDirectory)).length;
  };

  describe('an upload', () => {
    it('answers with the files, in their order, and stores them under names of their own', async () => {
      const { ask } = await open();
      const body = form(
        { filename: 'my file.pdf', type: 'Application/PDF; x=y', content: 'one' },
        { name: 'other', filename: 'ignored.txt' },
        { name: 'files', content: 'a field is no file' },
        { filename: '../../etc/passwd', content: '' },
        { filename: 'note.md', content: Buffer.from([0, 255, 13, 10]) },
      );
      const { status, headers, body: answer } = await ask(uploads, post(body));
      const { files } = JSON.parse(answer.toString()) as { files: { uri: string }[] };
      const uriOf = (at: number) => files[at]?.uri ?? '';
      const uri = (name: string) =>
        expect.stringMatching(new RegExp(`^workspace:/workspace/\\.molecule/chat-uploads/[0-9a-f]{32}-${name}$`));
      expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
      expect(files).toEqual([
        { uri: uri('my_file.pdf'), name: 'my_file.pdf', mimeType: 'Application/PDF; x=y', size: 3 },
        { uri: uri('passwd'), name: 'passwd', size: 0 },
        { uri: uri('note.md'), name: 'note.md', mimeType: 'text/markdown; charset=utf-8', size: 4 },
      ]);
      expect(answer.toString()).toBe(JSON.stringify({ files }));
      expect(backend.written.map(({ path, mode, pieces }) => [`workspace:${textOf(path)}`, mode, Buffer.concat(pieces)])).toEqual(
        [
          [uriOf(0), 0o644, Buffer.from('one')],
          [uriOf(1), 0o644, Buffer.alloc(0)],
          [uriOf(2), 0o644, Buffer.from([0, 255, 13, 10])],
        ],
      );
    });

    it('is passed on in pieces, up to the last byte that is allowed', async () => {
      const { ask } = await open();
      const content = randomBytes(25 * MIB);
      const { status, body } = await ask(uploads, post(form({ filename: 'large.bin', content })));
      expect([status, JSON.parse(body.toString())]).toMatchObject([200, { files: [{ size: 25 * MIB }] }]);
      const pieces = backend.written[0]?.pieces ?? [];
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
      expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024);
    });

    it.each<[string, number, string, Buffer, Readonly<Record<string, string>>?]>([
      ['no form', 400, '{"error":"failed to parse multipart form"}', Buffer.from('{}'), { 'content-type': 'application/json' }],
      ['nothing', 400, '{"error":"failed to parse multipart form"}', Buffer.alloc(0)],
      ['no boundary', 400, '{"error":"failed to parse multipart form"}', form(), { 'content-type': 'multipart/form-data' }],
      ['half a form', 400, '{"error":"failed to parse multipart form"}', form({ filename: 'a' }).subarray(0, -20)],
      ['10,000 parts', 400, '{"error":"failed to parse multipart form"}', form(...Array(10_000).fill({ filename: 'a' }))],
      [
        'a huge head',
        400,
        '{"error":"failed to parse multipart form"}',
        form({ filename: 'a', headers: `X: ${'x'.repeat(100_000)}\r\n` }),
      ],
      [
        '50 MiB and more',
        400,
        '{"error":"failed to parse multipart form"}',
        form({ filename: 'a', content: Buffer.alloc(50 * MIB) }),
      ],
      ['no parts', 400, `{"error":"expected at least one 'files' field"}`, form()],
      ['no part of that name', 400, `{"error":"expected at least one 'files' field"}`, form({ name: 'file', filename: 'a' })],
      ['no file chosen', 400, `{"error":"expected at least one 'files' field"}`, form({ filename: '', content: '' })],
      [
        'a file that is too large',
        413,
        '{"error":"my file.bin exceeds per-file limit (25 MB)"}',
        form({ filename: 'ok', content: 'ok' }, { filename: 'my file.bin', content: Buffer.alloc(25 * MIB + 1) }),
      ],
      [
        'a file that says it is too large',
        413,
        '{"error":"a exceeds per-file limit (25 MB)"}',
        form({ filename: 'a', headers: `Content-Length: ${25 * MIB + 1}\r\n` }),
      ],
      [
        'a file that is encoded as in a mail',
        400,
        '{"error":"failed to read upload"}',
        form({ filename: 'a', headers: 'Content-Transfer-Encoding: base64\r\n' }),
      ],
    ])('with %s is refused, and stores nothing', async (_, status, text, body, headers = asForm) => {
      const { ask } = await open();
      const answer = await ask(uploads, post(body, headers));
      expect([answer.status, answer.body.toString()]).toEqual([status, text]);
      expect(backend.written).toEqual([]);
      expect(await spooled()).toBe(0);
    });

    it.each(['says', 'does not say'])('that is too large, and %s so, hears why', async (what) => {
      const { ask } = await open();
      const start = form({ filename: 'a' }).subarray(0, -26);
      const endless = Readable.from(
        (function* () {
          yield start;
          for (let sent = 0; sent < 60; sent++) yield Buffer.alloc(MIB);
        })(),
      );
      const length = { 'content-length': `${start.length + 60 * MIB}` };
      const { status, body } = await ask(uploads, post(endless, { ...asForm, ...(what === 'says' && length) }));
      expect([status, body.toString()]).toEqual([400, '{"error":"failed to parse multipart form"}']);
      expect(backend.written).toEqual([]);
    });

    it('judges the body first, then the workspace, then the files', async () => {
      backend.running = { running: false, certain: true };
      const { ask } = await open();
      const answers = [
        await ask('/workspaces/x/chat/uploads', post(Buffer.from('no form'))),
        await ask(uploads, post(Buffer.from('no form'))),
        await ask(uploads, post(form())),
        await ask(uploads, post(form({ filename: 'a', headers: `Content-Length: ${26 * MIB}\r\n` }))),
      ];
      expect(answers.map(({ status, body }) => [status, body.toString()])).toEqual([
        [400, '{"error":"invalid workspace ID"}'],
        [400, '{"error":"failed to parse multipart form"}'],
        [400, `{"error":"expected at least one 'files' field"}`],
        [503, '{"error":"workspace container not running"}'],
      ]);
    });

    it.each([
      [{ outcome: 'not-running' }, 503, '{"error":"workspace container not running"}'],
      [{ outcome: 'unavailable', cause: new Error('secret') }, 503, '{"error":"workspace container not running"}'],
      [{ outcome: 'failed', cause: new Error('secret') }, 500, '{"error":"failed to stage files in workspace"}'],
    ] as const)('says what became of it when the backend says %j', async (outcome, status, text) => {
      backend.onCopyIn = outcome;
      const { ask } = await open();
      const answer = await ask(uploads, post(form({ filename: 'a' })));
      expect([answer.status, answer.body.toString()]).toEqual([status, text]);
      expect(await spooled()).toBe(0);
    });

    it('finds nothing running where there is no backend', async () => {
      const { ask } = await open({ backend: new NoBackend() });
      const { status, body } = await ask(uploads, post(form({ filename: 'a' })));
      expect([status, body.toString()]).toEqual([503, '{"error":"workspace container not running"}']);
    });

    it('leaves nothing behind when the client goes away', async () => {
      const { start } = await open();
      const outgoing = start(uploads, post(Buffer.alloc(0))).on('error', () => {});
      outgoing.write(form({ filename: 'a', content: Buffer.alloc(MIB) }).subarray(0, MIB));
      await waitFor(async () => (await spooled()) === 1, { what: 'the file to be spooled' });
      outgoing.destroy();
      await ended('upload');
      expect(await spooled()).toBe(0);
      expect(backend.written).toEqual([]);
    });

    it('is given up when the client says nothing for too long', async () => {
      const { start } = await open({ silenceMs: 50 });
      const outgoing = start(uploads, post(Buffer.alloc(0))).on('error', () => {});
      outgoing.write(`--${BOUNDARY}\r\n`);
      const [incoming] = await once(outgoing, 'response');
      expect((incoming as { statusCode: number }).statusCode).toBe(400);
      await ended('upload');
      outgoing.destroy();
    });

    it('waits in no line: who comes when all slots are taken is told to come again', async () => {
      const { start, ask } = await open({ atOnce: 1 });
      const first = start(uploads, post(Buffer.alloc(0))).on('error', () => {});
      first.write(`--${BOUNDARY}\r\n`);
      await waitFor(async () => (await running('upload')) === 1, { what: 'the first to be taken' });
      const { status, headers, body } = await ask(uploads, post(form({ filename: 'a' })));
      expect([status, headers['retry-after'], body.toString()]).toEqual([
        503,
        '5',
        '{"error":"too many file transfers — retry shortly","code":"transfers_busy"}',
      ]);
      first.destroy();
      await ended('upload');
      expect((await ask(uploads, post(form({ filename: 'a' })))).status).toBe(200);
    });

    it('of somebody who may not is refused, however much it is', async () => {
      const { ask } = await open();
      const body = form({ filename: 'a', content: Buffer.alloc(20 * MIB) });
      const answer = await ask(uploads, { ...post(body), as: { kind: 'workspace', workspaceId: randomUUID(), tokenId: 't' } });
      expect([answer.status, answer.body.toString()]).toEqual([401, '{"error":"invalid workspace auth token"}']);
      expect(
        await ask(uploads, { ...post(form({ filename: 'a' })), as: { kind: 'workspace', workspaceId: id, tokenId: 't' } }),
      ).toMatchObject({
        status: 200,
      });
    });
  });

  describe('a download', () => {
    it.each([
      ['a.txt', 'text/plain; charset=utf-8', `attachment; filename="a.txt"; filename*=UTF-8''a.txt`],
      [
        'say "hi".unknown',
        'application/octet-stream',
        `attachment; filename="say \\"hi\\".unknown"; filename*=UTF-8''say%20%22hi%22.unknown`,
      ],
      [
        'naïve 日本.pdf',
        'application/pdf',
        `attachment; filename="naïve 日本.pdf"; filename*=UTF-8''na%C3%AFve%20%E6%97%A5%E6%9C%AC.pdf`,
      ],
    ])('of %s says what it is', async (name, type, disposition) => {
      backend.onCopyOut = () => ({
        outcome: 'file',
        size: 4,
        content: Readable.from([Buffer.from([0, 1]), Buffer.from([254, 255])]),
      });
      const { ask } = await open();
      const { status, headers, body } = await ask(download(`/workspace/${name}`));
      expect([status, headers['content-type'], headers['content-length']]).toEqual([200, type, '4']);
      expect(Buffer.from(String(headers['content-disposition']), 'latin1').toString()).toBe(disposition);
      expect([...body]).toEqual([0, 1, 254, 255]);
    });

    it.each([
      ['/workspaces/x/chat/download', '{"error":"invalid workspace ID"}'],
      [`/workspaces/${id}/chat/download`, '{"error":"path query required"}'],
      [download(''), '{"error":"path query required"}'],
      [download('a.txt'), '{"error":"path must be absolute"}'],
      [download('/etc/passwd'), '{"error":"path must be under /configs, /workspace, /home, or /plugins"}'],
      [download('/workspace/../etc/passwd'), '{"error":"invalid path"}'],
      [download('/workspace//a'), '{"error":"invalid path"}'],
      [download('/workspace/a/'), '{"error":"invalid path"}'],
      [download('/workspace/a\0'), '{"error":"invalid path"}'],
    ])('of %s is refused', async (path, text) => {
      const { ask } = await open({ backend: new NoBackend() });
      const { status, body } = await ask(path);
      expect([status, body.toString()]).toEqual([400, text]);
    });

    it.each([
      [{ outcome: 'unavailable', cause: new Error('secret') }, 503, '{"error":"docker unavailable"}'],
      [{ outcome: 'not-running' }, 503, '{"error":"workspace container not running"}'],
      [{ outcome: 'not-found' }, 404, '{"error":"file not found"}'],
      [{ outcome: 'failed', cause: new Error('secret') }, 500, '{"error":"failed to read archive"}'],
      [{ outcome: 'not-a-file' }, 400, '{"error":"path is not a regular file"}'],
    ] as const)('says why there is none when the backend says %j', async (outcome, status, text) => {
      backend.onCopyOut = () => outcome;
      const { ask } = await open();
      const answer = await ask(download('/workspace/a'));
      expect([answer.status, answer.body.toString()]).toEqual([status, text]);
    });

    it('that breaks off never looks like a whole file', async () => {
      const content = async function* () {
        yield Buffer.alloc(10);
        throw new Error('the engine is gone');
      };
      backend.onCopyOut = () => ({ outcome: 'file', size: 20, content: Readable.from(content()) });
      const { ask } = await open();
      await expect(ask(download('/workspace/a'))).rejects.toThrow('aborted');
      await ended('download');
    });

    it('ends with the client, and what it was read from with it', async () => {
      const content = new Readable({ read: () => {} });
      content.push(Buffer.alloc(1_000));
      let told: AbortSignal | undefined;
      backend.onCopyOut = (signal) => {
        told = signal;
        return { outcome: 'file', size: 10_000, content };
      };
      const { start } = await open();
      const outgoing = start(download('/workspace/a'), {}).on('error', () => {});
      outgoing.end();
      await once(outgoing, 'response');
      outgoing.destroy();
      await ended('download');
      expect([content.destroyed, told?.aborted]).toEqual([true, true]);
    });

    it('is given up when the client takes nothing for too long', async () => {
      const content = Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(65_536);
        })(),
      );
      backend.onCopyOut = () => ({ outcome: 'file', size: 1024 * MIB, content });
      const { start } = await open({ silenceMs: 100 });
      const outgoing = start(download('/workspace/a'), {}).on('error', () => {});
      outgoing.end();
      const [incoming] = await once(outgoing, 'response');
      (incoming as Readable).on('error', () => {}).pause();
      await ended('download');
      expect(content.destroyed).toBe(true);
      outgoing.destroy();
    });

    it('is for whom the workspace is', async () => {
      const { ask } = await open();
      const as = { kind: 'workspace', workspaceId: randomUUID(), tokenId: 't' } as const;
      const { status, body } = await ask(download('/workspace/a'), { as });
      expect([status, body.toString()]).toEqual([401, '{"error":"invalid workspace auth token"}']);
    });
  });
});

describe('chat files of an agent that is a process', () => {
  const log = testLog();
  const scope = new Scope();
  const workspaceId = WorkspaceId.parse(randomUUID());
  let home: string;
  let door: Awaited<ReturnType<typeof openDoor>>;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'chat-'));
    const backend = await scope.open(
      () =>
        ProcessBackend.open({
          root: home,
          installation: randomUUID(),
          platformUrl: async () => 'http://127.0.0.1:1',
          agentEnv: {},
          ownEnv: { PATH: process.env['PATH'] },
          stopOnShutdown: true,
          log,
        }),
      (open) => open.shutdown(),
    );
    const seed = [{ path: 'config.yaml', data: Buffer.from('name: Ada\nruntime: echo\n'), mode: 0o644 }];
    const spec = { workspaceId, runtime: 'echo', tier: 2, env: {}, seed, files: [], resetSession: false, mount: null };
    expect(await backend.start(spec, new AbortController().signal)).toMatchObject({ outcome: 'started' });
    const { metrics } = createBasics('provisioner', { level: 'silent', log });
    const limits = { bodyBytes: 50 * MIB, fileBytes: 25 * MIB, silenceMs: 20_000 };
    const spool = await Spool.open(join(home, 'spool'));
    door = await openDoor(
      'in one process',
      {
        uploads: { backend, spool, limits, copyMs: 20_000, slots: new Slots('upload', 4, metrics) },
        downloads: { backend, startMs: 20_000, silenceMs: 20_000, slots: new Slots('download', 4, metrics) },
      },
      log,
      scope,
    );
  });
  afterAll(async () => {
    await scope.close();
    await rm(home, { recursive: true });
  });
  const workspace = () => join(home, workspaceId.slice(0, 12), 'workspace');
  const at = (path: string) => `/workspaces/${workspaceId}/chat/${path}`;

  it('are where it finds them, and come back as they went', async () => {
    const content = randomBytes(MIB);
    const stored = await door.ask(at('uploads'), post(form({ filename: 'naïve.bin', content })));
    const [{ uri }] = (JSON.parse(stored.body.toString()) as { files: [{ uri: string }] }).files;
    const path = uri.replace(/^workspace:/, '');
    const file = join(workspace(), path.replace(/^\/workspace\//, ''));
    expect((await readFile(file)).equals(content)).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    const { status, body } = await door.ask(at(`download?path=${encodeURIComponent(path)}`));
    expect([status, body.equals(content)]).toEqual([200, true]);
  });

  it('never leave its workspace, whatever it made of the directory they go to', async () => {
    const outside = join(home, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    await rm(join(workspace(), '.molecule'), { recursive: true, force: true });
    await symlink(outside, join(workspace(), '.molecule'));
    const { status, body } = await door.ask(at('uploads'), post(form({ filename: 'a', content: 'a' })));
    expect([status, body.toString()]).toEqual([500, '{"error":"failed to stage files in workspace"}']);
    expect(await readdir(outside)).toEqual(['secret']);
    const answers = [
      await door.ask(at('download?path=/workspace/.molecule/secret')),
      await door.ask(at('download?path=/workspace/.molecule')),
    ];
    expect(answers.map((one) => [one.status, one.body.toString()])).toEqual([
      [404, '{"error":"file not found"}'],
      [400, '{"error":"path is not a regular file"}'],
    ]);
  });
});
