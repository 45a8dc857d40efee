import {
  errorDefinitions,
  errorMessage,
  type ErrorCode,
  type ErrorEnvelope,
} from '@aigateway/contract/errors';

export type GatewayErrorOptions = {
  /** Fills the placeholders of the table's message. Shown to the caller: never a key, a prompt, a host or a deployment name. */
  values?: Record<string, string | number>;
  /** The request parameter that the error is about. */
  param?: string;
  /** For refusals that end by themselves: how long the caller should wait. */
  retryAfterMs?: number;
  /** Replaces the table's status where it is configurable. */
  status?: number;
  /** Extra response headers, names in lower case. */
  headers?: Record<string, string>;
  /** Logged, never sent. */
  cause?: unknown;
};

/** An error of the gateway's own: status, type and public text come from the contract's table. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly param: string | null;
  readonly retryAfterMs: number | undefined;
  readonly headers: Record<string, string>;
  /** What the message was filled with. */
  readonly values: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    super(errorMessage(code, options.values), { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.status = options.status ?? errorDefinitions[code].status;
    this.param = options.param ?? null;
    this.retryAfterMs = options.retryAfterMs;
    this.headers = options.headers ?? {};
    this.values = options.values ?? {};
  }

  get layer(): string {
    return errorDefinitions[this.code].layer;
  }

  /** The body that the caller sees. */
  envelope(): ErrorEnvelope {
    const { status, type } = errorDefinitions[this.code];
    // With a status that blames the request in place of the gateway, the type does so too.
    const isTurned = status >= 500 && this.status < 500;
    return {
      error: {
        message: this.message,
        type: isTurned ? 'invalid_request_error' : type,
        param: this.param,
        code: this.code,
      },
    };
  }
}
