import { pino, type Logger as PinoLogger } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** Log lines about the gateway itself: JSON, one line each. Calls have a log of their own. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  level: string;
};

/**
 * @param write - takes whole lines; standard output unless a test collects them
 */
export function createLogger(level: LogLevel, write?: (line: string) => void): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // Only name and message of an error: stacks of client libraries hold URLs and headers.
    serializers: { error: describeError },
  };
  return write === undefined ? pino(options) : pino(options, { write });
}

/** What may be logged of a cause. */
export type Cause = { name: string; message: string; code?: string };

/** Name, message and code of an error, without query strings. */
export function describeError(error: unknown): Cause {
  if (!(error instanceof Error)) return { name: 'unknown', message: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const message = messageOf(error)
    .replace(/\?[^\s"']*/g, '?…')
    .slice(0, 500);
  return code === undefined ? { name: error.name, message } : { name: error.name, message, code };
}

/**
 * A connection that failed at every address of a host says why in its parts alone; what cannot be parsed is quoted in the error,
 * and may be content.
 */
function messageOf(error: Error): string {
  if (error instanceof SyntaxError) return error.message.replace(/["'][^]*["']/, '…');
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message;
  return error.errors
    .map((part: unknown) => (part instanceof Error ? part.message : ''))
    .join('; ');
}
