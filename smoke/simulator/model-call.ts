import type { Call } from './call.ts';
import { isAtLeast } from './api-versions.ts';
import { AzureError, deploymentNotFound, operationNotSupported, versionTooOld } from './errors.ts';
import { disturb } from './fault-effects.ts';
import type { Disturbed } from './fault-effects.ts';
import { faultOfWords } from './faults.ts';
import type { ModelOperation } from './models.ts';
import type { Estimate } from './quota.ts';
import { provisionedFull, rateLimited, retryAfterHeaders } from './rate-limit-errors.ts';
import type { RefusedCall } from './rate-limit-errors.ts';
import type { Pace, Reply } from './reply.ts';
import { findDeployment, regionName } from './resources.ts';
import type { Deployment } from './resources.ts';
import type { MagicWords } from './magic-words.ts';

/** A checked request, ready to be answered once quota admits it. */
export type Plan = {
  estimate: Estimate;
  words: MagicWords;
  /** Produces the answer. May throw refusals of the model, e.g. by the content filter. */
  respond: () => Reply;
};

/** How an operation of a model is served; its names are those of Azure's texts. */
export type ModelOperationSpec = {
  /** Name for faults and counters. */
  name: string;
  /** What the model must be able to do. */
  needs: ModelOperation;
  /** As rate-limit texts name it, e.g. `ChatCompletions_Create`. */
  azureName: string;
  /** As capability texts name it, e.g. `chatCompletion`. */
  label: string;
  /** Reads and checks the body. @throws {AzureError} 400 */
  plan: (call: Call, deployment: Deployment) => Plan;
};

/** Statuses after which a provisioned deployment hands the call to its spill-over deployment. */
const SPILLED_STATUSES = new Set([429, 500, 503]);

/**
 * Serves a call of a model: finds the deployment, applies faults and quota, answers, and spills over from a full
 * provisioned deployment to a standard one of the same resource.
 *
 * @param deploymentName - from the path on the classic surface, from the body elsewhere
 * @throws {AzureError} any refusal
 */
export function serveModel(
  spec: ModelOperationSpec,
  call: Call,
  deploymentName: string,
): Disturbed {
  const first = findDeployment(call.resource, deploymentName);
  if (first === undefined) throw deploymentNotFound();
  const original = attempt(spec, call, first);
  const target = spillTarget(call, first);
  if (target === undefined || !isSpilled(original.reply)) return original;

  const spilled = attempt(spec, call, target);
  if (spilled.reply.status < 400) {
    spilled.reply.headers['x-ms-spillover-from-deployment'] = first.name;
    spilled.reply.headers['x-ms-is-spilled-over'] = 'true';
    return spilled;
  }
  original.reply.headers['x-ms-spillover-from-deployment'] = first.name;
  original.reply.headers['x-ms-spillover-error'] = String(spilled.reply.status);
  return original;
}

/** The property of the deployment wins over the request header. */
function spillTarget(call: Call, from: Deployment): Deployment | undefined {
  if (from.config.provisioned === undefined) return undefined;
  const name = from.config.spilloverDeploymentName ?? call.headers['x-ms-spillover-deployment'];
  const target = name === undefined ? undefined : findDeployment(call.resource, name);
  return target?.config.provisioned === undefined ? target : undefined;
}

function isSpilled(reply: Reply): boolean {
  if (SPILLED_STATUSES.has(reply.status)) return true;
  return (
    reply.status === 400 &&
    reply.payload.kind === 'json' &&
    JSON.stringify(reply.payload.value).includes('"context_length_exceeded"')
  );
}

function attempt(spec: ModelOperationSpec, call: Call, deployment: Deployment): Disturbed {
  const refused = refusedCall(spec, call, deployment);
  const target = {
    resource: call.resource.name,
    deployment: deployment.name,
    operation: spec.name,
  };
  const commanded = call.simulation.faults.next(target);
  let fault = commanded;
  let reply: Reply;
  try {
    const plan = planFor(spec, call, deployment);
    if (fault === undefined && plan.words.fault !== undefined) {
      fault = faultOfWords(plan.words.fault, target);
    }
    reply = admitted(call, deployment, plan, refused);
    reply.pace ??= paceOf(plan.words, call, deployment);
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    reply = error.reply;
  }
  reply.headers = { ...deploymentHeaders(deployment, reply), ...reply.headers };
  const disturbed = disturb(reply, fault, {
    wording: call.resource.config.rateLimitWording ?? call.simulation.config.rateLimitWording,
    refused,
    operation: spec.name,
    now: call.simulation.clock.now(),
  });
  return { ...disturbed, deployment: deployment.name };
}

function planFor(spec: ModelOperationSpec, call: Call, deployment: Deployment): Plan {
  if (!deployment.operations.includes(spec.needs)) {
    throw operationNotSupported(spec.label, deployment.model.name);
  }
  const { since } = deployment.model;
  if (call.apiVersion !== undefined && since !== undefined && !isAtLeast(call.apiVersion, since)) {
    throw versionTooOld(`Model ${deployment.model.name}`, since);
  }
  return spec.plan(call, deployment);
}

function admitted(call: Call, deployment: Deployment, plan: Plan, refused: RefusedCall): Reply {
  const admission = deployment.quota.admit(plan.estimate);
  if (!admission.admitted) {
    const wording =
      call.resource.config.rateLimitWording ?? call.simulation.config.rateLimitWording;
    const reply =
      admission.reason === 'provisioned'
        ? provisionedFull()
        : rateLimited(wording, admission.reason, refused, admission.retryAfterMs);
    reply.headers = { ...admission.headers, ...retryAfterHeaders(admission.retryAfterMs) };
    return reply;
  }
  const reply = plan.respond();
  if (reply.usage !== undefined) admission.settle(reply.usage);
  reply.headers = { ...admission.headers, ...reply.headers };
  return reply;
}

function paceOf(words: MagicWords, call: Call, deployment: Deployment): Pace {
  const { chunkDelayMs, splitBytes } = call.simulation.config;
  const split = words.splitBytes ?? splitBytes;
  return {
    latencyMs: deployment.config.latencyMs,
    delayMs: words.delayMs ?? deployment.config.chunkDelayMs ?? chunkDelayMs,
    ...(words.thinkMs === undefined ? {} : { thinkMs: words.thinkMs }),
    ...(split === undefined ? {} : { splitBytes: split }),
  };
}

/** A call as the text of a refusal names it. */
export function refusedCall(
  spec: ModelOperationSpec,
  call: Call,
  deployment: Deployment,
): RefusedCall {
  const { region } = call.resource.config;
  return {
    deployment: deployment.name,
    model: deployment.model.name,
    region: { id: region, name: regionName(region) },
    operation: spec.azureName,
    apiVersion: call.apiVersion ?? 'v1',
  };
}

function deploymentHeaders(deployment: Deployment, reply: Reply): Record<string, string> {
  const named = { 'x-ms-deployment-name': deployment.name };
  if (reply.status !== 200) return named;
  return {
    ...named,
    'x-ms-rai-invoked': 'true',
    'x-ms-is-spilled-over': 'false',
    'azureml-model-session': 'd20261001120000-0a1b2c3d',
    'azureai-fe-is-streaming': reply.payload.kind === 'stream' ? 'True' : 'False',
  };
}
