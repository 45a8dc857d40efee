/**
 * The reference every figure is a ratio to: node:http in, undici out, nothing between. What remains of a gateway's cost above it
 * is the gateway's own. Runs as a process of its own: `node pass-through.ts PORT UPSTREAM_PORT`.
 */
import { createServer, type ServerResponse } from 'node:http';
import { Pool, type Dispatcher } from 'undici';

const [port, upstreamPort] = process.argv.slice(2);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, {
  connections: null,
  pipelining: 1,
  allowH2: false,
  keepAliveTimeout: 60_000,
  keepAliveMaxTimeout: 60_000,
});

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('client gone'));
    });
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    const { connection: _connection, 'transfer-encoding': _encoding, ...kept } = headers;
    this.#response.writeHead(status, kept);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, _error: Error): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502, { 'content-length': 0 }).end();
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [only = Buffer.alloc(0)] = chunks;
    const body = chunks.length > 1 ? Buffer.concat(chunks) : only;
    const { authorization, 'content-type': type } = request.headers;
    const headers = {
      'content-type': type ?? 'application/json',
      ...(authorization ? { authorization } : {}),
    };
    const path = request.url ?? '/';
    pool.dispatch(
      { path, method: (request.method ?? 'GET') as Dispatcher.HttpMethod, headers, body },
      new Relay(response),
    );
  });
});
server.keepAliveTimeout = 120_000;
server.listen(Number(port), '127.0.0.1');
process.stdin.resume().on('end', () => process.exit(0));
