import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { Sealer } from '../http/call.ts';

/** Parameters of a deployment that hold a secret, by LiteLLM's names. */
const secretParams = new Set([
  'api_key',
  'azure_ad_token',
  'client_secret',
  'azure_password',
  'azure_client_secret',
  'password',
  'aws_access_key_id',
  'aws_secret_access_key',
  'aws_session_token',
  'vertex_credentials',
  'extra_headers',
  'headers',
]);

/** References say where a secret is; they are none themselves. */
const reference = /^(os\.environ|keyvault|oidc)\//;

/** Tells whether the value of a parameter must never be shown. */
export function isSecretParam(name: string): boolean {
  return secretParams.has(name) || /(^|_)(secret|password|credentials)$/.test(name);
}

/** Whether a value says where a secret is instead of being one. */
export function isReference(value: JsonValue | undefined): boolean {
  return typeof value === 'string' && reference.test(value);
}

/** Seals what is secret, so that the store never holds it in the clear; references stay as they are. */
export function sealParams(params: JsonObject, sealer: Sealer): JsonObject {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      isSecretParam(name) ? sealValue(value, sealer) : value,
    ]),
  );
}

/** Seals every text, whatever its name. */
function sealValue(value: JsonValue, sealer: Sealer): JsonValue {
  if (typeof value === 'string') return isReference(value) ? value : sealer.seal(value);
  if (Array.isArray(value)) return value.map((entry) => sealValue(entry, sealer));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, sealValue(entry, sealer)]),
  );
}

/** The parameters as anybody may see them: without secrets. */
export function shownParams(params: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !isSecretParam(name)));
}
