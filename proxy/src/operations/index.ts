import type { Operation } from '@aigateway/contract/records';
import { chat, completions } from './chat.ts';
import { embeddings } from './embeddings.ts';
import type { OperationFacts } from './operation.ts';
import { responses } from './responses.ts';

/** Every operation, by name. */
export const operations: { readonly [name in Operation]: OperationFacts } = {
  chat,
  completions,
  embeddings,
  responses,
};
