import type { Capability } from '../operations/capability.ts';
import type { Bridge } from './bridge.ts';
import { chatOverResponses } from './chat-responses.ts';
import { compactOverResponses, compactionTurnOverResponses } from './compaction.ts';
import { completionsOverChat } from './completions-chat.ts';
import { compose } from './compose.ts';
import { responsesOverChat } from './responses-chat.ts';
import { tokenCounterOverInputTokens } from './token-counter.ts';

/** In order of preference: fewer translations first. */
const bridges: readonly Bridge[] = [
  chatOverResponses,
  responsesOverChat,
  completionsOverChat,
  compose(completionsOverChat, chatOverResponses),
  compactOverResponses,
  compose(compactOverResponses, responsesOverChat),
  compactionTurnOverResponses,
  compose(compactionTurnOverResponses, responsesOverChat),
  tokenCounterOverInputTokens,
];

/** The bridge for callers of `from` on a deployment that is asked for `to`; undefined when there is none or none is needed. */
export function bridgeFor(from: Capability, to: Capability): Bridge | undefined {
  return bridges.find((bridge) => bridge.from === from && bridge.to === to);
}

const reached = new Map<Capability, readonly Capability[]>();

/** What a caller of `from` can be answered by, best first: `from` itself, then what there is a bridge to. */
export function reachable(from: Capability): readonly Capability[] {
  let found = reached.get(from);
  if (found === undefined) {
    found = [from, ...bridges.filter((bridge) => bridge.from === from).map(({ to }) => to)];
    reached.set(from, found);
  }
  return found;
}
