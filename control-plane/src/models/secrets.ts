import { parseVaultReference } from '@aigateway/contract/key-vault';
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
  'extra_body',
  'headers',
]);

const reference = /^(os\.environ|keyvault|oidc)\//;

/** Parameters that may be a secret of a Key Vault. */
const vaultParams = new Set(['api_key', 'client_secret']);

/**
 * Refuses references that are for the configuration file: over the API they would hand any variable of the process, its master key
 * and root secret among them, to an address that the same request names. Secrets of the vaults that the operator gave free for that
 * may be referred to.
 *
 * @throws ApiError 400 naming what is not taken
 */
export function checkReferences(
  params: JsonObject,
  param: string,
  vaults: readonly string[],
): void {
  if (!hasForeignReference(params, vaults)) return;
  throw proxyError(
    400,
    'bad_request_error',
    'References are for the configuration file, but for api_key and client_secret as keyvault/VAULT/NAME, with a vault that aigateway_settings.api_key_vaults names. Give the value itself, which is kept sealed, or put the entry into the file.',
    param,
  );
}

/** Whether parameters refer to something of the process, or to a vault that is not among those given free. */
export function hasForeignReference(params: JsonObject, vaults: readonly string[]): boolean {
  return Object.entries(params).some(([name, value]) => {
    if (!refers(value)) return false;
    const found = typeof value === 'string' ? parseVaultReference(value) : undefined;
    return found === undefined || !vaultParams.has(name) || !vaults.includes(found.vault);
  });
}

/** Whether a value is a reference, or holds one. */
function refers(value: JsonValue): boolean {
  if (typeof value === 'string') return reference.test(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(refers);
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
