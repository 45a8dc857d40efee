import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Certificates } from './certificates.ts';

export type TlsFront = { /** `host:port` */ readonly host: string; close(): Promise<void> };

/** TLS in front of a plain server, for clients that speak nothing else. */
export async function startTlsFront(
  { key, cert }: Certificates,
  target: string,
): Promise<TlsFront> {
  const port = Number(new URL(target).port);
  const sockets = new Set<Socket>();
  const server = createServer({ key, cert }, (socket) => {
    const behind = connect(port, '127.0.0.1');
    for (const one of [socket, behind]) {
      sockets.add(one);
      one.on('error', () => one.destroy()).on('close', () => sockets.delete(one));
    }
    socket.pipe(behind).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
