/**
 * Which api-versions of Azure OpenAI are pinned here, and which newer ones Azure has published since. Nothing breaks by a newer one;
 * pinned ones are retired some day, and by then somebody should have tried the next.
 *
 *   { gh api "$specifications/stable"; gh api "$specifications/preview"; } … | node scripts/azure/api-versions.ts
 *
 * Names of published versions come as lines on standard input. Exit code 2 when there is a newer one than a pinned one.
 */
import { text } from 'node:stream/consumers';
import { lastDatedVersion } from '../../contract/src/compile-address.ts';
import { allConfigurations } from '../../cdktf/src/clients.ts';

/** A dated version, and what asks for it. */
export type Pinned = { readonly where: string; readonly version: string };

const dated = /^\d{4}-\d{2}-\d{2}(-preview)?$/;

/** Published later: of a stable version only stable ones count, for whoever chose it wants no preview. */
export function newerThan(version: string, published: readonly string[]): string[] {
  const isStable = !version.endsWith('-preview');
  return published
    .filter((one) => dated.test(one) && one.slice(0, 10) > version.slice(0, 10))
    .filter((one) => !isStable || !one.endsWith('-preview'))
    .toSorted();
}

/** The same as Markdown, a line for each place. */
export function versionReport(pinned: readonly Pinned[], published: readonly string[]): string {
  const lines = pinned.map(({ where, version }) => {
    const newer = newerThan(version, published);
    return `| ${where} | ${version} | ${newer.length === 0 ? 'none' : newer.join(', ')} |`;
  });
  return ['| where | pinned | newer |', '|---|---|---|', ...lines, ''].join('\n');
}

/** The version that the gateway takes where an address names a deployment and none, and those of every environment. */
export async function pinnedVersions(): Promise<Pinned[]> {
  const ofClients = (await allConfigurations()).flatMap(({ client, environment, openai }) =>
    openai.flatMap(({ region, deployments }) =>
      deployments.flatMap(({ name, apiVersion }) =>
        apiVersion !== undefined && dated.test(apiVersion)
          ? [{ where: `${client}/${environment}, ${name} in ${region}`, version: apiVersion }]
          : [],
      ),
    ),
  );
  return [{ where: 'the gateway, by default', version: lastDatedVersion }, ...ofClients];
}

if (import.meta.main) {
  const published = (await text(process.stdin)).split(/\s+/).filter((name) => name !== '');
  const pinned = await pinnedVersions();
  process.stdout.write(versionReport(pinned, published));
  if (published.length === 0) {
    process.stderr.write('no published version was given\n');
    process.exitCode = 1;
  } else if (pinned.some(({ version }) => newerThan(version, published).length > 0)) {
    process.exitCode = 2;
  }
}
