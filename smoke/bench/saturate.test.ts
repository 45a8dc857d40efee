import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { shot } from './connection.ts';
import { openLoop } from './open-loop.ts';
import { saturate } from './saturate.ts';

let server: Server;
afterEach(
  () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
);

async function listen(handler: RequestListener): Promise<number> {
  server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The `goOn` of a loop of so many calls. */
function times(calls: number): () => boolean {
  let left = calls;
  return () => left-- > 0;
}

describe('closed-loop load', () => {
  it('counts exactly the calls that the target answered', async () => {
    let served = 0;
    const port = await listen((request, response) => {
      request.resume().on('end', () => {
        served += 1;
        response.statusCode = served % 4 === 0 ? 429 : 200;
        response.end('{}');
      });
    });
    const endings = await saturate(shot(port, '/x', '{}', {}), 3, times(40));
    expect(endings).toEqual({ ok: 30, refused: 10, broken: 0, late: 0, cut: 0 });
    expect(served).toBe(40);
  });

  it('goes on over a new connection where the target hung up', async () => {
    let served = 0;
    const port = await listen((request, response) => {
      request.resume().on('end', () => {
        served += 1;
        if (served === 2) response.destroy();
        else response.end('{}');
      });
    });
    const endings = await saturate(shot(port, '/x', '{}', {}), 1, times(4));
    expect(endings).toMatchObject({ ok: 3, broken: 1 });
  });

  it('hangs up in the middle of the answers it was told to cut', async () => {
    let aborted = 0;
    const port = await listen((request, response) => {
      response.on('close', () => (aborted += response.writableFinished ? 0 : 1));
      request.resume().on('end', () => {
        response.write('x'.repeat(1000));
        // Only an answer that is let be comes to its end.
        if (request.headers['user-agent'] && served++ % 2 === 1) response.end();
      });
    });
    let served = 0;
    const cut = (call: number): number | undefined => (call % 2 === 0 ? 500 : undefined);
    const endings = await saturate(shot(port, '/x', '{}', {}), 1, times(6), cut);
    expect(endings).toMatchObject({ ok: 3, cut: 3 });
    await expect.poll(() => aborted).toBe(3);
  });
});

describe('open-loop load', () => {
  it('sends every call although none is answered, and gives each up at its deadline', async () => {
    const port = await listen(() => {});
    const options = { perSecond: 200, seconds: 0.1, deadlineMs: 50 };
    const { latencies, endings } = await openLoop(shot(port, '/x', '{}', {}), options);
    expect(endings).toMatchObject({ ok: 0, late: 20 });
    expect(latencies).toEqual(Array.from({ length: 20 }, () => 50));
  });
});
