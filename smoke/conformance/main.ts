/**
 * `npm run conformance`: asks a gateway, the simulator or Azure itself a list of questions and holds every answer and stream event
 * against the schemas of an OpenAPI document.
 */
import { commandOptions } from '../../scripts/command-options.ts';
import { type ApiDocument, loadDocument } from './document.ts';
import { exchanges, type Models } from './exchanges.ts';
import { explain, readExplanations } from './explanations.ts';
import {
  bearer,
  type OwnTarget,
  simulatedModels,
  startGatewayTarget,
  startSimulatorTarget,
} from './own-target.ts';
import { runExchanges } from './run-exchanges.ts';
import { createValidator } from './validator.ts';
import type { Violation } from './violation.ts';

const help = `npm run conformance -- --openapi FILE [options]

  --openapi FILE     OpenAPI document, JSON or YAML: OpenAI's own, Azure's v1, or one of a dated Azure api-version
  --target NAME      gateway (before a simulator; default) or simulator, started for this run
  --base-url URL     ask this address instead, as the kind of target named; the document's paths are appended to it
  --key KEY          its key
  --chat-model NAME --embeddings-model NAME --completions-model NAME   its models
                     (default: ${Object.values(simulatedModels).join(', ')})
  --only TEXT        exchanges with TEXT in their name, and those they need
  --explained        also lists deviations that explained.json explains

Exit code 1 when an answer deviates from the document without an explanation.
`;

const options = commandOptions(help, {
  openapi: { type: 'string' },
  target: { type: 'string', default: 'gateway' },
  'base-url': { type: 'string' },
  key: { type: 'string', default: '' },
  'chat-model': { type: 'string', default: simulatedModels.chat },
  'embeddings-model': { type: 'string', default: simulatedModels.embeddings },
  'completions-model': { type: 'string', default: simulatedModels.completions },
  only: { type: 'string', default: '' },
  explained: { type: 'boolean', default: false },
});

async function start(document: ApiDocument): Promise<OwnTarget> {
  const baseUrl = options['base-url'];
  if (baseUrl !== undefined) {
    const models: Models = {
      chat: options['chat-model'],
      embeddings: options['embeddings-model'],
      completions: options['completions-model'],
    };
    const headers = bearer(options.key);
    return { baseUrl: baseUrl.replace(/\/$/, ''), headers, models, stop: () => Promise.resolve() };
  }
  if (options.target === 'simulator') return startSimulatorTarget(document);
  if (options.target === 'gateway') return startGatewayTarget(document);
  throw new Error(`--target is gateway or simulator, not ${options.target}`);
}

async function run(file: string): Promise<number> {
  const document = loadDocument(file);
  const asked = exchanges.filter(({ name }) => name.includes(options.only));
  const needed = new Set(asked.flatMap(({ needs }) => needs ?? []));
  const chosen = exchanges.filter(
    (one) => asked.includes(one) || (one.keeps !== undefined && needed.has(one.keeps)),
  );
  const target = await start(document);
  console.log(`${document.name} against ${target.baseUrl}\n`);
  try {
    const validate = createValidator(document.schemas);
    const outcomes = await runExchanges(chosen, document, target, validate);
    for (const { exchange, checked, left, violations } of outcomes) {
      const note = left === undefined ? '' : ` (${left})`;
      const mark = violations.length > 0 ? '✗' : left === undefined ? '✓' : '-';
      console.log(`${mark} ${exchange}: ${checked} checked${note}`);
    }
    const violations = outcomes.flatMap((outcome) => outcome.violations);
    const ran = outcomes.filter(({ left }) => left === undefined).map(({ exchange }) => exchange);
    const sorted = explain(violations, readExplanations(), {
      document: document.name,
      target: options.target,
      exchanges: ran,
    });
    if (options.explained) print('explained', sorted.explained);
    print('not explained', sorted.unexplained);
    for (const { exchange, at, reason } of sorted.unused) {
      console.log(`explained, but not seen: ${exchange} ${at} (${reason})`);
    }
    const checked = outcomes.reduce((sum, outcome) => sum + outcome.checked, 0);
    console.log(
      `\n${checked} answers and events checked, ${sorted.explained.length} deviations explained, ${sorted.unexplained.length} not`,
    );
    return sorted.unexplained.length > 0 || checked === 0 ? 1 : 0;
  } finally {
    await target.stop();
  }
}

/** One line per kind of deviation, with how often it occurred. */
function print(heading: string, violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  console.log(`\n${heading}:`);
  const kinds = Map.groupBy(violations, ({ exchange, at, message }) =>
    JSON.stringify([exchange, at, message]),
  );
  for (const same of kinds.values()) {
    const { exchange, at, message } = same[0]!;
    const times = same.length > 1 ? ` (${same.length} times)` : '';
    console.log(`  ${exchange}: ${at} ${message}${times}`);
  }
}

if (options.openapi === undefined) {
  console.error(help);
  process.exitCode = 1;
} else {
  try {
    process.exitCode = await run(options.openapi);
  } catch (error) {
    console.error(`Cannot check: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
