import { describe, expect, it } from 'vitest';
import { tally } from './test-report.mjs';

const file = (status, ...statuses) => ({
  name: '/p/a.test.ts',
  status,
  message: status === 'failed' ? 'cannot load' : '',
  assertionResults: statuses.map((one, at) => ({ status: one, fullName: `t${at}` })),
});

describe('totals of a test run', () => {
  it('counts each state and names what was skipped or is still to do', () => {
    const report = { testResults: [file('failed', 'passed', 'failed', 'skipped', 'todo')] };
    expect(tally(report, 1, '/p')).toEqual({
      passed: 1,
      failed: 1,
      skipped: ['a.test.ts > t2', 'a.test.ts > t3'],
      problems: [],
    });
  });

  it('counts a file that cannot be loaded as a failure', () => {
    const result = tally({ testResults: [file('failed'), file('passed', 'passed')] }, 1, '/p');
    expect(result).toMatchObject({ passed: 1, failed: 1 });
    expect(result.problems).toEqual(['FAILED a.test.ts: cannot load']);
  });

  it('counts an error outside the tests as a failure', () => {
    expect(tally({ testResults: [file('passed', 'passed')] }, 1, '/p').failed).toBe(1);
  });

  it('does not call a run without tests or without a report a success', () => {
    expect(tally({ testResults: [] }, 0, '/p').failed).toBe(1);
    expect(tally({ testResults: [file('passed', 'skipped')] }, 0, '/p').failed).toBe(1);
    expect(tally(undefined, 134, '/p').failed).toBe(1);
  });
});
