import type { Bridge } from './bridge.ts';
import { chatCompletion } from './chat-responses-answer.ts';
import { responsesRequest } from './chat-responses-request.ts';
import { ResponsesToChatStream } from './chat-responses-stream.ts';
import { chatToResponses } from './parameter-tables.ts';

/** Chat clients on deployments that answer on responses only. */
export const chatOverResponses: Bridge = {
  from: 'chat',
  to: 'responses',
  tables: [chatToResponses],
  request: responsesRequest,
  response: chatCompletion,
  stream: (context) => new ResponsesToChatStream(context),
};
