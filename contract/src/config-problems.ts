/** Where in the configuration: keys and list positions, or one environment variable as `['$NAME']`. */
export type ConfigPath = readonly (string | number)[];

/** Why the gateway does not start. Holds no secret value. */
export type Problem = {
  readonly path: ConfigPath;
  readonly message: string;
  readonly hint?: string;
};

/** What someone should know who starts it: a decision taken, a key without effect, a risk. Holds no secret value. */
export type Notice = {
  readonly level: 'info' | 'warning';
  /** `inert`: the key has no effect here; `decision`: something was chosen that the configuration left open. */
  readonly code: 'inert' | 'unknown' | 'decision' | 'risk';
  readonly path: ConfigPath;
  readonly message: string;
};

/** Collects everything that is to be reported, so that all of it is reported at once. */
export type Report = {
  readonly problems: Problem[];
  readonly notices: Notice[];
  problem(path: ConfigPath, message: string, hint?: string): void;
  notice(code: Notice['code'], path: ConfigPath, message: string): void;
};

/** An empty report, or one that goes on from another and leaves that as it is. */
export function createReport(from?: Report): Report {
  const problems: Problem[] = [...(from?.problems ?? [])];
  const notices: Notice[] = [...(from?.notices ?? [])];
  const noticed = new Set(notices.map(textOf));
  return {
    problems,
    notices,
    problem: (path, message, hint) => {
      problems.push(hint === undefined ? { path, message } : { path, message, hint });
    },
    notice: (code, path, message) => {
      const level = code === 'risk' || code === 'unknown' ? 'warning' : 'info';
      const text = textOf({ path, message });
      if (noticed.has(text)) return;
      noticed.add(text);
      notices.push({ level, code, path, message });
    },
  };
}

/** A path as people write it: `model_list[0].litellm_params.rpm`, or the name of an environment variable. */
export function formatPath(path: ConfigPath): string {
  const [first] = path;
  if (typeof first === 'string' && first.startsWith('$')) return first;
  const text = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? 'the configuration' : text;
}

/** One problem in one line, with the line of the file it is in when that is known. */
export function formatProblem(problem: Problem, line?: number): string {
  const place = line === undefined ? '' : ` (line ${line})`;
  const hint = problem.hint === undefined ? '' : ` ${problem.hint}`;
  return `${formatPath(problem.path)}${place}: ${problem.message}.${hint}`;
}

/** One notice in one line. */
export function formatNotice(notice: Notice): string {
  return textOf(notice);
}

function textOf({ path, message }: Pick<Notice, 'path' | 'message'>): string {
  return `${formatPath(path)}: ${message}`;
}

/**
 * What was found, as far as it may be shown: never a text that could be a secret or part of one.
 *
 * @returns the value itself for numbers, booleans and short plain words, else what kind of value it is
 */
export function showFound(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value !== 'string') return `a ${typeof value}`;
  return /^[\w .:-]{0,15}$/.test(value) && !/sk-|key|secret|token/i.test(value)
    ? JSON.stringify(value)
    : `a text of ${value.length} characters`;
}
