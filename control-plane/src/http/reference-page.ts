import type * as z from 'zod';
import { effectOf } from './fields.ts';
import { openApiPath } from './openapi.ts';
import { policies, type Route } from './route.ts';

const intro = `# Management API

<!-- Written by scripts/reference.ts from the routes of the control plane; a test fails when it is behind. -->

LiteLLM's management API, and \`/manage\`, which is this gateway's own. The same in OpenAPI 3.1 at \`/openapi.json\`, with every schema.
What differs from LiteLLM and why: [from LiteLLM](../guides/from-litellm.md#management-api).

- A key in \`Authorization: Bearer\`, or in one of the other headers that the [proxy](proxy-api.md) takes. Rights are those of the key's
  user, and never more than those of who made the key.
- JSON in, JSON out. No object of a body has a key twice: 400, because readers disagree about which one counts. LiteLLM's routes ignore fields and query parameters they do not know and name them, and those without effect, in the answer's
  \`x-aigateway-ignored\` (\`update_fields.tags\` is a field of a field); routes of our own refuse such fields with 422. A field that asks for a protection there is not here is refused with 400.
- A field that the caller may not set is 403; what the caller may not see is answered as what does not exist.
- Every route that writes leaves one record in the audit log. With the store away the answer is 503, \`no_db_connection\`; model traffic goes on.
- On \`/manage\`: \`Idempotency-Key\`, for a day and one key of the gateway: the same request has one effect and the same answer, but that a secret is not
  shown again; another one is 422. \`ETag\` of what is read, with \`If-None-Match\` (304), and of what was written; \`If-Match\` (412 when it was
  changed meanwhile; what it spent is no change). Paging by \`after\` and \`next\`.`;

/** The reference page of the management API, in Markdown. The same routes give the same text. */
export function adminApiPage(routes: readonly Route[]): string {
  const sections = Map.groupBy(routes, ({ paths }) => sectionOf(paths[0] ?? ''));
  return `${[
    intro,
    rolesSection(),
    ...[...sections].map(([name, own]) =>
      [`## ${name}`, table(own), ...own.flatMap(fieldsOf)].join('\n\n'),
    ),
  ].join('\n\n')}\n`;
}

function sectionOf(path: string): string {
  const [first = '', second = ''] = path.split('/').filter((part) => !/^(v\d+)?$/.test(part));
  if (first === 'manage') return `manage/${second}`;
  return first === 'openapi.json' || first === 'routes' ? 'description' : first;
}

function rolesSection(): string {
  const rows = Object.values(policies).map(({ name, text }) => `| ${name} | ${text} |`);
  return ['## Who may call', ['| | |', '| --- | --- |', ...rows].join('\n')].join('\n\n');
}

function table(routes: readonly Route[]): string {
  const rows = routes.map(({ method, paths, summary, policy, effect }) => {
    const names = paths.map((path) => `\`${method.toUpperCase()} ${openApiPath(path)}\``);
    const audited = effect === 'read' ? '' : effect.action;
    return `| ${names.join('<br>')} | ${summary} | ${policy.name} | ${audited} |`;
  });
  return ['| Route | What it does | Who | Audited as |', '| --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}

/** What a body may hold, by what becomes of it. */
function fieldsOf({ method, paths, body }: Route): string[] {
  if (body === undefined) return [];
  const fields = Object.entries(body.shape as { [name: string]: z.ZodType });
  const names = (...effects: ReturnType<typeof effectOf>[]) =>
    fields
      .filter(([, field]) => effects.includes(effectOf(field)))
      .map(([name, field]) => `\`${name}\`${field.safeParse(undefined).success ? '' : '\\*'}`)
      .join(', ');
  const parts = [
    names(undefined),
    names('inert', 'shown') && `without effect: ${names('inert', 'shown')}`,
    names('refused') && `refused: ${names('refused')}`,
  ].filter((part) => part !== '');
  if (parts.length === 0) return [];
  return [`\`${method.toUpperCase()} ${openApiPath(paths[0] ?? '')}\`: ${parts.join('; ')}`];
}
