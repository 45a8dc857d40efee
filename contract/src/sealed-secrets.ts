import type {
  CredentialMethod,
  CredentialRecord,
  JsonObject,
  JsonValue,
  SecretReference,
} from './records.ts';
import type { Sealer } from './sealer.ts';
import type { Catalogue } from './snapshot.ts';

/**
 * The catalogue as it may leave the process: secrets that stand in it as they are become sealed ones. References to variables stay
 * references: each proxy looks them up in its own environment.
 */
export function sealSecrets(catalogue: Catalogue, sealer: Sealer): Catalogue {
  const sealed = withSecrets(catalogue, (reference) =>
    reference.kind === 'inline'
      ? { kind: 'sealed', value: sealer.seal(reference.value) }
      : reference,
  );
  return withTexts(sealed, (text) => sealer.seal(text));
}

/** The same catalogue in the process that uses it. What cannot be opened stays sealed, and its credential is then none. */
export function openSecrets(catalogue: Catalogue, sealer: Sealer): Catalogue {
  const opened = withSecrets(catalogue, (reference) => {
    const value = reference.kind === 'sealed' ? sealer.unseal(reference.value) : undefined;
    return value === undefined ? reference : { kind: 'inline', value };
  });
  return withTexts(opened, (text) =>
    sealer.isSealed(text) ? (sealer.unseal(text) ?? text) : text,
  );
}

/** What deployments add to requests may be secret as well: headers whole, parameters in their texts. */
function withTexts(records: Catalogue, map: (text: string) => string): Catalogue {
  const deployments = records.deployments.map((deployment) => ({
    ...deployment,
    headers: Object.fromEntries(
      Object.entries(deployment.headers).map(([name, value]) => [name, map(value)]),
    ),
    defaults: mapTexts(deployment.defaults, map) as JsonObject,
  }));
  return { ...records, deployments };
}

/** Another value of the same form, each text of it mapped. */
export function mapTexts(value: JsonValue, map: (text: string) => string): JsonValue {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, mapTexts(member, map)]),
  );
}

function withSecrets<Records extends Catalogue>(
  records: Records,
  map: (reference: SecretReference) => SecretReference,
): Records {
  const credentials = records.credentials.map((credential): CredentialRecord => ({
    ...credential,
    method: mapped(credential.method, map),
  }));
  return { ...records, credentials };
}

function mapped(
  method: CredentialMethod,
  map: (reference: SecretReference) => SecretReference,
): CredentialMethod {
  switch (method.kind) {
    case 'api-key':
      return { ...method, key: map(method.key) };
    case 'token':
      return { ...method, token: map(method.token) };
    case 'client-secret':
      return { ...method, secret: map(method.secret) };
    case 'managed-identity':
    case 'workload-identity':
    case 'client-certificate':
    case 'developer':
    case 'none':
      return method;
  }
}
