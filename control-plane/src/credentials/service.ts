import { credentialFindings } from '@aigateway/contract/entry-problems';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { detailError, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { put, remove } from '../http/view.ts';
import { checkReferences, isSecretParam, keptParams, sealParams } from '../models/secrets.ts';
import type { CredentialDocument } from '../store/documents.ts';
import type { newBody, patchBody } from './schema.ts';

/** Parameters of a deployment that say where it is and how it is signed in to. */
const credentialParams = ['api_base', 'api_version', 'tenant_id', 'client_id', 'azure_scope'];

export async function createCredential(
  call: Call,
  body: z.output<typeof newBody>,
): Promise<Outcome> {
  const name = body.credential_name;
  if ((await call.view.get('credential', name)) !== undefined) {
    throw detailError(400, { error: 'Credential already exists. Use PATCH to change it.' });
  }
  const at = timestamp(call);
  checkReferences(body.credential_values ?? {}, 'credential_values', call.settings.keyVaults);
  const ignored = body.model_id ? [] : checkValues(body.credential_values ?? {});
  const values = body.model_id
    ? await valuesOfModel(call, body.model_id)
    : sealParams(body.credential_values ?? {}, call.sealer);
  const credential: CredentialDocument = {
    credential_name: name,
    credential_values: values,
    credential_info: body.credential_info ?? {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  return {
    answer: { success: true, message: 'Credential created successfully' },
    changes: [put('credential', name, credential)],
    ignored,
  };
}

/** @returns values without effect @throws ApiError 400 naming each that is not taken */
function checkValues(values: JsonObject): readonly string[] {
  const { problems, ignored } = credentialFindings(values);
  if (problems.length > 0) throw detailError(400, { error: problems.join(' ') });
  return ignored;
}

async function valuesOfModel(call: Call, modelId: string): Promise<JsonObject> {
  const model = await call.view.get('model', modelId);
  if (model === undefined) throw detailError(404, { error: 'Model not found' });
  return Object.fromEntries(
    Object.entries(model.litellm_params).filter(
      ([name]) => isSecretParam(name) || credentialParams.includes(name),
    ),
  );
}

export async function updateCredential(
  call: Call,
  name: string,
  sent: z.output<typeof patchBody>,
): Promise<Outcome> {
  const current = await requireCredential(call, name);
  if (sent.credential_name && sent.credential_name !== name) {
    throw proxyError(
      400,
      'bad_request_error',
      'Deployments and teams name a credential: it cannot be renamed.',
      'credential_name',
    );
  }
  const given = sent.credential_values ?? {};
  checkReferences(given, 'credential_values', call.settings.keyVaults);
  const ignored = checkValues(given);
  const values = {
    ...keptParams(current.credential_values, given),
    ...sealParams(given, call.sealer),
  };
  for (const gone of sent.credential_values_to_delete ?? []) delete values[gone];
  const next: CredentialDocument = {
    ...current,
    credential_values: values,
    credential_info: { ...current.credential_info, ...sent.credential_info },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  return {
    answer: { success: true, message: 'Credential updated successfully' },
    changes: [put('credential', name, next)],
    ignored,
  };
}

/** A credential in use stays: what it signs in would stand without one. */
export async function deleteCredential(call: Call, name: string): Promise<Outcome> {
  await requireCredential(call, name);
  for (const { litellm_params, model_id } of await call.view.findAll('model', {})) {
    if (litellm_params['litellm_credential_name'] === name)
      throw detailError(400, { error: `The credential is in use by model ${model_id}.` });
  }
  for (const { credential, team_id } of await call.view.findAll('team', {})) {
    if (credential === name)
      throw detailError(400, { error: `The credential is in use by team ${team_id}.` });
  }
  return {
    answer: { success: true, message: 'Credential deleted successfully' },
    changes: [remove('credential', name)],
  };
}

export async function listCredentials(call: Call): Promise<Outcome> {
  const credentials: JsonObject[] = [];
  for await (const credential of call.view.all('credential'))
    credentials.push(credentialRow(credential));
  return { answer: { success: true, credentials } };
}

export async function credentialByName(call: Call, name: string): Promise<Outcome> {
  return { answer: credentialRow(await requireCredential(call, name)) };
}

export async function credentialByModel(call: Call, modelId: string): Promise<Outcome> {
  const model = await call.view.get('model', modelId);
  if (model === undefined) throw detailError(404, { error: 'Model not found' });
  return {
    answer: {
      credential_name: `${model.model_name}-credential-${modelId}`,
      display_name: model.model_name,
      credential_info: {},
      credential_values: masked(await valuesOfModel(call, modelId)),
      source: 'db',
    },
  };
}

async function requireCredential(call: Call, name: string): Promise<CredentialDocument> {
  const credential = await call.view.get('credential', name);
  if (credential === undefined) throw detailError(404, { error: 'Credential not found' });
  return credential;
}

function credentialRow(credential: CredentialDocument): JsonObject {
  return {
    credential_name: credential.credential_name,
    display_name: credential.credential_name,
    credential_info: credential.credential_info,
    credential_values: masked(credential.credential_values),
    source: 'db',
  };
}

/** Nothing of a sealed secret is known here, not even its end. */
function masked(values: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, isSecretParam(name) ? '****' : value]),
  );
}
