// Runs in a process of its own: the stall it looks for shows only while the event loop has nothing else to do.
import { setTimeout as pause } from 'node:timers/promises';
import { createTransport } from '../../src/upstream/transport.ts';

const [origin = '', count = '0'] = process.argv.slice(2);
const transport = createTransport({ keepAliveMs: 60_000, connectTimeoutMs: 5000 });
const stallMs = 250;
let stalls = 0;

for (let at = 0; at < Number(count); at += 1) {
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    transport.dispatch(
      origin,
      {
        method: 'POST',
        path: '/',
        headers: [],
        body: Buffer.from('{}'),
        headersTimeoutMs: 10_000,
        bodyTimeoutMs: 10_000,
      },
      {
        onHeaders() {},
        onData() {},
        onEnd: resolve,
        onError: (error) => reject(new Error(error.kind, { cause: error.cause })),
      },
    );
  });
  if (performance.now() - startedAt > stallMs) stalls += 1;
  await pause(10);
}

process.stdout.write(JSON.stringify({ stalls, opened: transport.stats()[origin]?.opened }));
await transport.close();
