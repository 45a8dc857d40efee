import { createHash } from 'node:crypto';

import type { Clock } from './clock.ts';
import type { ResolvedConfig } from './config.ts';
import type { Disturbed } from './fault-effects.ts';
import type { Fault } from './faults.ts';
import type { IdentityService } from './identity.ts';
import { jsonReply } from './reply.ts';
import type { Reply } from './reply.ts';

/** A request to the vault. */
export type VaultRequest = {
  method: string;
  path: string;
  apiVersion: string | null;
  authorization: string | undefined;
};

/** A simulated Key Vault: secrets with versions, read by their name. */
export interface Vault {
  answer(request: VaultRequest, fault: Fault | undefined): Disturbed;
  /** A new version; the ones before stay readable by their id. */
  set(name: string, value: string): void;
  /** @throws {Error} for an unknown secret */
  remove(name: string, how: 'disabled' | 'deleted'): void;
}

type Version = { id: string; value: string; createdAt: number; enabled: boolean };

type Parts = { identity: IdentityService; clock: Clock; origin: () => string };

const AUDIENCE = 'https://vault.azure.net';

/** @see https://learn.microsoft.com/rest/api/keyvault/versions */
const API_VERSIONS = ['7.0', '7.1', '7.2', '7.3', '7.4', '7.5', '7.6', '2025-07-01'];

/** Creates the vault of a configuration; undefined where there is none. */
export function createVault(config: ResolvedConfig['vault'], parts: Parts): Vault | undefined {
  if (config === undefined) return undefined;
  const { identity, clock, origin } = parts;
  const secrets = new Map<string, Version[]>();

  const set: Vault['set'] = (name, value) => {
    const versions = secrets.get(name.toLowerCase()) ?? [];
    const seed = `${name}/${String(versions.length)}`;
    const id = createHash('sha256').update(seed).digest('hex').slice(0, 32);
    versions.push({ id, value, createdAt: Math.floor(clock.now() / 1000), enabled: true });
    secrets.set(name.toLowerCase(), versions);
  };
  for (const [name, value] of Object.entries(config.secrets)) set(name, value);

  /** The refusal of a caller who may not read, or undefined. */
  const refusal = (authorization: string | undefined): Reply | undefined => {
    const token = /^bearer\s+(.+)$/i.exec(authorization ?? '')?.[1];
    const claims = token === undefined ? undefined : identity.read(token);
    const isValid =
      claims !== undefined &&
      claims.audience.replace(/\/$/, '') === AUDIENCE &&
      claims.tenant === config.tenant &&
      claims.expiresAt * 1000 > clock.now();
    if (!isValid) {
      const challenge = `Bearer authorization="${origin()}/${config.tenant}", resource="${AUDIENCE}"`;
      const reply = failure(
        401,
        'Unauthorized',
        token === undefined
          ? 'AKV10000: Request is missing a Bearer or PoP token.'
          : 'AKV10022: Invalid audience, tenant or lifetime of the token.',
      );
      reply.headers['www-authenticate'] = challenge;
      return reply;
    }
    const may = config.readers?.includes(claims.clientId) ?? true;
    return may
      ? undefined
      : failure(
          403,
          'Forbidden',
          `Caller is not authorized to perform action on resource. Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'. Caller: appid=${claims.clientId}.`,
          'ForbiddenByRbac',
        );
  };

  const read = ({ method, path, apiVersion, authorization }: VaultRequest): Reply => {
    const refused = refusal(authorization);
    if (refused !== undefined) return refused;
    if (apiVersion === null || !API_VERSIONS.includes(apiVersion)) {
      return failure(
        400,
        'BadParameter',
        apiVersion === null
          ? 'api-version must be specified'
          : `The specified version (${apiVersion}) is not recognized. Consider using the latest supported version (7.6).`,
      );
    }
    const [, , name = '', versionId = '', ...more] = path.split('/');
    if (method !== 'GET' || name === '' || more.length > 0)
      return failure(405, 'MethodNotAllowed', 'The requested resource does not support this.');
    const versions = secrets.get(name.toLowerCase()) ?? [];
    const found =
      versionId === '' ? versions.at(-1) : versions.find((version) => version.id === versionId);
    if (found === undefined) {
      return failure(
        404,
        'SecretNotFound',
        `A secret with (name/id) ${name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.`,
      );
    }
    if (!found.enabled) {
      return failure(
        403,
        'Forbidden',
        'Operation get is not allowed on a disabled secret.',
        'SecretDisabled',
      );
    }
    const { id, value, createdAt } = found;
    return jsonReply(200, {
      value,
      id: `${origin()}/secrets/${name}/${id}`,
      attributes: {
        enabled: true,
        created: createdAt,
        updated: createdAt,
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
      },
      tags: {},
    });
  };

  return {
    set,
    remove(name, how) {
      const newest = secrets.get(name.toLowerCase())?.at(-1);
      if (newest === undefined) throw new Error(`no secret ${name}`);
      if (how === 'disabled') newest.enabled = false;
      else secrets.delete(name.toLowerCase());
    },
    answer(request, fault) {
      const reply = read(request);
      switch (fault?.kind) {
        case undefined:
        case 'stream-error':
          return { reply };
        case 'rate-limit': {
          const wait = Math.ceil(fault.retryAfterMs / 1000);
          const throttled = failure(
            429,
            'Throttled',
            'Request was not processed because too many requests were received.',
          );
          throttled.headers['retry-after'] = String(wait);
          return { reply: throttled, fault: fault.kind };
        }
        case 'error':
          return {
            reply: failure(503, 'ServiceUnavailable', 'The service is temporarily unavailable.'),
            fault: fault.kind,
          };
        case 'cut':
        case 'stall':
        case 'reset':
          return { reply, disturbance: fault, fault: fault.kind };
      }
    },
  };
}

function failure(status: number, code: string, message: string, inner?: string): Reply {
  return jsonReply(status, {
    error: { code, message, ...(inner === undefined ? {} : { innererror: { code: inner } }) },
  });
}
