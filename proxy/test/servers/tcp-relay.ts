import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between a client and a server on 127.0.0.1, and can be told to fail. */
export type TcpRelay = {
  /** What clients connect to. */
  readonly port: number;
  /** Connections that were taken in so far. */
  readonly connections: number;
  /** Ends all connections; further ones go to this port. */
  turnTo(port: number): void;
  /** Ends all connections, and further ones at once, until {@link mend}. */
  cut(): void;
  /** Takes everything in and passes nothing on, either way, until {@link mend}. */
  stall(): void;
  /** Passes everything on so much later, each way; 0 = at once. */
  delay(ms: number): void;
  /** Passes on again what comes from now on, and what was held back by {@link stall}. */
  mend(): void;
  close(): Promise<void>;
};

/** Starts a relay to a port of 127.0.0.1. */
export async function startRelay(target: number): Promise<TcpRelay> {
  const pairs = new Set<Pair>();
  let port = target;
  let connections = 0;
  let isCut = false;
  let isStalled = false;
  let delayMs = 0;

  const server = createServer((client) => {
    connections += 1;
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    const pair = new Pair(client, upstream, () => (isStalled ? undefined : delayMs));
    pairs.add(pair);
    pair.onEnd = () => pairs.delete(pair);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const endAll = (): void => {
    for (const pair of pairs) pair.end();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    turnTo(next) {
      port = next;
      endAll();
    },
    cut() {
      isCut = true;
      endAll();
    },
    stall() {
      isStalled = true;
    },
    delay(ms) {
      delayMs = ms;
    },
    mend() {
      isCut = false;
      isStalled = false;
      for (const pair of pairs) pair.release();
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      endAll();
      await closed;
    },
  };
}

/** One connection of a client, with that to the server behind it. */
class Pair {
  onEnd: () => void = () => undefined;
  readonly #sockets: readonly Socket[];
  readonly #held: (() => void)[] = [];
  #isOver = false;

  /** @param wait - how long to hold back what has just come; undefined = until it is released */
  constructor(client: Socket, server: Socket, wait: () => number | undefined) {
    this.#sockets = [client, server];
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk: Buffer) => this.#pass(() => to.write(chunk), wait()));
      from.on('error', () => this.end());
      from.on('close', () => this.end());
    }
  }

  release(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
    this.onEnd();
  }

  #pass(write: () => void, waitMs: number | undefined): void {
    const pass = (): void => {
      if (!this.#isOver) write();
    };
    if (waitMs === undefined || this.#held.length > 0) this.#held.push(pass);
    else if (waitMs === 0) pass();
    else setTimeout(pass, waitMs);
  }
}
