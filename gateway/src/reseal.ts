import type { JsonObject } from '@aigateway/contract/records';
import { mapTexts } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import { jobEntry } from '@aigateway/control-plane/audit/job-entry';
import { put } from '@aigateway/control-plane/http/view';
import { ConflictError, type Change, type Entities } from '@aigateway/control-plane/store/entities';

/** `plan` says what `apply` would do. */
export type ResealAction = 'plan' | 'apply';

/** The secrets of a store, by what opens them. */
export type ResealReport = {
  /** Sealed with the key in use. */
  current: number;
  /** Sealed with an earlier key; by `apply` anew. */
  outdated: number;
  /** Entries with secrets that no known key opens. */
  lost: string[];
};

/**
 * Seals every secret of a store with the key in use. What no key opens stays as it is and is reported. May be broken off and begun
 * again at any time, and run beside control planes: an entry that changes meanwhile is read again. One that came to its end leaves a
 * record in the audit.
 */
export async function reseal(
  entities: Entities,
  sealer: Sealer,
  action: ResealAction,
): Promise<ResealReport> {
  const report: ResealReport = { current: 0, outdated: 0, lost: [] };
  for (const kind of ['model', 'credential'] as const) {
    for await (const { id } of entities.all(kind)) {
      const entry = await resealEntry(entities, sealer, { kind, id, action });
      report.current += entry.current;
      report.outdated += entry.outdated;
      if (entry.lost > 0) report.lost.push(`${kind} ${id}`);
    }
  }
  if (action === 'apply') {
    const entry = jobEntry({
      action: 'resealed',
      objectId: 'secrets',
      option: '--reseal',
      result: report,
    });
    await entities.write([], entry);
  }
  return report;
}

type Entry = {
  readonly kind: 'model' | 'credential';
  readonly id: string;
  readonly action: ResealAction;
};

type Counts = { current: number; outdated: number; lost: number };

async function resealEntry(entities: Entities, sealer: Sealer, entry: Entry): Promise<Counts> {
  for (;;) {
    const counts: Counts = { current: 0, outdated: 0, lost: 0 };
    const change = await changeOf(entities, entry, (params) => resealed(params, sealer, counts));
    if (change === undefined || counts.outdated === 0 || entry.action === 'plan') return counts;
    try {
      await entities.write([change]);
      return counts;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

/** The write that replaces an entry's parameters, over the version read; undefined when the entry is gone. */
async function changeOf(
  entities: Entities,
  { kind, id }: Entry,
  next: (params: JsonObject) => JsonObject,
): Promise<Change | undefined> {
  if (kind === 'model') {
    const stored = await entities.get(kind, id);
    if (stored === undefined) return undefined;
    const { version, document } = stored;
    const litellm_params = next(document.litellm_params);
    return { ...put(kind, id, { ...document, litellm_params }), expected: version };
  }
  const stored = await entities.get(kind, id);
  if (stored === undefined) return undefined;
  const { version, document } = stored;
  const credential_values = next(document.credential_values);
  return { ...put(kind, id, { ...document, credential_values }), expected: version };
}

function resealed(params: JsonObject, sealer: Sealer, counts: Counts): JsonObject {
  return mapTexts(params, (text) => {
    if (!sealer.isSealed(text)) return text;
    const secret = sealer.unseal(text);
    if (secret === undefined) counts.lost += 1;
    else if (sealer.isOutdated(text)) {
      counts.outdated += 1;
      return sealer.seal(secret);
    } else counts.current += 1;
    return text;
  }) as JsonObject;
}

/** The report in lines for the operator. */
export function resealLines(report: ResealReport, action: ResealAction): string[] {
  const { current, outdated, lost } = report;
  const lines = [
    `${current} secrets are sealed with the key in use.`,
    `${outdated} secrets ${action === 'apply' ? 'were sealed anew' : 'are to be sealed anew'}.`,
  ];
  if (lost.length === 0)
    return action === 'apply' ? [...lines, 'Earlier keys are needed no more.'] : lines;
  return [
    ...lines,
    `No key opens the secrets of ${lost.length} entries, which are left as they are:`,
    ...lost.map((name) => `  ${name}`),
    'Add the key that sealed them to LITELLM_SALT_KEY_PREVIOUS, or give these entries their secrets anew.',
  ];
}
