import { describe, expect, it } from 'vitest';
import { hasLoss, summaryOf, type Plan } from '../plan-summary.ts';

const change = (
  address: string,
  actions: string[],
  before: object | null,
  after: object | null,
) => ({
  address,
  change: { actions, before: before as never, after: after as never },
});

const plan: Plan = {
  resource_changes: [
    change('azurerm_b.new', ['create'], null, { name: 'n' }),
    change('azurerm_a.same', ['no-op'], { name: 'n' }, { name: 'n' }),
    change('azurerm_d.read', ['read'], null, { name: 'n' }),
    change(
      'azurerm_c.secret',
      ['update'],
      { value: 'hush', tags: { a: '1' }, name: 'n' },
      { value: 'silence', tags: { a: '1' }, name: 'n' },
    ),
    change('azurerm_z.store', ['delete', 'create'], { name: 'n' }, { name: 'm' }),
    change('azurerm_y.gone', ['delete'], { name: 'n' }, null),
  ],
};

describe('the summary of a plan', () => {
  it('has what is lost first, names what differs, and shows no value', () => {
    expect(summaryOf(plan, 'prod')).toBe(`## prod: 4 changes

| | resource | members |
|---|---|---|
| **destroy** | \`azurerm_y.gone\` |  |
| **replace** | \`azurerm_z.store\` |  |
| update | \`azurerm_c.secret\` | value |
| create | \`azurerm_b.new\` |  |
`);
  });

  it('is the same text whatever the order of the same changes', () => {
    const turned = { resource_changes: plan.resource_changes!.toReversed() };
    expect(summaryOf(turned, 'prod')).toBe(summaryOf(plan, 'prod'));
  });

  it('is another for another image, and shows no other variable', () => {
    const withImage = (value: string) => ({
      variables: { image: { value }, password: { value: 'hush' } },
    });
    expect(summaryOf(withImage('r/a@sha256:1'), 'dev')).toBe(
      '## dev: 0 changes\n\n`r/a@sha256:1`\n',
    );
    expect(summaryOf(withImage('r/a@sha256:2'), 'dev')).not.toBe(
      summaryOf(withImage('r/a@sha256:1'), 'dev'),
    );
  });

  it('knows whether something is lost, also by being made anew', () => {
    const without = (...lost: string[]) => ({
      resource_changes: plan.resource_changes!.filter(({ address }) => !lost.includes(address)),
    });
    expect(hasLoss(without())).toBe(true);
    expect(hasLoss(without('azurerm_y.gone'))).toBe(true);
    expect(hasLoss(without('azurerm_z.store'))).toBe(true);
    expect(hasLoss(without('azurerm_y.gone', 'azurerm_z.store'))).toBe(false);
  });

  it('says that nothing changes', () => {
    expect(summaryOf({}, 'dev')).toBe('## dev: 0 changes\n');
  });
});
