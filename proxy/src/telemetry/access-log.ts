import type { UsageRecord } from '@aigateway/contract/usage';

/** What is logged of a call that was refused before it was admitted. */
export type RefusedCall = {
  requestId: string;
  startedAt: number;
  durationMs: number;
  method: string;
  endpoint: string;
  status: number;
  code: string;
  keyId?: string;
};

const flushBytes = 32_768;
const flushMs = 200;

/**
 * One JSON line per call, written at its end. Holds no content and no key; caller-controlled text is escaped as JSON.
 *
 * Lines are collected and written in one piece: a write per call would cost more than the rest of the line.
 */
export class AccessLog {
  readonly #write: (text: string) => void;
  #pending = '';
  #timer: NodeJS.Timeout | undefined;

  /** @param write - takes one or several whole lines */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** An admitted call has ended: its line is its usage record. */
  settled(endpoint: string, record: UsageRecord, cause?: string): void {
    const extra = cause === undefined ? '' : `,"cause":${JSON.stringify(cause)}`;
    const time = new Date(record.startedAt + record.durationMs).toISOString();
    this.#line(
      `{"level":"info","time":"${time}","event":"call","endpoint":"${endpoint}"${extra},${JSON.stringify(record).slice(1)}`,
    );
  }

  refused(call: RefusedCall): void {
    const time = new Date(call.startedAt + call.durationMs).toISOString();
    this.#line(
      `{"level":"info","time":"${time}","event":"refused",${JSON.stringify(call).slice(1)}`,
    );
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#write(text);
  }

  #line(line: string): void {
    this.#pending += `${line}\n`;
    if (this.#pending.length >= flushBytes) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), flushMs).unref();
  }
}
