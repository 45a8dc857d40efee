import type { DeploymentRecord, KeyRecord, Operation } from '@aigateway/contract/records';
import { chatToResponses, completionsToChat } from './bridge/parameter-tables.ts';
import { reasoningRepairs } from './routing/known-repairs.ts';
import { visibleModel } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';

/** What says what is asked, and of whom: no parameters of it. */
const essential: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'input']);

export const embeddingParameters = ['dimensions', 'encoding_format', 'user'];

/**
 * The parameters of OpenAI's that a model takes, by the operation of its mode: LiteLLM's `/utils/supported_openai_params`. Those that its
 * family refuses and those that its deployment drops are left out; what only refusals would teach is not known here.
 *
 * @returns undefined for a model that does not exist or that the key may not use
 */
export function supportedParameters(
  snapshot: Snapshot,
  key: KeyRecord,
  name: string,
): readonly string[] | undefined {
  const model = visibleModel(snapshot.models, key, name);
  const [record] = model === undefined ? [] : snapshot.models.deployments(model.group);
  return record === undefined ? undefined : parametersOf(record);
}

/** The same of one deployment. */
export function parametersOf({ facts, family, drop }: DeploymentRecord): readonly string[] {
  const operation = operationOfMode(facts.mode);
  const refused =
    family === 'reasoning'
      ? (reasoningRepairs[operation] ?? []).filter(({ action }) => action === 'default-only')
      : [];
  const left = new Set([...drop, ...refused.map(({ param }) => param)]);
  return documented(operation).filter((name) => !left.has(name) && !essential.has(name));
}

function operationOfMode(mode: string | undefined): Operation {
  if (mode === 'embedding') return 'embeddings';
  return mode === 'completion' ? 'completions' : 'chat';
}

function documented(operation: Operation): readonly string[] {
  if (operation === 'embeddings') return embeddingParameters;
  return Object.keys(operation === 'completions' ? completionsToChat : chatToResponses);
}
