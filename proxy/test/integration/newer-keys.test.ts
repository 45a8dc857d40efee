import { hashSecret } from '@aigateway/contract/key';
import { SnapshotUnavailableError, type FoundKey } from '@aigateway/contract/snapshot';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const secret = 'sk-newer-0123456789abcdef';
let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

/** A gateway that is told of a key when it asks for it. */
async function startWith(findKey: () => Promise<FoundKey | undefined>): Promise<void> {
  gateway = await startGatewayUnderTest({
    deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
    ports: { findKey },
  });
}

const statusOfCall = async () =>
  (await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'), { key: secret })).status;

const found = { key: keyRecord({ keyId: 'newer', secret }), revision: 7 };

describe('a key that is looked up', () => {
  it('works at once when it is newer than all that is known', async () => {
    await startWith(() => Promise.resolve(found));
    expect(await statusOfCall()).toBe(200);
  });

  it.each([
    ['blocked', keyRecord({ keyId: 'newer', secret, blocked: true })],
    ['removed', undefined],
  ])('stays %s when the proxy was told so while it asked', async (_, key) => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<FoundKey>();
    await startWith(() => {
      asked.resolve();
      return answer.promise;
    });
    const status = statusOfCall();
    await asked.promise;
    gateway.proxy.apply({ kind: 'key', revision: 8, keyId: 'newer', key });
    answer.resolve(found);
    expect(await status).toBe(401);
    expect(await statusOfCall()).toBe(401);
  });

  it('is not one whose secret has ended, which is known and refused', async () => {
    let asked = 0;
    gateway = await startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
      keys: [{ ...keyRecord(), secrets: [{ hash: hashSecret(secret), notAfter: Date.now() - 1 }] }],
      ports: {
        findKey: () => {
          asked += 1;
          return Promise.reject(new SnapshotUnavailableError('older'));
        },
      },
    });
    expect([await statusOfCall(), asked]).toEqual([401, 0]);
  });
});
