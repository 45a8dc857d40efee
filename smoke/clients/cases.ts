import { expect } from 'vitest';
import { run } from './child-process.ts';
import type { Command } from './child-process.ts';

/** What the cases of a program came to. */
export type Cases = {
  /** The value of a case. @throws {Error} with the program's own error when the case failed or never ran */
  value(name: string): unknown;
  /** The error of a case. @throws {Error} when the case did not fail */
  failure(name: string): Failure;
};

/** An error as the program saw it. */
export type Failure = { type: string; message: string; status?: number; retryAfter?: string };

type Line = { case: string; value?: unknown; error?: Failure };

/** How long a program may take for all its cases, unless it says otherwise. */
const usualLimitMs = 120_000;

/**
 * Runs a program that writes one JSON line for each of its cases: `{"case", "value"}` or `{"case", "error"}`.
 *
 * @throws {Error} with what it wrote when it ends badly
 */
export async function runCases(command: Command, limitMs = usualLimitMs): Promise<Cases> {
  const { status, stdout, stderr } = await run(command, limitMs);
  expect({ status, stderr: status === 0 ? '' : stderr.slice(-3000) }).toEqual({
    status: 0,
    stderr: '',
  });
  const lines = new Map<string, Line>();
  for (const text of stdout.split('\n')) {
    if (!text.startsWith('{"case"')) continue;
    const line = JSON.parse(text) as Line;
    lines.set(line.case, line);
  }
  const lineOf = (name: string): Line => {
    const line = lines.get(name);
    if (line === undefined)
      throw new Error(`no case ${name}; there are: ${[...lines.keys()].join(', ')}`);
    return line;
  };
  return {
    value: (name) => {
      const { value, error } = lineOf(name);
      if (error !== undefined) throw new Error(`${error.type}: ${error.message}`);
      return value;
    },
    failure: (name) => {
      const { value, error } = lineOf(name);
      if (error === undefined) throw new Error(`no error but ${JSON.stringify(value)}`);
      return error;
    },
  };
}
