import type { RecordedAnswer } from '../telemetry/recorded-answer.ts';
import { Reply, type FlatHeaders } from './reply.ts';

/** A reply whose answer is kept for the log as well. */
export class RecordedReply extends Reply {
  readonly #recorded: RecordedAnswer;

  constructor(recorded: RecordedAnswer, ...reply: ConstructorParameters<typeof Reply>) {
    super(...reply);
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
