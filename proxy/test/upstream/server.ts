import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export type TestServer = {
  server: Server;
  port: number;
  /** `http://127.0.0.1:{port}` */
  origin: string;
  /** Connections accepted so far. */
  connections(): number;
  close(): Promise<void>;
};

/** A server on a free port of the loopback address. */
export async function startServer(
  listener: RequestListener,
  tls?: { key: string; cert: string },
): Promise<TestServer> {
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.keepAliveTimeout = 60_000;
  let accepted = 0;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    server,
    port,
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    connections: () => accepted,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      // Also those that CONNECT took over, which the server no longer counts.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
