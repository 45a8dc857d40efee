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
  /** For refusals that end by themselves: how long the caller should wait; Infinity = no wait helps. */
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

  /** Where the caller is at fault, not the table's type for the case in which the gateway is. */
  get #type(): string {
    const { status, type } = errorDefinitions[this.code];
    return status >= 500 && this.status < 500 ? 'invalid_request_error' : type;
  }

  /** The body that the caller sees. */
  envelope(): ErrorEnvelope {
    return {
      error: {
        message: this.message,
        type: this.#type,
        param: this.param,
        code: this.code,
      },
    };
  }
}

/** A parameter of the request that cannot be what it is. */
export function invalidParameter(param: string, reason: string): GatewayError {
  return new GatewayError('invalid_parameter', { param, values: { reason } });
}

/** A path that is served, but not with this method. @param allowed - those it is served with */
export function methodNotAllowed(method: string, allowed: string): GatewayError {
  return new GatewayError('method_not_allowed', {
    values: { method, allowed },
    headers: { allow: allowed },
  });
}

/** A model that does not exist, or of which the caller must not know. The name is the caller's, of any length. */
export function modelNotFound(name: string): GatewayError {
  return new GatewayError('model_not_found', {
    values: { model: name.slice(0, 80) },
    param: 'model',
  });
}
