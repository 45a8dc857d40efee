import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Catalogue } from '@aigateway/contract/snapshot';
import { describeError } from '@aigateway/proxy/telemetry/logger';
import { keptSecret } from '../data-directory.ts';
import { sealerOf } from '../sealer.ts';
import { rootSecrets } from '../start.ts';
import { openSnapshot, storePlace, type StorePlace } from '../store-place.ts';
import { catalogueOf } from '../stored-catalogue.ts';
import { counted } from './configuration.ts';
import { about, type Finding, type Patient } from './finding.ts';
import { ownSecrets } from './report.ts';

export type Upstreams = Pick<Catalogue, 'deployments' | 'credentials'>;

/**
 * The upstreams of the configuration and those that the store holds besides. The store is read as it stands, and stays so.
 *
 * @returns also what of the store cannot be used; where it cannot be read, that
 */
export async function withStored(
  patient: Patient,
): Promise<{ upstreams: Upstreams; found: readonly Finding[] }> {
  const { configuration, environment } = patient;
  const { records, server } = configuration.compiled;
  const found: Finding[] = [];
  let place: StorePlace;
  try {
    place = storePlace(server, environment);
  } catch {
    // The check of the store tells.
    return { upstreams: records, found };
  }
  if (place.kind === 'sqlite' && !existsSync(place.path)) return { upstreams: records, found };
  const onProblem = (message: string): void => {
    const { warning } = about('store', 'entries');
    found.push(warning(`one is not used: ${message}`, 'Change it over the management API.'));
  };
  try {
    const sealer = sealerOf({ environment, secret: secretOf(patient) });
    const store = await openSnapshot(place);
    try {
      const upstreams = await catalogueOf(configuration, store.entities, sealer, onProblem);
      const lost = upstreams.credentials
        .flatMap(ownSecrets)
        .filter((text) => sealer.isSealed(text));
      if (lost.length > 0) found.push(cannotBeOpened(lost.length));
      return { upstreams, found };
    } finally {
      await store.close();
    }
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    const { warning } = about('upstream', 'models of the store');
    const words = describeError(cause ?? error).message;
    return {
      upstreams: records,
      found: [
        warning(
          `are not looked at: ${words}`,
          'Set right what is said of the store; a start makes what its schema lacks.',
        ),
      ],
    };
  }
}

function cannotBeOpened(count: number): Finding {
  return about('store', 'secrets').failed(
    `${counted(count, 'secret')} cannot be opened: another AIGATEWAY_SECRET or LITELLM_SALT_KEY sealed what is there`,
    'Give the process that one, or send the credentials anew over the management API.',
  );
}

/** A developer's gateway keeps its own. @throws {Error} when there is none */
function secretOf({ configuration, environment }: Patient): { current: string; previous?: string } {
  const { server } = configuration.compiled;
  const isKept = server.secret === undefined && server.profile === 'development';
  const current = isKept ? keptSecret(resolve(server.dataDir), 'secret') : undefined;
  return current === undefined ? rootSecrets(server, environment) : { current };
}
