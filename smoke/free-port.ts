import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Below what systems hand out by themselves (Linux from 32768, gVisor from 16000, macOS and Windows from 49152), so that no connection
 * or server that asks for any port gets one of these. The bus of a Redis cluster listens 10,000 above its port, which is none of them.
 */
const ports = { first: 10_240, blocks: 90, inBlock: 64 };

/** Where the ports of this process begin. */
let block: Promise<number> | undefined;
let given = 0;

/**
 * A port of 127.0.0.1 that nobody listens on, and that no other process is given while this one lives.
 *
 * @throws {Error} where every block of ports belongs to a process already, or every port of this one's is taken
 */
export async function freePort(): Promise<number> {
  const first = await (block ??= claimBlock());
  for (let tries = 1; tries < ports.inBlock; tries += 1) {
    given += 1;
    const port = first + 1 + (given % (ports.inBlock - 1));
    const server = await listenOn(port);
    if (server === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error(`no port is free from ${first} on`);
}

/** A block belongs to the process that listens on its first port, which ends with the process. */
async function claimBlock(): Promise<number> {
  for (let at = 0; at < ports.blocks; at += 1) {
    const first = ports.first + ((process.pid + at) % ports.blocks) * ports.inBlock;
    const server = await listenOn(first);
    if (server === undefined) continue;
    server.unref();
    return first;
  }
  throw new Error('every block of ports belongs to another process');
}

function listenOn(port: number): Promise<Server | undefined> {
  const { promise, resolve } = Promise.withResolvers<Server | undefined>();
  const server = createServer((socket) => socket.destroy());
  server.once('error', () => resolve(undefined));
  server.listen(port, '127.0.0.1', () => resolve(server));
  return promise;
}
