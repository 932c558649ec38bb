/** The agent behind P6: answers every call with `SECONDS` of events, `RATE` a second, each saying when it was sent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const everyMs = 1_000 / Number(process.env['RATE']);
const events = Number(process.env['SECONDS']) * Number(process.env['RATE']);
/** About 256 bytes as an event, a piece of text as models write it. */
const PADDING = 'x'.repeat(60);

const server = createServer((req, res) => {
  req.resume().on('end', () => {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    let said = 0;
    const say = () => {
      const parts = [{ kind: 'text', text: PADDING }];
      const artifact = { artifactId: 'a', parts, metadata: { at: performance.timeOrigin + performance.now() } };
      const result = { kind: 'artifact-update', taskId: 't', contextId: 'c', artifact, append: said > 0 };
      res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}\n\n`);
      if (++said < events) return;
      clearInterval(saying);
      res.end();
    };
    let saying: NodeJS.Timeout;
    // Streams do not speak in step.
    setTimeout(() => (saying = setInterval(say, everyMs)), Math.random() * everyMs);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
