// Runs in a process of its own: managed identities are cached for a whole process, and certificates are trusted from its start.
import { createCredentials } from '../../src/upstream/credential.ts';
import type { CredentialRecord } from '@aigateway/contract/records';

const record = JSON.parse(process.argv[2] ?? '') as CredentialRecord;
const origin = record.origins[0] ?? '';
let passed = 0;
const events: string[] = [];
const credentials = createCredentials({
  clock: { now: () => Date.now() + passed },
  environment: process.env,
  onEvent: (event) =>
    events.push('error' in event ? `${event.type}: ${event.error.message}` : event.type),
});
const value = async (): Promise<string | undefined> => {
  try {
    return (await credentials.get(record, origin, 'v1').header())?.value;
  } catch (error) {
    return error instanceof Error ? error.name : 'thrown';
  }
};

const parallel = await Promise.all(Array.from({ length: 5 }, value));
passed += 60_000;
await credentials.get(record, origin, 'v1').renew();
const renewed = await value();
// Past the time to refresh, before the end: an hour-long token.
passed += 3_600_000 - 60_000 - 200_000;
const whileRefreshing = await value();
await credentials.warm();
await credentials.get(record, origin, 'v1').renew();
const refreshed = await value();
process.stdout.write(JSON.stringify({ parallel, renewed, whileRefreshing, refreshed, events }));
