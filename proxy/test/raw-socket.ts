import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A TCP connection whose bytes the test writes itself. */
export type RawSocket = {
  socket: Socket;
  write(text: string | Buffer): void;
  /** Everything received so far. */
  received(): string;
  /** Resolves with everything received once the text is among it, or fails when the connection ends before. */
  until(text: string): Promise<string>;
  /** Resolves with everything received once the connection has ended. */
  closed(): Promise<string>;
  destroy(): void;
};

export async function rawSocket(url: string): Promise<RawSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  // A reset is an end like any other.
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    received: () => text,
    until: async (wanted) => {
      while (!text.includes(wanted)) {
        if (isClosed) throw new Error(`the connection ended before ${JSON.stringify(wanted)}`);
        await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      }
      return text;
    },
    closed: async () => {
      if (!isClosed) await once(socket, 'close');
      return text;
    },
    destroy: () => void socket.destroy(),
  };
}
