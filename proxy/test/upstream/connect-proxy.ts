import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { startServer, type TestServer } from './server.ts';

export type ConnectProxy = {
  readonly server: TestServer;
  /** What it was asked to connect to, and with which credentials. */
  readonly seen: { target: string | undefined; authorization: string | undefined }[];
};

/**
 * A CONNECT proxy that finds every host on the loopback address.
 *
 * @param answer - to each CONNECT; empty = none
 */
export async function startConnectProxy(answer = 'HTTP/1.1 200 OK\r\n\r\n'): Promise<ConnectProxy> {
  const seen: ConnectProxy['seen'] = [];
  const server = await startServer((_, response) => response.writeHead(500).end());
  server.server.on('connect', (request: IncomingMessage, socket: Socket) => {
    seen.push({ target: request.url, authorization: request.headers['proxy-authorization'] });
    socket.on('error', () => {});
    if (answer === '') return void socket.resume().on('end', () => socket.end());
    socket.write(answer);
    if (!answer.startsWith('HTTP/1.1 200')) return void socket.end();
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1');
    upstream.on('error', () => socket.destroy());
    upstream.pipe(socket).pipe(upstream);
    socket.on('close', () => upstream.destroy());
  });
  return { server, seen };
}
