import { request } from 'node:http';

import type { JsonObject } from './json.ts';

/** What came back, for tests that look at bytes rather than through a client library. */
export type Exchange = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** The body as JSON; undefined when it is none. */
  body: JsonObject;
  /** Code of the error that ended the body early, e.g. `ECONNRESET`. */
  broken?: string;
};

/** A request of {@link exchange}. */
export type ExchangeOptions = {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Ends the request from the caller's side. */
  signal?: AbortSignal;
};

/**
 * One request over a connection of its own, with any headers, `Host` included.
 *
 * @throws the connection's error when it fails before the status line
 */
export async function exchange(url: string, options: ExchangeOptions = {}): Promise<Exchange> {
  const { json, headers = {}, signal } = options;
  const text = json === undefined ? undefined : JSON.stringify(json);
  return await new Promise<Exchange>((resolve, reject) => {
    const sent = request(url, {
      method: options.method ?? (text === undefined ? 'GET' : 'POST'),
      headers: text === undefined ? headers : { 'content-type': 'application/json', ...headers },
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    let answered = false;
    sent.on('error', (error) => {
      // Once there is a response, its own error event tells how it ended.
      if (!answered) reject(error);
    });
    sent.on('response', (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      const finish = (broken?: string): void => {
        const received = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: received,
          body: parsed(received),
          ...(broken === undefined ? {} : { broken }),
        });
      };
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        finish();
      });
      response.on('error', (error: NodeJS.ErrnoException) => {
        finish(error.code ?? error.message);
      });
    });
    sent.end(text);
  });
}

function parsed(text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return {};
  }
}

/** The `data` of every complete event of an SSE body; `[DONE]` stays text. */
export function eventsOf(text: string): (JsonObject | string)[] {
  return text
    .split('\n\n')
    .slice(0, -1)
    .map((event) => event.replace(/^event: .*\n/, '').replace(/^data: /, ''))
    .map((data) => (data.startsWith('{') ? (JSON.parse(data) as JsonObject) : data));
}

/** Everything an iterable gives, once it has ended. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
