import type { JsonObject } from '@aigateway/contract/records';
import { SseParser } from '../stream/sse.ts';
import type { Bridge, BridgeContext, SseEvent, StreamBridge } from './bridge.ts';

/** Two streams in a row: `inner` reads the upstream, `outer` reads what `inner` writes. */
class ComposedStream implements StreamBridge {
  readonly #outer: StreamBridge;
  readonly #inner: StreamBridge;

  constructor(outer: StreamBridge, inner: StreamBridge) {
    this.#outer = outer;
    this.#inner = inner;
  }

  get finished(): boolean {
    return this.#outer.finished;
  }

  push(event: SseEvent): string {
    return this.#translate(this.#inner.push(event));
  }

  end(): string {
    return this.#translate(this.#inner.end()) + this.#outer.end();
  }

  #translate(text: string): string {
    let out = '';
    const parser = new SseParser((event) => {
      out += this.#outer.push(event);
    });
    parser.push(Buffer.from(text));
    return out;
  }
}

/**
 * The bridge from `outer.from` to `inner.to`.
 *
 * @param outer - the caller's side
 * @param inner - the upstream's side; `inner.from` is what `outer` translates to
 */
export function compose(outer: Bridge, inner: Bridge): Bridge {
  const between = (context: BridgeContext): BridgeContext => ({
    ...context,
    request: outer.request(context.request, context).body,
  });
  return {
    from: outer.from,
    to: inner.to,
    tables: [...inner.tables, ...outer.tables],
    request(body: JsonObject, context: BridgeContext) {
      const first = outer.request(body, context);
      const second = inner.request(first.body, { ...context, request: first.body });
      return { body: second.body, dropped: [...first.dropped, ...second.dropped] };
    },
    response(body: JsonObject, context: BridgeContext) {
      return outer.response(inner.response(body, between(context)), context);
    },
    stream(context: BridgeContext) {
      return new ComposedStream(outer.stream(context), inner.stream(between(context)));
    },
  };
}
