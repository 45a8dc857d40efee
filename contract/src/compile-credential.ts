import { createHash } from 'node:crypto';
import { identityKinds, type UpstreamConfig } from './config.ts';
import { isAzureHost, parseAzureUrl } from './azure-url.ts';
import { type ConfigPath, formatPath, type Report } from './config-problems.ts';
import {
  azureKeyNames,
  azureUrlNames,
  type Environment,
  firstSet,
  isSet,
} from './environment-config.ts';
import { optional } from './optional.ts';
import type {
  CredentialMethod,
  CredentialRecord,
  DialectName,
  SecretReference,
} from './records.ts';

/** Fields that say how to sign in, wherever they were written. */
export type CredentialFields = Pick<
  UpstreamConfig,
  | 'api_key'
  | 'azure_ad_token'
  | 'tenant_id'
  | 'client_id'
  | 'client_secret'
  | 'certificate_path'
  | 'federated_token_file'
  | 'azure_credential'
  | 'azure_scope'
>;

/** What the choice of a credential depends on besides the fields. */
export type CredentialContext = {
  readonly environment: Environment;
  /** Variables of the file itself: no process finds them in its environment, so their values are taken over. */
  readonly fileVariables: ReadonlySet<string>;
  readonly profile: 'development' | 'production';
  /** LiteLLM's `enable_azure_ad_token_refresh`. */
  readonly usesAmbientIdentity: boolean;
  readonly report: Report;
};

export type CredentialTarget = {
  readonly origin: string;
  readonly dialect: DialectName;
  /** Azure's own hosts, API Management and Front Door; other servers are never sent Azure's keys by default. */
  readonly isAzure: boolean;
};

/** Members of a deployment or credential that say how it is signed in. */
export const credentialFields = [
  'api_key',
  'azure_ad_token',
  'tenant_id',
  'client_id',
  'client_secret',
  'certificate_path',
  'federated_token_file',
  'azure_credential',
  'azure_scope',
] as const satisfies readonly (keyof CredentialFields)[];

/**
 * Whether what stands at `path` names a credential by a variable that is not set. It has been reported where it was read;
 * nothing may take its place.
 */
export function namesUnsetCredential(
  path: ConfigPath,
  unset: ReadonlyMap<string, string>,
): boolean {
  return [...credentialFields, 'litellm_credential_name'].some((field) =>
    unset.has(formatPath([...path, field])),
  );
}

type Found = { readonly method: CredentialMethod; readonly field: string };

/**
 * The one way a deployment signs in. Two ways at once are a problem, never a silent choice; none at all falls to what the
 * environment holds for the whole gateway, which a notice tells.
 *
 * @returns undefined when a problem was reported
 */
export function credentialMethod(
  fields: CredentialFields,
  target: CredentialTarget,
  path: ConfigPath,
  context: CredentialContext,
): CredentialMethod | undefined {
  const { report } = context;
  const found = explicitMethods(fields, path, context);
  if (found === undefined) return undefined;
  const [first, second] = found;
  if (first && second) {
    report.problem(
      path,
      `names two ways to sign in, ${first.field} and ${second.field}`,
      'Keep one: nothing ever falls back to another.',
    );
    return undefined;
  }
  if (first) return first.method;
  return ambientMethod(target, path, context);
}

/** LiteLLM's files write this for servers that want no key at all. */
export function isNoKey(key: SecretReference): boolean {
  return (
    key.kind === 'inline' && /^(none|null|no-?key|dummy|fake.*|empty|anything)$/i.test(key.value)
  );
}

/** @returns undefined when what was named is incomplete, which has been reported */
function explicitMethods(
  fields: CredentialFields,
  path: ConfigPath,
  context: CredentialContext,
): Found[] | undefined {
  const { environment, report } = context;
  const found: Found[] = [];
  const key = usable(fields.api_key, context);
  const named =
    fields.azure_credential === undefined ? undefined : identityKinds[fields.azure_credential];
  const secret = usable(fields.client_secret, context);
  const token = usable(fields.azure_ad_token, context);

  if (key !== undefined) {
    found.push({
      field: 'api_key',
      method: isNoKey(key) ? { kind: 'none' } : { kind: 'api-key', key },
    });
  }
  if (token !== undefined) {
    if (token.kind === 'inline' && token.value.startsWith('oidc/')) {
      report.problem(
        [...path, 'azure_ad_token'],
        'names an OIDC source, which is not supported',
        'Use azure_credential: workload-identity with federated_token_file.',
      );
      return undefined;
    }
    found.push({ field: 'azure_ad_token', method: { kind: 'token', token } });
  }
  if (named === 'default') {
    found.push({ field: 'azure_credential', method: ambientIdentity(context, fields) });
  } else if (named !== undefined) {
    const method = namedMethod(named, fields, secret, path, context);
    if (method === undefined) return undefined;
    found.push({ field: 'azure_credential', method });
  } else if (secret !== undefined) {
    const tenantId = fields.tenant_id ?? environment['AZURE_TENANT_ID'];
    const clientId = fields.client_id ?? environment['AZURE_CLIENT_ID'];
    if (!tenantId || !clientId) {
      report.problem(
        path,
        'has a client_secret without tenant_id and client_id',
        'Set them, or AZURE_TENANT_ID and AZURE_CLIENT_ID.',
      );
      return undefined;
    }
    found.push({
      field: 'client_secret',
      method: { kind: 'client-secret', tenantId, clientId, secret },
    });
  } else if (fields.certificate_path !== undefined) {
    const method = namedMethod('client-certificate', fields, secret, path, context);
    if (method === undefined) return undefined;
    found.push({ field: 'certificate_path', method });
  } else if (fields.federated_token_file !== undefined) {
    found.push({ field: 'federated_token_file', method: workloadIdentity(fields, context) });
  } else if (fields.client_id !== undefined && found.length === 0) {
    // A client without secret, certificate or token file can only be a user-assigned identity, or be incomplete.
    if (fields.tenant_id !== undefined) {
      report.problem(
        path,
        'has tenant_id and client_id, but nothing to prove them with',
        'Add client_secret, certificate_path or federated_token_file, or set azure_credential: managed-identity.',
      );
      return undefined;
    }
    found.push({
      field: 'client_id',
      method: { kind: 'managed-identity', clientId: fields.client_id },
    });
  }
  return found;
}

function namedMethod(
  kind: Exclude<(typeof identityKinds)[keyof typeof identityKinds], 'default'>,
  fields: CredentialFields,
  secret: SecretReference | undefined,
  path: ConfigPath,
  context: CredentialContext,
): CredentialMethod | undefined {
  const { environment, report } = context;
  const tenantId = fields.tenant_id ?? set(environment, 'AZURE_TENANT_ID');
  const clientId = fields.client_id ?? set(environment, 'AZURE_CLIENT_ID');
  switch (kind) {
    case 'managed-identity':
      return { kind, ...optional('clientId', clientId) };
    case 'workload-identity':
      return workloadIdentity(fields, context);
    case 'developer':
      return { kind, ...optional('tenantId', tenantId) };
    case 'none':
      return { kind };
    case 'client-secret': {
      const clientSecret = secret ?? environmentSecret('AZURE_CLIENT_SECRET', context);
      if (tenantId && clientId && clientSecret)
        return { kind, tenantId, clientId, secret: clientSecret };
      report.problem(
        path,
        'is to sign in with a client secret, but has not all of tenant_id, client_id and client_secret',
      );
      return undefined;
    }
    case 'client-certificate': {
      const certificatePath =
        fields.certificate_path ?? set(environment, 'AZURE_CLIENT_CERTIFICATE_PATH');
      if (tenantId && clientId && certificatePath)
        return { kind, tenantId, clientId, certificatePath };
      report.problem(
        path,
        'is to sign in with a certificate, but has not all of tenant_id, client_id and certificate_path',
      );
      return undefined;
    }
  }
}

function workloadIdentity(
  fields: CredentialFields,
  { environment }: Pick<CredentialContext, 'environment'>,
): CredentialMethod {
  return {
    kind: 'workload-identity',
    ...optional('tenantId', fields.tenant_id ?? set(environment, 'AZURE_TENANT_ID')),
    ...optional('clientId', fields.client_id ?? set(environment, 'AZURE_CLIENT_ID')),
    ...optional(
      'tokenFile',
      fields.federated_token_file ?? set(environment, 'AZURE_FEDERATED_TOKEN_FILE'),
    ),
  };
}

/** Deployments that say nothing: a key of the environment first, as LiteLLM does, then its identity. */
function ambientMethod(
  target: CredentialTarget,
  path: ConfigPath,
  context: CredentialContext,
): CredentialMethod | undefined {
  const { environment, report } = context;
  if (!target.isAzure) {
    const isOpenAi = target.origin === 'https://api.openai.com';
    if (isOpenAi && isSet(environment, 'OPENAI_API_KEY')) {
      report.notice('decision', path, 'names no credential: OPENAI_API_KEY is used');
      return { kind: 'api-key', key: reference('OPENAI_API_KEY', context) };
    }
    if (isOpenAi) {
      report.problem(
        path,
        'names no credential',
        'Set api_key: os.environ/NAME, or OPENAI_API_KEY.',
      );
      return undefined;
    }
    report.notice('decision', path, 'names no credential: the server is called without one');
    return { kind: 'none' };
  }
  if (!isOwnHost(target.origin, environment)) {
    const { hostname } = new URL(target.origin);
    report.problem(
      path,
      `names no credential, and ${hostname} is no host of Azure: what the environment holds is not sent there`,
      'Set api_key: os.environ/NAME, or azure_credential.',
    );
    return undefined;
  }
  const keyName = firstSet(environment, azureKeyNames);
  if (
    keyName !== undefined &&
    !context.usesAmbientIdentity &&
    !isSet(environment, 'AZURE_CREDENTIAL')
  ) {
    report.notice('decision', path, `names no credential: ${keyName} is used`);
    return { kind: 'api-key', key: reference(keyName, context) };
  }
  if (!context.usesAmbientIdentity && !hasIdentity(environment)) {
    report.problem(
      path,
      'names no credential, and the environment holds none',
      'Set AZURE_OPENAI_API_KEY, api_key: os.environ/NAME, or azure_credential: managed-identity.',
    );
    return undefined;
  }
  const method = ambientIdentity(context, {});
  report.notice('decision', path, `names no credential: signs in by ${describeMethod(method)}`);
  return method;
}

/** Hosts that the environment's own credential is meant for: Azure's, and the one that the environment names beside it. */
function isOwnHost(origin: string, environment: Environment): boolean {
  const read = (text: string) => parseAzureUrl(text, { allowInsecure: true });
  const url = read(origin);
  if (url.ok && isAzureHost(url)) return true;
  return azureUrlNames.some((name) => {
    const own = read(environment[name] ?? '');
    return own.ok && own.origin === origin;
  });
}

const identityVariables = [
  'AZURE_CREDENTIAL',
  'AZURE_FEDERATED_TOKEN_FILE',
  'IDENTITY_ENDPOINT',
  'MSI_ENDPOINT',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
];

function hasIdentity(environment: Environment): boolean {
  return firstSet(environment, identityVariables) !== undefined;
}

/**
 * The identity that the platform gives the process, chosen once: `AZURE_CREDENTIAL` names it; else the first that is
 * there of a federated token, a managed identity endpoint, a client secret and a certificate; else, as on a plain virtual
 * machine, the managed identity of the machine (in development, the developer's own sign-in).
 */
export function ambientIdentity(
  context: Pick<CredentialContext, 'environment' | 'fileVariables' | 'profile'>,
  fields: CredentialFields,
): CredentialMethod {
  const { environment } = context;
  const tenantId = fields.tenant_id ?? set(environment, 'AZURE_TENANT_ID');
  const clientId = fields.client_id ?? set(environment, 'AZURE_CLIENT_ID');
  const secret = environmentSecret('AZURE_CLIENT_SECRET', context);
  const certificatePath = set(environment, 'AZURE_CLIENT_CERTIFICATE_PATH');
  const wanted = set(environment, 'AZURE_CREDENTIAL');
  const named =
    wanted && Object.hasOwn(identityKinds, wanted)
      ? identityKinds[wanted as keyof typeof identityKinds]
      : 'default';

  const isWanted = (kind: CredentialMethod['kind'], isThere: boolean) =>
    named === kind || (named === 'default' && isThere);
  if (isWanted('workload-identity', isSet(environment, 'AZURE_FEDERATED_TOKEN_FILE'))) {
    return workloadIdentity(fields, context);
  }
  if (
    isWanted(
      'managed-identity',
      firstSet(environment, ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT']) !== undefined,
    )
  ) {
    return { kind: 'managed-identity', ...optional('clientId', clientId) };
  }
  if (tenantId && clientId && secret && isWanted('client-secret', true)) {
    return { kind: 'client-secret', tenantId, clientId, secret };
  }
  if (tenantId && clientId && certificatePath && isWanted('client-certificate', true)) {
    return { kind: 'client-certificate', tenantId, clientId, certificatePath };
  }
  if (isWanted('developer', context.profile === 'development')) {
    return { kind: 'developer', ...optional('tenantId', tenantId) };
  }
  return { kind: 'managed-identity', ...optional('clientId', clientId) };
}

/** A credential record for one target; records of the same method and scope are one record with several origins. */
export function credentialRecord(
  method: CredentialMethod,
  target: CredentialTarget,
  fields: CredentialFields,
  name: string | undefined,
  environment: Environment,
): CredentialRecord {
  const isEntra = method.kind !== 'api-key' && method.kind !== 'none' && method.kind !== 'token';
  const scope = isEntra
    ? (fields.azure_scope ?? set(environment, 'AZURE_SCOPE') ?? sovereignScope(target.origin))
    : undefined;
  const authorityHost = isEntra ? set(environment, 'AZURE_AUTHORITY_HOST') : undefined;
  const identity = JSON.stringify([method, scope ?? null]);
  return {
    id: name ?? `${method.kind}-${createHash('sha256').update(identity).digest('hex').slice(0, 8)}`,
    method,
    origins: [target.origin],
    ...optional('scope', scope),
    ...optional('authorityHost', authorityHost),
  };
}

/** How a credential signs in, in words; holds no secret. */
export function describeMethod(method: CredentialMethod): string {
  const of = (secret: SecretReference) => {
    if (secret.kind === 'env') return ` (${secret.name})`;
    return secret.kind === 'vault'
      ? ` (${secret.name} of ${new URL(secret.vault).host})`
      : ' (written out)';
  };
  switch (method.kind) {
    case 'api-key':
      return `API key${of(method.key)}`;
    case 'token':
      return `fixed Entra token${of(method.token)}`;
    case 'managed-identity':
      return method.clientId === undefined
        ? 'managed identity'
        : `managed identity ${method.clientId}`;
    case 'workload-identity':
      return 'workload identity';
    case 'client-secret':
      return `client secret${of(method.secret)} of application ${method.clientId}`;
    case 'client-certificate':
      return `certificate of application ${method.clientId}`;
    case 'developer':
      return "the developer's own sign-in";
    case 'none':
      return 'no credential';
  }
}

function usable(
  secret: SecretReference | undefined,
  context: CredentialContext,
): SecretReference | undefined {
  return secret?.kind === 'env' ? reference(secret.name, context) : secret;
}

function environmentSecret(
  name: string,
  context: Pick<CredentialContext, 'environment' | 'fileVariables'>,
): SecretReference | undefined {
  return isSet(context.environment, name) ? reference(name, context) : undefined;
}

function reference(
  name: string,
  { environment, fileVariables }: Pick<CredentialContext, 'environment' | 'fileVariables'>,
): SecretReference {
  return fileVariables.has(name)
    ? { kind: 'inline', value: environment[name] ?? '' }
    : { kind: 'env', name };
}

function sovereignScope(origin: string): string | undefined {
  const cloud = /\.azure\.(us|cn)$/.exec(new URL(origin).hostname)?.[1];
  return cloud === undefined ? undefined : `https://cognitiveservices.azure.${cloud}/.default`;
}

function set(environment: Environment, name: string): string | undefined {
  return isSet(environment, name) ? environment[name]?.trim() : undefined;
}
