import type { Call } from '../call.ts';
import { missingParameter } from '../errors.ts';
import { disturb } from '../fault-effects.ts';
import type { Disturbed } from '../fault-effects.ts';
import { serveModel } from '../model-call.ts';
import type { ModelOperationSpec } from '../model-call.ts';
import type { Reply } from '../reply.ts';
import { regionName } from '../resources.ts';
import { chatCompletions } from './chat.ts';
import { completions } from './completions.ts';
import { embeddings } from './embeddings.ts';
import { getModel, listModels } from './models.ts';
import { compactResponse, countInputTokens, createResponse } from './responses.ts';
import { cancelResponse, deleteResponse, getResponse, listInputItems } from './stored-responses.ts';

/** One operation of the API. */
export type Operation = {
  /** Name for faults, counters and logs. */
  name: string;
  method: 'GET' | 'POST' | 'DELETE';
  /** Path below `/openai/v1`, `/openai` or the deployment, with `{name}` for parts that vary. */
  path: string;
  /** Where the classic surface has it, if at all, and since which dated version. */
  classic?: { since: string; underDeployment: boolean };
  v1: boolean;
  /** @throws {AzureError} any refusal */
  serve: (call: Call) => Disturbed;
};

/** First dated version with the Responses API. */
const RESPONSES_SINCE = '2025-03-01-preview';

function model(spec: ModelOperationSpec, path: string, classic?: Operation['classic']): Operation {
  return {
    name: spec.name,
    method: 'POST',
    path,
    ...(classic === undefined ? {} : { classic }),
    v1: true,
    serve: (call) => serveModel(spec, call, deploymentNameOf(call)),
  };
}

/** The path wins; elsewhere the body names the deployment. */
function deploymentNameOf(call: Call): string {
  const name = call.path['deployment'] ?? call.body['model'];
  if (typeof name !== 'string' || name === '') throw missingParameter('model');
  return name;
}

function stateless(
  name: string,
  method: Operation['method'],
  path: string,
  since: string,
  answer: (call: Call) => Reply,
): Operation {
  return {
    name,
    method,
    path,
    classic: { since, underDeployment: false },
    v1: true,
    serve: (call) => struck(call, name, answer),
  };
}

/** Faults strike operations without a deployment as well. */
function struck(call: Call, operation: string, answer: (call: Call) => Reply): Disturbed {
  const { simulation, resource } = call;
  const target = { resource: resource.name, deployment: undefined, operation };
  const fault = simulation.faults.next(target);
  const { region } = resource.config;
  return disturb(answer(call), fault, {
    wording: resource.config.rateLimitWording ?? simulation.config.rateLimitWording,
    refused: {
      deployment: '-',
      model: '-',
      region: { id: region, name: regionName(region) },
      operation,
      apiVersion: call.apiVersion ?? 'v1',
    },
    operation,
    now: simulation.clock.now(),
  });
}

/**
 * Every operation the simulator answers. A path that is not here is answered like any path Azure does not know.
 * More operations are added by adding rows.
 */
export const OPERATIONS: readonly Operation[] = [
  model(chatCompletions, '/chat/completions', { since: '2023-05-15', underDeployment: true }),
  model(completions, '/completions', { since: '2022-12-01', underDeployment: true }),
  model(embeddings, '/embeddings', { since: '2022-12-01', underDeployment: true }),
  model(createResponse, '/responses', { since: RESPONSES_SINCE, underDeployment: false }),
  model(compactResponse, '/responses/compact'),
  model(countInputTokens, '/responses/input_tokens'),
  stateless('responses.get', 'GET', '/responses/{id}', RESPONSES_SINCE, getResponse),
  stateless('responses.delete', 'DELETE', '/responses/{id}', RESPONSES_SINCE, deleteResponse),
  stateless('responses.cancel', 'POST', '/responses/{id}/cancel', RESPONSES_SINCE, cancelResponse),
  stateless(
    'responses.input_items',
    'GET',
    '/responses/{id}/input_items',
    RESPONSES_SINCE,
    listInputItems,
  ),
  stateless('models', 'GET', '/models', '2022-12-01', listModels),
  stateless('models.get', 'GET', '/models/{model}', '2022-12-01', getModel),
];
