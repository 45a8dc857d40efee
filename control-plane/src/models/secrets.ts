import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { proxyError } from '../errors.ts';
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

const reference = /^(os\.environ|keyvault|oidc)\//;

/**
 * References are for the configuration file: over the API they would hand any variable of the process, its master key and root
 * secret among them, to an address that the same request names.
 *
 * @throws ApiError 400 for a reference anywhere in the value
 */
export function checkNoReferences(value: JsonValue, param: string): void {
  if (typeof value === 'string' && reference.test(value)) {
    throw proxyError(
      400,
      'bad_request_error',
      'References to variables and vaults are for the configuration file. Give the value itself, which is kept sealed, or put the entry into the file.',
      param,
    );
  }
  if (typeof value !== 'object' || value === null) return;
  for (const member of Object.values(value)) checkNoReferences(member, param);
}

/** Tells whether the value of a parameter must never be shown. */
export function isSecretParam(name: string): boolean {
  return secretParams.has(name) || /(^|_)(secret|password|credentials)$/.test(name);
}

/** Seals what is secret, so that the store never holds it in the clear. */
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
  if (typeof value === 'string') return sealer.seal(value);
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

/**
 * What of stored parameters may stay beside new ones. Secrets belong to the address they were given for: at another one they would
 * be shown to whoever answers there.
 */
export function keptParams(current: JsonObject, given: JsonObject): JsonObject {
  const isMoved = ['api_base', 'base_url'].some((name) => {
    const address = given[name] ?? undefined;
    return address !== undefined && address !== current[name];
  });
  if (!isMoved) return current;
  return Object.fromEntries(Object.entries(current).filter(([name]) => !isSecretParam(name)));
}
