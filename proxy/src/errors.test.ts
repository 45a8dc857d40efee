import { describe, expect, it } from 'vitest';
import { GatewayError } from './errors.ts';

describe('an error whose status is not the one of the table', () => {
  it('has the type of a mistake of the caller where it is one', () => {
    const type = (status?: number) =>
      new GatewayError('no_deployment', status === undefined ? {} : { status }).envelope().error
        .type;
    expect(type()).toBe('internal_server_error');
    expect(type(400)).toBe('invalid_request_error');
  });

  it('keeps the type that clients branch on', () => {
    for (const status of [400, 422, 429])
      expect(new GatewayError('budget_exceeded', { status }).envelope().error.type).toBe(
        'budget_exceeded',
      );
  });
});
