import { DatabaseError, types, type PoolConfig } from 'pg';
import { StoreUnavailableError } from '../entities.ts';

export type PostgresOptions = {
  /**
   * `postgres://user:password@host:port/database?sslmode=…` with the modes of PostgreSQL's own programs: `verify-full` checks the
   * server's certificate and name, `verify-ca` (with `sslrootcert`) its certificate, `require` only encrypts. None means no TLS.
   */
  connectionString: string;
  /** Connections at most. Default 10. */
  connections?: number;
  /** How long the server works on one statement at most. Default 30 s. */
  statementTimeoutMs?: number;
  /** How long a free connection is waited for, or a new one. Default 5 s. */
  connectTimeoutMs?: number;
};

/** Types whose numbers the driver hands on as text, because they may be too large: sums and counts of ours are not. */
const numberTypes: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC]);

/** What the driver is told. */
export function driverOptions({
  connectionString,
  connections = 10,
  statementTimeoutMs = 30_000,
  connectTimeoutMs = 5_000,
}: PostgresOptions): PoolConfig {
  return {
    connectionString: withModesOfPostgres(connectionString),
    max: connections,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // A connection whose server fell silent: the server's own timeout would never come through.
    query_timeout: statementTimeoutMs + connectTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: 'aigateway',
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        numberTypes.has(oid)
          ? Number
          : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  };
}

/** The driver takes every mode for `verify-full` unless it is told to mean what PostgreSQL means. */
function withModesOfPostgres(connectionString: string): string {
  if (!/[?&]sslmode=/.test(connectionString) || /[?&]uselibpqcompat=/.test(connectionString)) {
    return connectionString;
  }
  return `${connectionString}&uselibpqcompat=true`;
}

/** What two transactions that waited for each other, or saw each other's rows, get: another try ends well. */
const retriedCodes: ReadonlySet<string> = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
]);

export function isRetried(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return cause instanceof DatabaseError && retriedCodes.has(cause.code ?? '');
}

/**
 * Codes, by their beginning, for a server that is away or going, full, too slow, not to be written to, or that does not let us in.
 * The rest is a fault of ours.
 */
const unavailableCodes = /^(08|25006|28|3D000|40|53|55P03|57|58)/;

/** An error of the port for one of the driver: what the server has no word on is a connection that failed. */
export function portError(error: unknown): unknown {
  if (error instanceof DatabaseError && !unavailableCodes.test(error.code ?? '')) return error;
  const isTaken = error instanceof DatabaseError && error.code === '55P03';
  const message = isTaken
    ? 'a table of PostgreSQL is in use, by a backup or a long query'
    : 'PostgreSQL cannot be used';
  return new StoreUnavailableError(message, { cause: error });
}
