import type { ServerResponse } from 'node:http';
import type { RecordedAnswer } from '../telemetry/recorded-answer.ts';
import type { Heartbeat } from './heartbeat.ts';
import { Reply, type FlatHeaders, type ReplyTiming } from './reply.ts';

/** A reply whose answer is kept for the log as well. */
export class RecordedReply extends Reply {
  readonly #recorded: RecordedAnswer;

  constructor(
    response: ServerResponse,
    heartbeat: Heartbeat,
    timing: ReplyTiming,
    stream: boolean,
    headers: FlatHeaders,
    startedAt: number,
    recorded: RecordedAnswer,
  ) {
    super(response, heartbeat, timing, stream, headers, startedAt);
    this.#recorded = recorded;
  }

  override send(status: number, headers: FlatHeaders, body: Buffer | string): void {
    if (!this.over) this.#recorded.whole(body);
    super.send(status, headers, body);
  }

  override write(bytes: Buffer | string, now: number): boolean {
    if (!this.over) this.#recorded.push(bytes);
    return super.write(bytes, now);
  }

  override end(last?: Buffer | string): void {
    if (last !== undefined && !this.over) this.#recorded.push(last);
    super.end(last);
  }
}
