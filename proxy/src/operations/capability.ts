import type { Operation } from '@aigateway/contract/records';

/** Parts of an operation that a deployment may lack while it does the rest. */
const parts = {
  'responses.compact': { operation: 'responses', suffix: '/compact' },
  'responses.input_tokens': { operation: 'responses', suffix: '/input_tokens' },
  /** An ordinary call whose input ends in `compaction_trigger`: the newer way to ask for a compaction. */
  'responses.compaction_trigger': { operation: 'responses', suffix: '' },
  /** LiteLLM's count of a request's tokens, which no upstream has a path for: another count is made of it. */
  token_counter: { operation: 'responses', suffix: undefined },
} as const;

type Part = keyof typeof parts;

/** What a deployment is asked for, can do, or has refused: an operation, or a part of one that is told apart from the rest. */
export type Capability = Operation | Part;

export function isPart(capability: Capability): capability is Part {
  return Object.hasOwn(parts, capability);
}

/** The operation that it is or belongs to: what the upstream's paths, events and errors are those of. */
export function operationOf(capability: Capability): Operation {
  return isPart(capability) ? parts[capability].operation : capability;
}

/** What stands behind the operation's own path; undefined where no upstream has a path for it. */
export function suffixOf(capability: Capability): string | undefined {
  return isPart(capability) ? parts[capability].suffix : '';
}
