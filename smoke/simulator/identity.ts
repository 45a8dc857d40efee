import { generateKeyPair, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import type { Clock } from './clock.ts';
import type { ResolvedConfig } from './config.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { jsonReply } from './reply.ts';
import type { Reply } from './reply.ts';

type Identity = ResolvedConfig['identity']['identities'][number];

/** What an access token says. */
export type TokenClaims = {
  audience: string;
  tenant: string;
  clientId: string;
  /** Seconds since 1970. */
  expiresAt: number;
};

/** A request to the identity service. */
export type IdentityRequest = {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
  body: string;
};

/** The simulated Entra: issues tokens by every route Azure offers and recognises them again. */
export interface IdentityService {
  /** Answers a token, discovery or key-set request; undefined when the path is none of them. */
  answer(request: IdentityRequest): Promise<Reply | undefined>;
  /** The claims of a token signed here, expired or not; undefined for anything else. */
  read(token: string): TokenClaims | undefined;
  /** Issues a token outright. `lifetimeSeconds` may be negative, for an expired one. */
  issue(claims: {
    audience: string;
    tenant?: string;
    clientId?: string;
    lifetimeSeconds?: number;
  }): Promise<string>;
  /** The identity with that client id, or undefined. */
  find(clientId: string): Identity | undefined;
}

const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const KEY_ID = 'simulated-signing-key';

/**
 * Creates the service; its RSA key is made when the first token is asked for.
 *
 * @param origin - address of the simulator, the beginning of every issuer name
 */
export function createIdentityService(
  settings: ResolvedConfig['identity'],
  clock: Clock,
  origin: () => string,
): IdentityService {
  let keys: Promise<{ privateKey: KeyObject; publicKey: KeyObject }> | undefined;
  let publicKey: KeyObject | undefined;
  const verified = new Map<string, TokenClaims>();

  const signingKeys = async (): Promise<{ privateKey: KeyObject; publicKey: KeyObject }> => {
    keys ??= promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
    const pair = await keys;
    publicKey = pair.publicKey;
    return pair;
  };
  const find = (clientId: string): Identity | undefined =>
    settings.identities.find((identity) => identity.clientId === clientId);
  const managed = (clientId: string | null): Identity | undefined =>
    settings.identities.find(
      (identity) => identity.managed && (clientId === null || identity.clientId === clientId),
    );
  const nowSeconds = (): number => Math.floor(clock.now() / 1000);

  const issue: IdentityService['issue'] = async (claims) => {
    const { privateKey } = await signingKeys();
    const now = nowSeconds();
    const clientId = claims.clientId ?? settings.identities[0]?.clientId ?? '';
    const tenant = claims.tenant ?? find(clientId)?.tenant ?? '';
    const header = { typ: 'JWT', alg: 'RS256', kid: KEY_ID };
    const payload = {
      aud: claims.audience,
      iss: `${origin()}/${tenant}/v2.0`,
      iat: now,
      nbf: now,
      exp: now + (claims.lifetimeSeconds ?? settings.tokenLifetimeSeconds),
      appid: clientId,
      azp: clientId,
      oid: clientId,
      sub: clientId,
      tid: tenant,
      ver: '2.0',
    };
    const signed = `${encode(header)}.${encode(payload)}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
  };

  const read: IdentityService['read'] = (token) => {
    const known = verified.get(token);
    if (known !== undefined) return known;
    const [header, payload, signature, ...more] = token.split('.');
    if (publicKey === undefined || !header || !payload || !signature || more.length > 0)
      return undefined;
    const genuine = verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      publicKey,
      Buffer.from(signature, 'base64url'),
    );
    if (!genuine) return undefined;
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as JsonObject;
    const found: TokenClaims = {
      audience: String(claims['aud']),
      tenant: String(claims['tid']),
      clientId: String(claims['appid']),
      expiresAt: Number(claims['exp']),
    };
    verified.set(token, found);
    return found;
  };

  const answer: IdentityService['answer'] = async (request) => {
    if (request.path === '/msi/token') return await appServiceToken(request);
    if (request.path === '/metadata/identity/oauth2/token')
      return await virtualMachineToken(request);
    const [, tenant = '', ...rest] = request.path.split('/');
    switch (rest.join('/')) {
      case 'oauth2/v2.0/token':
        return await clientCredentialsToken(tenant, new URLSearchParams(request.body));
      case 'v2.0/.well-known/openid-configuration':
        return jsonReply(200, discovery(tenant, origin()));
      case 'discovery/v2.0/keys': {
        const { publicKey: key } = await signingKeys();
        const jwk = key.export({ format: 'jwk' });
        return jsonReply(200, { keys: [{ ...jwk, kid: KEY_ID, use: 'sig', alg: 'RS256' }] });
      }
      default:
        return undefined;
    }
  };

  /** Container Apps, App Service and Functions. */
  const appServiceToken = async (request: IdentityRequest): Promise<Reply> => {
    if (request.headers['x-identity-header'] !== settings.header) {
      return jsonReply(401, {
        statusCode: 401,
        message: 'The X-IDENTITY-HEADER is missing or wrong.',
      });
    }
    const resource = request.query.get('resource');
    if (resource === null || request.query.get('api-version') === null) {
      return jsonReply(400, { statusCode: 400, message: 'resource and api-version are required.' });
    }
    const identity = managed(request.query.get('client_id'));
    if (identity === undefined) {
      return jsonReply(400, {
        statusCode: 400,
        message:
          'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.',
      });
    }
    return jsonReply(200, {
      access_token: await issue({ audience: resource, clientId: identity.clientId }),
      expires_on: String(nowSeconds() + settings.tokenLifetimeSeconds),
      resource,
      token_type: 'Bearer',
      client_id: identity.clientId,
    });
  };

  /** IMDS; numbers are strings there. */
  const virtualMachineToken = async (request: IdentityRequest): Promise<Reply> => {
    if (request.headers['metadata']?.toLowerCase() !== 'true') {
      return jsonReply(400, {
        error: 'invalid_request',
        error_description: 'Required metadata header not specified',
      });
    }
    const resource = request.query.get('resource');
    if (resource === null) {
      return jsonReply(400, {
        error: 'invalid_request',
        error_description: 'Required query variable resource is missing',
      });
    }
    const identity = managed(request.query.get('client_id'));
    if (identity === undefined) {
      return jsonReply(400, { error: 'invalid_request', error_description: 'Identity not found' });
    }
    const lifetime = settings.tokenLifetimeSeconds;
    return jsonReply(200, {
      access_token: await issue({ audience: resource, clientId: identity.clientId }),
      client_id: identity.clientId,
      expires_in: String(lifetime),
      expires_on: String(nowSeconds() + lifetime),
      ext_expires_in: String(lifetime),
      not_before: String(nowSeconds() - 300),
      resource,
      token_type: 'Bearer',
    });
  };

  /** Client secret and workload identity. */
  const clientCredentialsToken = async (tenant: string, form: URLSearchParams): Promise<Reply> => {
    if (form.get('grant_type') !== 'client_credentials') {
      return oauthError(
        400,
        'unsupported_grant_type',
        'AADSTS70003: The app requested an unsupported grant type.',
      );
    }
    const scope = form.get('scope') ?? '';
    if (!scope.endsWith('/.default')) {
      return oauthError(
        400,
        'invalid_scope',
        `AADSTS70011: The provided value for the input parameter 'scope' is not valid: ${scope}`,
      );
    }
    const identity = find(form.get('client_id') ?? '');
    if (identity === undefined || identity.tenant !== tenant) {
      return oauthError(
        400,
        'unauthorized_client',
        `AADSTS700016: Application was not found in the directory '${tenant}'.`,
      );
    }
    if (!isProven(identity, form)) {
      return oauthError(
        401,
        'invalid_client',
        'AADSTS7000215: Invalid client secret or assertion provided.',
      );
    }
    const lifetime = settings.tokenLifetimeSeconds;
    return jsonReply(200, {
      token_type: 'Bearer',
      expires_in: lifetime,
      ext_expires_in: lifetime,
      access_token: await issue({
        audience: scope.slice(0, -'/.default'.length),
        tenant,
        clientId: identity.clientId,
      }),
    });
  };

  return { answer, read, issue, find };
}

function isProven(identity: Identity, form: URLSearchParams): boolean {
  const assertion = form.get('client_assertion');
  if (assertion !== null) {
    if (form.get('client_assertion_type') !== CLIENT_ASSERTION_TYPE) return false;
    return identity.federatedToken === undefined
      ? assertion !== ''
      : assertion === identity.federatedToken;
  }
  return identity.secret !== undefined && form.get('client_secret') === identity.secret;
}

function oauthError(status: number, error: string, description: string): Reply {
  return jsonReply(status, { error, error_description: description });
}

function discovery(tenant: string, origin: string): JsonObject {
  return {
    issuer: `${origin}/${tenant}/v2.0`,
    token_endpoint: `${origin}/${tenant}/oauth2/v2.0/token`,
    jwks_uri: `${origin}/${tenant}/discovery/v2.0/keys`,
    authorization_endpoint: `${origin}/${tenant}/oauth2/v2.0/authorize`,
    response_types_supported: ['code', 'id_token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** True for text with the three parts of a JWT. */
export function looksLikeToken(text: string): boolean {
  const [header = ''] = text.split('.');
  if (text.split('.').length !== 3) return false;
  try {
    return isObject(JSON.parse(Buffer.from(header, 'base64url').toString('utf8')));
  } catch {
    return false;
  }
}
