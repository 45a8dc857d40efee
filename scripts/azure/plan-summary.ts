/**
 * What a plan of Terraform would change, as Markdown for reviewers, without any value but the image: plans hold secrets. The same changes give the
 * same text, so that what was approved can be compared with what is about to be applied.
 *
 *   terraform show -json PLAN | node scripts/azure/plan-summary.ts STACK [--without-loss]
 *
 * With --without-loss the exit code is 1 where something would be destroyed or replaced.
 */
import { text } from 'node:stream/consumers';
import { isDeepStrictEqual, parseArgs } from 'node:util';

type Values = { readonly [member: string]: unknown } | null;

/** The part of Terraform's JSON output that is read. */
export type Plan = {
  /** The one variable that is no secret and says what would be deployed. */
  readonly variables?: { readonly image?: { readonly value: string } };
  readonly resource_changes?: readonly {
    readonly address: string;
    readonly change: {
      readonly actions: readonly string[];
      readonly before: Values;
      readonly after: Values;
    };
  }[];
};

/** Loss comes first: a reviewer must not have to look for it. */
const verbs = ['destroy', 'replace', 'update', 'create'] as const;

function verbOf(actions: readonly string[]): (typeof verbs)[number] | undefined {
  if (actions.includes('create') && actions.includes('delete')) return 'replace';
  if (actions.includes('delete')) return 'destroy';
  if (actions.includes('create')) return 'create';
  return actions.includes('update') ? 'update' : undefined;
}

function differing(before: Values, after: Values): string {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  return [...names]
    .filter((name) => !isDeepStrictEqual(before?.[name], after?.[name]))
    .toSorted()
    .join(', ');
}

function changesOf(
  plan: Plan,
): { verb: (typeof verbs)[number]; address: string; members: string }[] {
  return (plan.resource_changes ?? []).flatMap(({ address, change }) => {
    const verb = verbOf(change.actions);
    if (verb === undefined) return [];
    const members = verb === 'update' ? differing(change.before, change.after) : '';
    return [{ verb, address, members }];
  });
}

/** Whether the plan destroys something, also what it makes anew. */
export function hasLoss(plan: Plan): boolean {
  return changesOf(plan).some(({ verb }) => verb === 'destroy' || verb === 'replace');
}

/** The image, and one line for each resource that would change: how, which, and the names of the members that differ. */
export function summaryOf(plan: Plan, stack: string): string {
  const changes = changesOf(plan);
  const counted = `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`;
  const lines = [`## ${stack}: ${counted}`];
  const image = plan.variables?.image?.value;
  // Without it two merges would have the same summary, and the approval of one would do for the other.
  if (image !== undefined) lines.push('', `\`${image}\``);
  if (changes.length > 0) lines.push('', '| | resource | members |', '|---|---|---|');
  for (const verb of verbs) {
    const ofVerb = changes.filter((change) => change.verb === verb);
    for (const { address, members } of ofVerb.toSorted((a, b) =>
      a.address < b.address ? -1 : 1,
    )) {
      const shown = verb === 'destroy' || verb === 'replace' ? `**${verb}**` : verb;
      lines.push(`| ${shown} | \`${address}\` | ${members} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { 'without-loss': { type: 'boolean', default: false } },
  });
  const plan = JSON.parse(await text(process.stdin)) as Plan;
  process.stdout.write(summaryOf(plan, positionals[0] ?? ''));
  if (values['without-loss'] && hasLoss(plan)) {
    process.stderr.write(
      'Something would be lost, which nobody has approved: run the deployment again.\n',
    );
    process.exitCode = 1;
  }
}
