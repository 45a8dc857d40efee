import type { UsageRecord } from '@aigateway/contract/usage';

/** What a refusal was about; which of it there is depends on the code. */
export type RefusalFacts = {
  /** For a path that nothing answers, without its query. */
  path?: string;
  /** The name that was asked for. */
  model?: string;
  /** Kind of the holder of a limit that has no room, e.g. `team`. */
  scope?: string;
  limitType?: string;
  /** Of a budget in USD. */
  limit?: number;
};

/** What is logged of a call that was refused before it was admitted. */
export type RefusedCall = RefusalFacts & {
  requestId: string;
  startedAt: number;
  durationMs: number;
  /** Address of the caller. */
  client: string;
  method: string;
  endpoint: string;
  status: number;
  code: string;
  keyId?: string;
};

/** What is logged of a call of the management API. */
export type ManagementCall = {
  readonly requestId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  /** Address of the caller. */
  readonly client: string;
  readonly method: string;
  /** The path as it is declared: in the one that was called ids and keys may stand. */
  readonly endpoint: string;
  readonly status: number;
  readonly keyId?: string | undefined;
  readonly userId?: string | undefined;
  readonly role?: string | undefined;
};

/** What a caller sent and got, as far as it may be logged: JSON texts, or their beginnings. */
export type MessagesOfCall = {
  readonly requestId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly endpoint: string;
  readonly keyId: string;
  readonly keyAlias: string | undefined;
  readonly model: string;
  readonly stream: boolean;
  readonly status: number;
  readonly request: string | undefined;
  /** Of the body as it came. */
  readonly requestBytes: number;
  readonly requestCut: true | undefined;
  readonly response: string | undefined;
  readonly responseBytes: number;
  readonly responseCut: true | undefined;
};

const bufferBytes = 65_536;
/** UTF-8 takes at most three bytes for what is one in a string's length. */
const mostBytesOfUnit = 3;
const flushMs = 200;

/**
 * One JSON line per call, written at its end, and for keys that chose so one of its messages. Otherwise holds no content, and never a key;
 * caller-controlled text is escaped as JSON.
 *
 * Lines are collected and written in one piece: a write per call would cost more than the rest of the line. Each goes into the
 * buffer at once: kept as text, the dozens of pieces that it was put together from are looked up again when they are cold.
 */
export class AccessLog {
  readonly #write: (lines: Buffer) => void;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param write - takes one or several whole lines; standard output unless given */
  constructor(write = (lines: Buffer): void => void process.stdout.write(lines)) {
    this.#write = write;
  }

  /** An admitted call has ended: its line is its usage record. */
  settled(endpoint: string, client: string, record: UsageRecord): void {
    this.#line(callLine(endpoint, client, record));
  }

  refused(call: RefusedCall): void {
    this.#fields('refused', call);
  }

  managed(call: ManagementCall): void {
    this.#fields('management', call);
  }

  messages(call: MessagesOfCall): void {
    this.#fields('messages', call);
  }

  /** What an earlier call was charged by estimate has been set right: amounts are the differences. */
  corrected(now: number, record: UsageRecord): void {
    const { tokens } = record;
    const fields = {
      level: 'info',
      time: timeText(now),
      event: 'correction',
      requestId: record.requestId,
      corrects: record.corrects,
      keyId: record.keyId,
      ownerId: record.ownerId,
      model: record.model,
      inputTokens: tokens.input,
      outputTokens: tokens.output,
      cachedTokens: tokens.cachedInput,
      reasoningTokens: tokens.reasoning,
      costNanoUsd: record.costNanoUsd,
      unpriced: record.unpriced || undefined,
      teamId: record.teamId,
      userId: record.userId,
      organizationId: record.organizationId,
      customerId: record.customerId,
      deploymentId: record.deploymentId,
      servedModel: record.servedModel,
      tags: record.tags.length === 0 ? undefined : record.tags,
    };
    this.#line(JSON.stringify(fields));
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#length === 0) return;
    // A copy: a slow reader's pipe keeps it until it is taken.
    const lines = Buffer.copyBytesFrom(this.#buffer, 0, this.#length);
    this.#length = 0;
    this.#write(lines);
  }

  #fields(event: string, call: RefusedCall | ManagementCall | MessagesOfCall): void {
    const time = timeText(call.startedAt + call.durationMs);
    this.#line(
      `{"level":"info","time":"${time}","event":"${event}",${JSON.stringify(call).slice(1)}`,
    );
  }

  #line(line: string): void {
    const text = `${line}\n`;
    const mostBytes = text.length * mostBytesOfUnit;
    if (mostBytes > bufferBytes - this.#length) this.flush();
    if (mostBytes > bufferBytes) {
      this.#write(Buffer.from(text));
      return;
    }
    this.#length += this.#buffer.write(text, this.#length);
    this.#timer ??= setTimeout(() => this.flush(), flushMs).unref();
  }
}

let lastTime = Number.NaN;
let lastTimeText = '';

/** Under load several lines have the same millisecond. */
function timeText(time: number): string {
  if (time !== lastTime) {
    lastTime = time;
    lastTimeText = new Date(time).toISOString();
  }
  return lastTimeText;
}

const plainText = /^[\w .:/@*+=-]*$/;

/** What stands between the quotes of a JSON string. Without them: each text that is joined to another is an object. */
function escaped(text: string): string {
  return plainText.test(text) ? text : JSON.stringify(text).slice(1, -1);
}

/**
 * The line of an admitted call: its usage record. Put together by hand, because this is a tenth of the price of
 * `JSON.stringify`; everything a caller can influence is escaped.
 */
function callLine(endpoint: string, client: string, record: UsageRecord): string {
  const { tokens } = record;
  let line =
    `{"level":"info","time":"${timeText(record.startedAt + record.durationMs)}","event":"call"` +
    `,"requestId":"${record.requestId}","client":"${escaped(client)}","endpoint":"${endpoint}","keyId":"${escaped(record.keyId)}"` +
    `,"ownerId":"${escaped(record.ownerId)}","model":"${escaped(record.model)}"` +
    `,"operation":"${record.operation}","stream":${record.stream},"status":${record.status}` +
    `,"outcome":"${record.outcome}","durationMs":${record.durationMs}` +
    `,"inputTokens":${tokens.input},"outputTokens":${tokens.output},"cachedTokens":${tokens.cachedInput}` +
    `,"reasoningTokens":${tokens.reasoning},"usageSource":"${record.usageSource}"` +
    `,"costNanoUsd":${record.costNanoUsd}`;
  if (record.unpriced) line += ',"unpriced":true';
  line += optionalText(',"keyAlias":"', record.keyAlias);
  line += optionalText(',"teamId":"', record.teamId);
  line += optionalText(',"userId":"', record.userId);
  line += optionalText(',"organizationId":"', record.organizationId);
  line += optionalText(',"customerId":"', record.customerId);
  line += optionalText(',"upstreamOperation":"', record.upstreamOperation);
  line += optionalText(',"deploymentId":"', record.deploymentId);
  line += optionalText(',"region":"', record.region);
  line += optionalText(',"spilledTo":"', record.spilledTo);
  line += optionalText(',"servedModel":"', record.servedModel);
  line += optionalText(',"serviceTier":"', record.serviceTier);
  if (record.firstOutputMs !== undefined) line += `,"firstOutputMs":${record.firstOutputMs}`;
  if (record.tags.length > 0) line += `,"tags":${JSON.stringify(record.tags)}`;
  // The one try that answered says nothing that is not in the line already.
  if (record.attempts.length !== 1 || record.attempts[0]?.reason !== 'answered') {
    line += `,"attempts":${JSON.stringify(record.attempts)}`;
  }
  return `${line}}`;
}

/** @param start - from the comma before the name to the value's first quote */
function optionalText(start: string, value: string | undefined): string {
  return value === undefined ? '' : `${start}${escaped(value)}"`;
}
