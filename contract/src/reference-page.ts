import * as z from 'zod';
import { configSchema } from './config.ts';
import { type KeyMeta, keyMeta } from './config-fields.ts';
import { variableOf, variables } from './environment-config.ts';

type Section = {
  readonly title: string;
  readonly text: string;
  readonly schema: z.ZodObject;
  readonly own?: boolean;
};

type Shape = { readonly [key: string]: z.ZodType };

/**
 * The reference page of the configuration, in Markdown: every key of the schema with its values, its default, and what it
 * does or why it does nothing. The same schema gives the same text.
 */
export function configurationPage(): string {
  const parts = [intro, ...sections().map(renderSection), environmentSection()];
  return `${parts.join('\n\n')}\n`;
}

const intro = `# Configuration

<!-- Written by scripts/reference.ts from contract/src/config.ts; a test fails when it is behind. -->

The gateway reads a LiteLLM \`config.yaml\` (\`--config FILE\`, \`AIGATEWAY_CONFIG\` or \`CONFIG_FILE_PATH\`), the environment, and a
\`.env\` file in its working directory. Without a file three variables are enough: \`AZURE_OPENAI_URL\`, \`AZURE_OPENAI_API_KEY\` and
\`PROXY_API_KEY\`. \`npm start -- --check\` shows what was understood, and every problem at once.

- \`os.environ/NAME\` as a whole value stands for that variable, anywhere. Secrets stay references and are resolved where they are
  used; other values are taken over at the start. An unset variable counts as no value, but where it names a key, a credential or
  an upstream address it is a problem: nothing takes its place.
- A changed file, \`.env\` included, takes effect without a restart, except for what a process takes once: addresses and ports, \`base_path\`,
  \`cors_origins\`, sizes and times of connections, \`trusted_hops\`, \`allowed_ips\`, proxy and authorities. The log names those that changed:
  \`needs a restart: port, cors_origins\`. The environment of the process is read at the start
  alone, and so are \`AIGATEWAY_CONFIG\`, \`AIGATEWAY_PROFILE\`, \`AIGATEWAY_ROLE\` and the secrets.
- Of two values for one setting the environment variable counts before the file, and a variable of the process before \`.env\`.
- Keys of LiteLLM that have no effect here are accepted and listed at the start with the reason. Keys are refused only where
  ignoring them would weaken safety or spend money, and only when they ask for something.
- A mistyped key is a problem with a suggestion; a key that is not known here at all is listed as such.
- A deployment signs in one way. Two ways at once are a problem, and nothing ever falls back to another way.
- Budgets are in US dollars, counted exactly in nano-dollars; windows follow the calendar: \`1d\` begins at midnight, \`7d\` on Monday,
  \`30d\` and \`1mo\` on the first of the month.`;

function sections(): Section[] {
  const model = section(configSchema.shape.model_list);
  const router = section(configSchema.shape.router_settings);
  const settings = section(configSchema.shape.aigateway_settings);
  const project = section(configSchema.shape.projects);
  return [
    { title: 'Top level', text: 'Sections of the file.', schema: configSchema },
    {
      title: 'model_list[]',
      text: 'One deployment; the same `model_name` again makes a group.',
      schema: model,
    },
    {
      title: 'model_list[].litellm_params',
      text: 'Any other key is a request parameter, sent when the caller does not set it: under the name that the operation has for it (`max_tokens` is `max_output_tokens` on responses), and not where the operation does not have it or the model refuses it.',
      schema: section(model.shape['litellm_params']),
    },
    {
      title: 'model_list[].model_info',
      text: 'What is known about the deployment. `supports_*` keys are shown to clients.',
      schema: section(model.shape['model_info']),
    },
    {
      title: 'credential_list[]',
      text: 'Named addresses and credentials.',
      schema: section(configSchema.shape.credential_list),
    },
    {
      title: 'credential_list[].credential_values',
      text: 'Fields that `litellm_params` has as well; those of the deployment count first.',
      schema: section(section(configSchema.shape.credential_list).shape['credential_values']),
    },
    {
      title: 'virtual_keys[]',
      text: 'One key that a caller holds.',
      schema: section(configSchema.shape.virtual_keys),
    },
    { title: 'projects[]', text: 'Keys with a credential and limits in common.', schema: project },
    { title: 'router_settings', text: 'From a model to a deployment.', schema: router },
    {
      title: 'router_settings.routing_strategy_args',
      text: 'What latency-based routing goes by; a group in `routing_groups` may have some of its own. Other strategies take none.',
      schema: section(router.shape['routing_strategy_args']),
    },
    {
      title: 'router_settings.routing_groups[]',
      text: 'Models with a strategy of their own.',
      schema: section(router.shape['routing_groups']),
    },
    {
      title: 'router_settings.retry_policy',
      text: 'Extra attempts by kind of failure.',
      schema: section(router.shape['retry_policy']),
    },
    {
      title: 'router_settings.allowed_fails_policy',
      text: 'Failures in a minute by kind before a deployment rests.',
      schema: section(router.shape['allowed_fails_policy']),
    },
    {
      title: 'litellm_settings',
      text: "LiteLLM's settings of the module.",
      schema: section(configSchema.shape.litellm_settings),
    },
    {
      title: 'general_settings',
      text: "LiteLLM's settings of the server.",
      schema: section(configSchema.shape.general_settings),
    },
    {
      title: 'aigateway_settings',
      text: 'Settings of this gateway. Each is also an environment variable: a list of texts with commas, any other list and a map as JSON.',
      schema: settings,
      own: true,
    },
    {
      title: 'aigateway_settings.default_models',
      text: 'Models of requests that name none.',
      schema: section(settings.shape['default_models']),
    },
  ];
}

/** The map behind a section: through optional and through lists. */
function section(schema: z.ZodType | undefined): z.ZodObject {
  let current = schema;
  for (;;) {
    if (current instanceof z.ZodOptional) current = current.unwrap() as z.ZodType;
    else if (current instanceof z.ZodArray) current = current.element as z.ZodType;
    else if (current instanceof z.ZodObject) return current;
    else throw new TypeError('a section of the reference is no map');
  }
}

function renderSection({ title, text, schema, own }: Section): string {
  const shape = schema.shape as Shape;
  const rows = Object.entries(shape).map(([key, field]): [string, KeyMeta] => {
    const meta = keyMeta(field);
    if (meta === undefined) throw new TypeError(`${title}.${key} has no description`);
    return [key, meta];
  });
  const effective = rows.filter(([, meta]) => meta.status === 'effective');
  const inert = rows.filter(([, meta]) => meta.status === 'inert');
  const refused = rows.filter(([, meta]) => meta.status === 'refused');
  const parts = [`## ${title}`, text];
  if (effective.length > 0) {
    const variable = own === true ? ' Variable |' : '';
    const line = own === true ? ' --- |' : '';
    parts.push(
      [
        `| Key | What it does | Values | Default |${variable}`,
        `| --- | --- | --- | --- |${line}`,
        ...effective.map(
          ([key, meta]) =>
            `| \`${key}\` | ${cell(meta.description)} | ${cell(valuesOf(shape[key], meta))} | ${cell(meta.default ?? '')} |${own === true ? ` \`${variableOf(key)}\` |` : ''}`,
        ),
      ].join('\n'),
    );
  }
  if (inert.length > 0) parts.push(`Without effect:\n\n${list(inert)}`);
  if (refused.length > 0) parts.push(`Refused:\n\n${list(refused)}`);
  return parts.join('\n\n');
}

function valuesOf(field: z.ZodType | undefined, meta: KeyMeta): string {
  if (meta.type !== undefined) return meta.type;
  const inner = field instanceof z.ZodOptional ? field.unwrap() : field;
  return inner instanceof z.ZodArray ? 'a list of maps' : 'a map';
}

/** Keys with the same reason share a line. */
function list(rows: readonly [string, KeyMeta][]): string {
  const byReason = Map.groupBy(rows, ([, meta]) => meta.description);
  return [...byReason]
    .map(([reason, keys]) => `- ${keys.map(([key]) => `\`${key}\``).join(', ')}: ${reason}`)
    .join('\n');
}

function environmentSection(): string {
  const rows = variables.map(({ name, description }) => `| \`${name}\` | ${cell(description)} |`);
  return [
    '## Environment',
    'Besides the variables of `aigateway_settings`:',
    ['| Variable | Meaning |', '| --- | --- |', ...rows].join('\n'),
  ].join('\n\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
