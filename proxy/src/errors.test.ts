import { describe, expect, it } from 'vitest';
import { GatewayError } from './errors.ts';

describe('the type of an error', () => {
  it.each([
    [503, 'internal_server_error'],
    [400, 'invalid_request_error'],
  ])('blames whom the status %d blames', (status, type) => {
    const error = new GatewayError('no_deployment', {
      status,
      values: { model: 'a', reason: 'b' },
    });
    expect(error.envelope().error).toMatchObject({ code: 'no_deployment', type });
  });

  it('stays where only the number of a refusal is configured', () => {
    const error = new GatewayError('budget_exceeded', { status: 422 });
    expect(error.envelope().error.type).toBe('budget_exceeded');
  });
});
