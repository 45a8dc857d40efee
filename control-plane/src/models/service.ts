import { randomUUID } from 'node:crypto';
import { deploymentFindings } from '@aigateway/contract/entry-problems';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { detailError, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { put, remove } from '../http/view.ts';
import type { ModelDocument } from '../store/documents.ts';
import type { newBody, patchBody } from './schema.ts';
import { checkReferences, keptParams, sealParams, shownParams } from './secrets.ts';

export async function createModel(call: Call, body: z.output<typeof newBody>): Promise<Outcome> {
  const modelId = body.model_info?.id ?? randomUUID();
  const isTaken = call.settings.fileModels.has(modelId) || (await call.view.get('model', modelId));
  if (isTaken) {
    throw proxyError(
      400,
      'bad_request_error',
      `Model id ${modelId} already exists.`,
      'model_info.id',
    );
  }
  const at = timestamp(call);
  const params = body.litellm_params as JsonObject;
  checkReferences(params, 'litellm_params', call.settings.keyVaults);
  const ignored = checkFields(body.model_name, params, body.model_info as JsonObject | null);
  const model: ModelDocument = {
    model_id: modelId,
    model_name: body.model_name,
    litellm_params: sealParams(params, call.sealer),
    model_info: { ...(body.model_info as JsonObject | null), id: modelId },
    blocked: false,
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  await checkCredential(call, model);
  return { answer: modelRow(model), changes: [put('model', modelId, model)], ignored };
}

/** Parameters and info are merged; a null takes a member away. */
export async function updateModel(
  call: Call,
  modelId: string,
  sent: z.output<typeof patchBody>,
): Promise<Outcome> {
  const current = await requireModel(call, modelId);
  const given = (sent.litellm_params ?? {}) as JsonObject;
  checkReferences(given, 'litellm_params', call.settings.keyVaults);
  const { model: upstream, custom_llm_provider: provider } = current.litellm_params;
  const ignored = checkFields(
    sent.model_name ?? current.model_name,
    {
      ...(upstream && { model: upstream }),
      ...(provider && { custom_llm_provider: provider }),
      ...given,
    },
    sent.model_info as JsonObject | null,
  );
  const params = sealParams(given, call.sealer);
  const next: ModelDocument = {
    ...current,
    model_name: sent.model_name ?? current.model_name,
    litellm_params: merged(keptParams(current.litellm_params, given), params),
    model_info: {
      ...merged(current.model_info, (sent.model_info ?? {}) as JsonObject),
      id: modelId,
    },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  if (typeof next.litellm_params['model'] !== 'string') {
    throw proxyError(400, 'bad_request_error', 'A deployment needs litellm_params.model.', 'model');
  }
  await checkCredential(call, next);
  return { answer: modelRow(next), changes: [put('model', modelId, next)], ignored };
}

export async function deleteModel(call: Call, modelId: string): Promise<Outcome> {
  await requireModel(call, modelId);
  return {
    answer: { message: `Model: ${modelId} deleted successfully` },
    changes: [remove('model', modelId)],
  };
}

export async function setModelBlocked(
  call: Call,
  modelId: string,
  blocked: boolean,
): Promise<Outcome> {
  const current = await requireModel(call, modelId);
  const next = { ...current, blocked, updated_at: timestamp(call), updated_by: call.actor.id };
  return { answer: modelRow(next), changes: [put('model', modelId, next)] };
}

function merged(current: JsonObject, sent: JsonObject): JsonObject {
  const all = Object.entries({ ...current, ...sent });
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

/**
 * Holds what is sent of a deployment to what the file may say of one: it would otherwise be stored, and left out of what proxies get.
 *
 * @returns fields without effect
 * @throws ApiError 400 naming each that is not taken
 */
function checkFields(
  name: string,
  params: JsonObject,
  info: JsonObject | null | undefined,
): readonly string[] {
  checkReferences(info ?? {}, 'model_info', []);
  const { problems, ignored } = deploymentFindings({
    model_name: name,
    litellm_params: params,
    model_info: info ?? {},
  });
  if (problems.length > 0) throw detailError(400, { error: problems.join(' ') });
  return ignored;
}

async function checkCredential(call: Call, { litellm_params }: ModelDocument): Promise<void> {
  const name = litellm_params['litellm_credential_name'];
  if (typeof name !== 'string') return;
  if ((await call.view.get('credential', name)) === undefined) {
    throw proxyError(
      400,
      'bad_request_error',
      'There is no such credential.',
      'litellm_credential_name',
    );
  }
}

/** @throws ApiError 400 for one that is not there, or that the file owns */
export async function requireModel(call: Call, modelId: string): Promise<ModelDocument> {
  if (call.settings.fileModels.has(modelId)) {
    throw detailError(400, {
      error: `Model ${modelId} stands in the configuration file and is changed there.`,
    });
  }
  const model = await call.view.get('model', modelId);
  if (model === undefined) {
    throw detailError(400, {
      error: `Model with id=${modelId} not found in db. Its id is model_info.id in GET /model/info.`,
    });
  }
  return model;
}

function modelRow(model: ModelDocument): JsonObject {
  return {
    ...model,
    litellm_params: shownParams(model.litellm_params),
    model_info: { ...model.model_info, db_model: true },
  };
}
