import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  hashOf,
  rootHash,
  verify,
  type Audit,
  type AuditEntry,
  type AuditRecord,
} from './audit.ts';

const entry: AuditEntry = {
  at: 1,
  actor: 'admin',
  actorRole: 'proxy_admin',
  onBehalfOf: null,
  action: 'created',
  objectKind: 'key',
  objectId: 'key-1',
  route: 'POST /key/generate',
  requestId: 'request-1',
  before: null,
  after: { b: 1, a: [true, 'é'] },
};

function chain(length: number): AuditRecord[] {
  const records: AuditRecord[] = [];
  for (let sequence = 1; sequence <= length; sequence += 1) {
    const next = { ...entry, objectId: `key-${sequence}` };
    const hash = hashOf(records.at(-1)?.hash ?? rootHash, next);
    records.push({ ...next, sequence, hash });
  }
  return records;
}

function auditOf(records: readonly AuditRecord[]): Pick<Audit, 'from'> {
  return {
    from: (sequence, limit) =>
      Promise.resolve(records.filter((record) => record.sequence >= sequence).slice(0, limit)),
  };
}

describe('the hash of an audit record', () => {
  it('is what anybody can work out from an export', () => {
    expect(canonicalJson(entry)).toBe(
      '{"action":"created","actor":"admin","actorRole":"proxy_admin","after":{"a":[true,"é"],"b":1},"at":1,"before":null,"objectId":"key-1","objectKind":"key","onBehalfOf":null,"requestId":"request-1","route":"POST /key/generate"}',
    );
    // printf '%s\n%s' 000… '{"action":…}' | sha256sum
    expect(hashOf(rootHash, entry)).toBe(
      '993ab4e7a3e9dd769bdf8581b4e55aa371cb04298c673e23df37870b27a3929e',
    );
  });

  it('does not depend on the order of members or on undefined ones', () => {
    const { at, ...rest } = entry;
    expect(hashOf(rootHash, { ...rest, at, extra: undefined } as AuditEntry)).toBe(
      hashOf(rootHash, entry),
    );
  });
});

describe('verification of an audit', () => {
  it('finds an untouched chain intact, also over pages', async () => {
    const records = chain(2_001);
    const { sequence, hash } = records.at(-1)!;
    expect(await verify(auditOf(records))).toEqual({ intact: true, newest: { sequence, hash } });
    expect(await verify(auditOf(records), { sequence: 7, hash: records[6]!.hash })).toMatchObject({
      intact: true,
    });
    expect(await verify(auditOf([]))).toEqual({
      intact: true,
      newest: { sequence: 0, hash: rootHash },
    });
  });

  it('names the record that was changed, left out or put in', async () => {
    const records = chain(5);
    const changed = records.with(2, { ...records[2]!, actor: 'somebody else' });
    const forged = records.with(2, {
      ...changed[2]!,
      hash: hashOf(records[1]!.hash, { ...entry, objectId: 'key-3', actor: 'somebody else' }),
    });
    expect(await verify(auditOf(changed))).toEqual({ intact: false, sequence: 3 });
    expect(await verify(auditOf(forged))).toEqual({ intact: false, sequence: 4 });
    expect(await verify(auditOf(records.toSpliced(2, 1)))).toEqual({ intact: false, sequence: 3 });
    expect(await verify(auditOf(records.slice(1)))).toEqual({ intact: false, sequence: 1 });
  });

  it('finds a cut end and a chain made anew by what was noted elsewhere', async () => {
    const records = chain(5);
    const noted = { sequence: 5, hash: records[4]!.hash };
    expect(await verify(auditOf(records.slice(0, 3)), noted)).toEqual({
      intact: false,
      sequence: 4,
    });
    const first = { ...entry, actor: 'somebody else' };
    const anew = [{ ...first, sequence: 1, hash: hashOf(rootHash, first) }];
    expect(await verify(auditOf(anew), { sequence: 1, hash: records[0]!.hash })).toEqual({
      intact: false,
      sequence: 1,
    });
  });
});
