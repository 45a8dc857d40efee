import { configure } from './compile.ts';
import { type ConfigPath, formatPath, formatProblem, type Problem } from './config-problems.ts';
import { parseConfig } from './parse-config.ts';
import type { JsonObject } from './records.ts';

/** What the configuration file's own checks say of one entry that did not come from a file. */
export type EntryFindings = {
  /** Why the file would not be taken with it, one text each. Hold no secret value. */
  readonly problems: readonly string[];
  /** Paths of fields that do nothing. */
  readonly ignored: readonly string[];
};

/** @param entry - with what is sent alone: what a deployment has from elsewhere, its address among it, is not asked for */
export function deploymentFindings(entry: JsonObject): EntryFindings {
  const raw = { model_list: [entry] };
  const { problems, notices } = parseConfig(raw).report;
  const unknown = problems.filter(isUnknown).filter(({ path }) => path[2] === 'model_info');
  // Whether there is such an upstream hangs on nothing else; of what else is compiled, the rest of the configuration decides.
  const provider = configure(raw, {}).problems.filter(
    ({ path }) => path[2] === 'litellm_params' && path[3] === 'model',
  );
  const wrong = problems.filter((problem) => !unknown.includes(problem));
  const idle = notices.filter(
    // Other parameters are sent upstream.
    ({ code, path }) => code === 'inert' || (code === 'unknown' && path[2] !== 'litellm_params'),
  );
  return {
    problems: [...new Set([...wrong, ...provider].map(inEntry))],
    ignored: [...idle, ...unknown].map(fieldOf),
  };
}

/** @param values - of a credential, those that are sent */
export function credentialFindings(values: JsonObject): EntryFindings {
  const entry = { credential_name: 'sent', credential_values: values };
  const { problems } = parseConfig({ credential_list: [entry] }).report;
  return {
    problems: problems.filter((problem) => !isUnknown(problem)).map(inEntry),
    ignored: problems.filter(isUnknown).map(fieldOf),
  };
}

function isUnknown({ message }: Problem): boolean {
  return message === 'is not a known key';
}

function fieldOf({ path }: { readonly path: ConfigPath }): string {
  return formatPath(path.slice(2));
}

function inEntry(problem: Problem): string {
  return formatProblem({ ...problem, path: problem.path.slice(2) });
}
