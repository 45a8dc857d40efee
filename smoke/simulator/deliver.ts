import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import type { Clock } from './clock.ts';
import type { Disturbance } from './fault-effects.ts';
import type { Frame, Reply } from './reply.ts';

/** How an answer ended. */
export type Delivery = {
  /** False when the status line was never sent. */
  started: boolean;
  /** The caller left or a fault ended the connection before the end. */
  aborted: boolean;
  /** Output tokens of the events that were sent whole; for other bodies, all or nothing. */
  tokensSent: number;
};

/** How often the clock is looked at while an event waits for its moment. */
const CLOCK_POLL_MS = 5;
/** A reset discards what the peer has not read yet; this long it may read. */
const READ_BEFORE_RESET_MS = 20;

/** Ends a delivery from within. */
class Ended extends Error {}

/**
 * Writes a reply, at its pace and with what a fault does to it. Never throws: a caller who leaves ends it.
 */
export async function deliver(
  response: ServerResponse,
  reply: Reply,
  disturbance: Disturbance | undefined,
  clock: Clock,
): Promise<Delivery> {
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort();
  });
  const writer = new BodyWriter(response, gone.signal, reply.pace?.splitBytes);
  const delivery: Delivery = { started: false, aborted: false, tokensSent: 0 };
  const strike = async (): Promise<void> => {
    await apply(disturbance, response, gone.signal);
  };
  try {
    await pause(reply.pace?.latencyMs, gone.signal);
    if (reply.payload.kind !== 'stream') await pause(reply.pace?.thinkMs, gone.signal);
    if (strikesAt(disturbance, 'before-headers')) await strike();
    response.writeHead(reply.status, { ...reply.headers, ...payloadHeaders(reply) });
    response.flushHeaders();
    delivery.started = true;
    if (strikesAt(disturbance, 'after-headers')) await strike();
    if (reply.payload.kind === 'stream') {
      await pause(reply.pace?.thinkMs, gone.signal);
      await writeFrames(reply, reply.payload.frames, disturbance, writer, clock, delivery, strike);
    } else {
      const bytes = payloadBytes(reply);
      if (strikesAt(disturbance, 'mid-body')) {
        await writer.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
        await writer.flush();
        await strike();
        await writer.write(bytes.subarray(Math.ceil(bytes.length / 2)));
      } else {
        await writer.write(bytes);
      }
      delivery.tokensSent = reply.usage?.completionTokens ?? 0;
    }
    await writer.flush();
    response.end();
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    delivery.aborted = true;
  }
  return delivery;
}

async function writeFrames(
  reply: Reply,
  frames: readonly Frame[],
  disturbance: Disturbance | undefined,
  writer: BodyWriter,
  clock: Clock,
  delivery: Delivery,
  strike: () => Promise<void>,
): Promise<void> {
  const struckAfter = strikesAt(disturbance, 'mid-body') ? disturbance?.afterEvents : undefined;
  const delayMs = reply.pace?.delayMs ?? 0;
  let outputs = 0;
  let struck = struckAfter === undefined;
  for (const frame of frames) {
    if (delayMs > 0 || frame.at !== undefined) await writer.flush();
    await pause(delayMs, writer.gone);
    await until(frame.at, clock, writer.gone);
    const bytes = Buffer.from(frame.text);
    if (!struck && frame.tokens > 0 && outputs === struckAfter) {
      struck = true;
      await writer.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      await writer.flush();
      await strike();
      await writer.write(bytes.subarray(Math.ceil(bytes.length / 2)));
    } else {
      await writer.write(bytes);
    }
    if (frame.tokens > 0) outputs += 1;
    delivery.tokensSent += frame.tokens;
  }
  if (!struck) {
    await writer.flush();
    await strike();
  }
}

function strikesAt(disturbance: Disturbance | undefined, at: string): boolean {
  if (disturbance === undefined) return false;
  return disturbance.kind === 'cut' ? at === 'mid-body' : disturbance.at === at;
}

/** Carries out the fault; returns only when the answer goes on. */
async function apply(
  disturbance: Disturbance | undefined,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  if (disturbance === undefined) return;
  const { socket } = response;
  switch (disturbance.kind) {
    case 'stall':
      if (disturbance.ms === undefined) await untilGone(gone);
      await pause(disturbance.ms, gone);
      return;
    case 'cut':
      // What was written in this turn reaches the socket only at its end.
      await nextTurn();
      socket?.destroySoon();
      throw new Ended();
    case 'reset':
      await pause(READ_BEFORE_RESET_MS, gone);
      // TLS sockets cannot be reset, only dropped.
      if (socket !== null && 'encrypted' in socket) socket.destroy();
      else socket?.resetAndDestroy();
      throw new Ended();
  }
}

function payloadHeaders(reply: Reply): Record<string, string> {
  switch (reply.payload.kind) {
    case 'json':
      return {
        'content-type': 'application/json',
        'content-length': String(payloadBytes(reply).length),
      };
    case 'text':
      return {
        'content-type': reply.payload.contentType,
        'content-length': String(payloadBytes(reply).length),
      };
    case 'empty':
      return { 'content-length': '0' };
    case 'stream':
      return {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, must-revalidate',
        'x-accel-buffering': 'no',
      };
  }
}

const bytesOf = new WeakMap<Reply, Buffer>();

function payloadBytes(reply: Reply): Buffer {
  const known = bytesOf.get(reply);
  if (known !== undefined) return known;
  const { payload } = reply;
  const text =
    payload.kind === 'json'
      ? JSON.stringify(payload.value)
      : payload.kind === 'text'
        ? payload.text
        : '';
  const bytes = Buffer.from(text);
  bytesOf.set(reply, bytes);
  return bytes;
}

/** Waits `ms` milliseconds of real time. @throws {Ended} when the caller leaves */
async function pause(ms: number | undefined, gone: AbortSignal): Promise<void> {
  if (gone.aborted) throw new Ended();
  if (ms === undefined || ms <= 0) return;
  try {
    await sleep(ms, undefined, { signal: gone });
  } catch {
    throw new Ended();
  }
}

/** Waits for a moment of the simulator's clock, which may be moved by hand. */
async function until(at: number | undefined, clock: Clock, gone: AbortSignal): Promise<void> {
  while (at !== undefined && clock.now() < at) await pause(CLOCK_POLL_MS, gone);
}

async function untilGone(gone: AbortSignal): Promise<never> {
  if (!gone.aborted) {
    await new Promise<void>((resolve) => {
      gone.addEventListener('abort', () => {
        resolve();
      });
    });
  }
  throw new Ended();
}

/** Writes bytes in pieces of a given size, cutting through and joining whatever it is given. */
class BodyWriter {
  readonly gone: AbortSignal;
  readonly #response: ServerResponse;
  readonly #pieceBytes: number | undefined;
  #held: Buffer = Buffer.alloc(0);

  constructor(response: ServerResponse, gone: AbortSignal, pieceBytes: number | undefined) {
    this.#response = response;
    this.gone = gone;
    this.#pieceBytes = pieceBytes;
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#pieceBytes === undefined) {
      await this.#send(bytes);
      return;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    let sent = 0;
    while (this.#held.length - sent >= this.#pieceBytes) {
      await this.#send(this.#held.subarray(sent, sent + this.#pieceBytes));
      sent += this.#pieceBytes;
      await nextTurn();
    }
    this.#held = this.#held.subarray(sent);
  }

  /** Sends what is held back for a full piece. */
  async flush(): Promise<void> {
    if (this.#held.length === 0) return;
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    await this.#send(rest);
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.gone.aborted) throw new Ended();
    if (bytes.length === 0 || this.#response.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#response.off('drain', done);
        this.gone.removeEventListener('abort', done);
        resolve();
      };
      this.#response.once('drain', done);
      this.gone.addEventListener('abort', done);
    });
  }
}
