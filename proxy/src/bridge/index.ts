import type { Operation } from '@aigateway/contract/records';
import type { Bridge } from './bridge.ts';
import { chatOverResponses } from './chat-responses.ts';
import { completionsOverChat } from './completions-chat.ts';
import { compose } from './compose.ts';
import { responsesOverChat } from './responses-chat.ts';

/** In order of preference: fewer translations first. */
const bridges: readonly Bridge[] = [
  chatOverResponses,
  responsesOverChat,
  completionsOverChat,
  compose(completionsOverChat, chatOverResponses),
];

/** The bridge for callers of `from` on a deployment that answers on `to`; undefined when there is none or none is needed. */
export function bridgeFor(from: Operation, to: Operation): Bridge | undefined {
  return bridges.find((bridge) => bridge.from === from && bridge.to === to);
}

/** The operations by which a caller of `from` can be answered, best first: `from` itself, then those there is a bridge to. */
export function reachable(from: Operation): Operation[] {
  return [from, ...bridges.filter((bridge) => bridge.from === from).map((bridge) => bridge.to)];
}
