import type { Payload, Reply } from './reply.ts';

/** A refusal thrown anywhere below the server and written as it stands. */
export class AzureError extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`HTTP ${String(reply.status)}`);
    this.name = 'AzureError';
    this.reply = reply;
  }
}

function refusal(status: number, value: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers, payload: { kind: 'json', value } };
}

function bare(status: number, payload: Payload): Reply {
  return { status, headers: {}, payload };
}

/** The older envelope: code and message only. */
export function frontEndError(status: number, code: string, message: string): AzureError {
  return new AzureError(refusal(status, { error: { code, message } }));
}

/** The newer, OpenAI-like envelope. */
export function modelError(
  status: number,
  error: {
    message: string;
    type?: string | null;
    param?: string | null;
    code?: string | null;
    [more: string]: unknown;
  },
): AzureError {
  const { message, type = 'invalid_request_error', param = null, code = null, ...rest } = error;
  return new AzureError(refusal(status, { error: { message, type, param, code, ...rest } }));
}

/** Wrong path, retired or missing api-version: Azure does not tell them apart. */
export const resourceNotFound = (): AzureError => frontEndError(404, '404', 'Resource not found');

/** The host name belongs to no resource. */
export const subdomainUnknown = (): AzureError =>
  frontEndError(404, '404', 'Subdomain does not map to a resource.');

/** No deployment of that name in the resource. */
export const deploymentNotFound = (): AzureError =>
  frontEndError(
    404,
    'DeploymentNotFound',
    'The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.',
  );

/** A dated version on the v1 surface. */
export const versionNotSupported = (): AzureError =>
  frontEndError(400, 'BadRequest', 'API version not supported');

/** The version is served but too old for `subject`, e.g. `Model o4-mini`. */
export const versionTooOld = (subject: string, since: string): AzureError =>
  frontEndError(
    400,
    'BadRequest',
    `${subject} is enabled only for api versions ${since} and later`,
  );

/** The model does not answer this operation, e.g. `chatCompletion`. */
export const operationNotSupported = (label: string, model: string): AzureError =>
  frontEndError(
    400,
    'OperationNotSupported',
    `The ${label} operation does not work with the specified model, ${model}. Please choose different model and try again. You can learn more about which models can be used with each operation here: https://go.microsoft.com/fwlink/?linkid=2197993.`,
  );

/** A parameter the operation does not know. `path` may lead into the body: `messages[0].content[1].x`. */
export const unknownParameter = (path: string): AzureError =>
  modelError(400, {
    message: `Unknown parameter: '${path}'.`,
    param: path,
    code: 'unknown_parameter',
  });

/** A parameter that must be there. */
export const missingParameter = (path: string): AzureError =>
  modelError(400, {
    message: `Missing required parameter: '${path}'.`,
    param: path,
    code: 'missing_required_parameter',
  });

/** A value of the right type that is not among those supported. */
export const invalidValue = (
  path: string,
  value: string,
  supported: readonly string[],
): AzureError =>
  modelError(400, {
    message: `Invalid value: '${value}'. Supported values are: ${supported.map((name) => `'${name}'`).join(', ')}.`,
    param: path,
    code: 'invalid_value',
  });

/** A value of the wrong type, e.g. expected `a string`, got `an integer`. */
export const invalidType = (path: string, expected: string, got: string): AzureError =>
  modelError(400, {
    message: `Invalid type for '${path}': expected ${expected}, but got ${got} instead.`,
    param: path,
    code: 'invalid_type',
  });

/** A parameter the model refuses; `instead` names its replacement. */
export const unsupportedParameter = (path: string, instead?: string): AzureError =>
  modelError(400, {
    message: `Unsupported parameter: '${path}' is not supported with this model.${instead === undefined ? '' : ` Use '${instead}' instead.`}`,
    param: path,
    code: 'unsupported_parameter',
  });

/** A value the model refuses although other models take it. */
export const unsupportedValue = (path: string, value: unknown): AzureError =>
  modelError(400, {
    message: `Unsupported value: '${path}' does not support ${JSON.stringify(value)} with this model. Only the default (1) value is supported.`,
    param: path,
    code: 'unsupported_value',
  });

/** Any other fault of the request itself. */
export const invalidRequest = (message: string, param: string | null = null): AzureError =>
  modelError(400, { message, param, code: null });

/** More custom headers than the front end forwards: an answer without a body. */
export const tooManyHeaders = (): AzureError => new AzureError(bare(431, { kind: 'empty' }));

/** Key unknown. */
export const invalidKey = (): AzureError =>
  frontEndError(
    401,
    '401',
    'Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.',
  );

/** Token missing, expired, of a wrong audience or unreadable: the one shape without an `error` member. */
export const invalidToken = (): AzureError =>
  new AzureError(
    refusal(401, {
      statusCode: 401,
      message:
        'Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.',
    }),
  );

/** The identity holds no role on the resource. */
export const roleMissing = (): AzureError =>
  frontEndError(401, 'PermissionDenied', 'Principal does not have access to API/Operation.');

/** The same, in the newer words that tell the principal. */
export const dataActionMissing = (principal: string): AzureError =>
  frontEndError(
    401,
    'PermissionDenied',
    `The principal \`${principal}\` lacks the required data action \`Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action\` to perform \`POST /openai/deployments/{deployment-id}/chat/completions\` operation.`,
  );

/** Token of a tenant other than the resource's. */
export const tenantMismatch = (): AzureError =>
  frontEndError(400, 'BadRequest', 'Tenant provided in token does not match resource token');

/** Tokens need a custom subdomain. */
export const subdomainNeeded = (): AzureError =>
  frontEndError(
    400,
    'BadRequest',
    'Please provide a custom subdomain for token authentication, otherwise API key is required.',
  );

/** Keys are switched off by policy. */
export const keyAuthDisabled = (): AzureError =>
  frontEndError(
    403,
    'AuthenticationTypeDisabled',
    'Key based authentication is disabled for this resource.',
  );

/** Encrypted reasoning of another key domain. */
export const invalidEncryptedContent = (content: string): AzureError =>
  modelError(400, {
    message: `The encrypted content ${content.slice(0, 4)}...${content.slice(-2)} could not be verified. Reason: Encrypted content could not be decrypted or parsed.`,
    code: 'invalid_encrypted_content',
  });

/** The response to continue is not in this resource. */
export const previousResponseNotFound = (id: string): AzureError =>
  modelError(400, {
    message: `Previous response with id '${id}' not found.`,
    param: 'previous_response_id',
    code: 'previous_response_not_found',
  });

/** An item to refer to is not in this resource. */
export const itemNotFound = (id: string): AzureError =>
  modelError(404, {
    message: `Item with id '${id}' not found. Items are not persisted when \`store\` is set to false. Try again with \`store\` set to true, or remove this item from your input.`,
    param: 'input',
  });

/** A stored response is not in this resource. */
export const responseNotFound = (id: string): AzureError =>
  modelError(404, { message: `Response with id '${id}' not found.` });

/** Prompt too long, in the words of chat and completions. */
export const contextLengthExceeded = (window: number, tokens: number): AzureError =>
  modelError(400, {
    message: `This model's maximum context length is ${String(window)} tokens. However, your messages resulted in ${String(tokens)} tokens. Please reduce the length of the messages.`,
    param: 'messages',
    code: 'context_length_exceeded',
  });

/** Prompt too long, in the words of Responses. */
export const contextWindowExceeded = (): AzureError =>
  modelError(400, {
    message:
      'Your input exceeds the context window of this model. Please adjust your input and try again.',
    param: 'input',
    code: 'context_length_exceeded',
  });

/** Prompt too long for a provisioned deployment that serves a shorter window than its model. */
export const provisionedContextExceeded = (): AzureError =>
  modelError(400, {
    message:
      'The request exceeds the maximum context length supported by this provisioned deployment.',
    param: 'messages',
    code: 'context_length_exceeded',
  });
