import type { Usage } from './tokens.ts';

/** One server-sent event, framed and ready to be written. */
export type Frame = {
  text: string;
  /** Output tokens this event carries; 0 for events without output. */
  tokens: number;
  /** Not before this moment of the simulator's clock, in milliseconds. */
  at?: number;
};

/** What is written after the headers. */
export type Payload =
  | { kind: 'json'; value: unknown }
  | { kind: 'text'; contentType: string; text: string }
  | { kind: 'empty' }
  | { kind: 'stream'; frames: readonly Frame[] };

/** An answer before it is sent. */
export type Reply = {
  status: number;
  headers: Record<string, string>;
  payload: Payload;
  /** Tokens the whole answer stands for. */
  usage?: Usage;
  /** How the body is written; absent means as fast as possible. */
  pace?: Pace;
};

/** Speed and granularity of a body. */
export type Pace = {
  /** Pause before the status line, in milliseconds. */
  latencyMs?: number;
  /** Pause before each event, in milliseconds. */
  delayMs?: number;
  /** Pause before the first event, or before the status line of an answer that is no stream. */
  thinkMs?: number;
  /** Bytes per write, cutting through events and characters. */
  splitBytes?: number;
};

/** A JSON answer. */
export function jsonReply(status: number, value: unknown, usage?: Usage): Reply {
  return {
    status,
    headers: {},
    payload: { kind: 'json', value },
    ...(usage === undefined ? {} : { usage }),
  };
}

/** A chat event: data only. */
export function dataFrame(value: unknown, tokens = 0): Frame {
  return { text: `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`, tokens };
}

/** A Responses event: named after its type. */
export function namedFrame(value: { type: string; [member: string]: unknown }, tokens = 0): Frame {
  return { text: `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`, tokens };
}
