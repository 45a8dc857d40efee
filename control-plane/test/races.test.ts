import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Documents, Kind } from '../src/store/documents.ts';
import { indexes, type Change } from '../src/store/entities.ts';
import type { Store } from '../src/store/store.ts';
import { type Answer, makeUser, type Management, startManagement } from './management.ts';

/** A request: its route, its body, and whose key it comes with where it is not the master key. */
type Asked = readonly [route: string, body?: object, key?: string];

type Race = {
  /** What the holder is called in the title. */
  readonly holder: string;
  /** Gives something to the holder. */
  readonly give: Asked | ((api: Management) => Promise<Asked>);
  /** Takes the holder away. */
  readonly take: Asked | ((api: Management) => Promise<Asked>);
};

const team: Asked = ['POST /team/delete', { team_ids: ['t'] }];
const user: Asked = ['POST /user/delete', { user_ids: ['u'] }];
const organization: Asked = ['DELETE /organization/delete', { organization_ids: ['o'] }];
const budget: Asked = ['POST /budget/delete', { id: 'b' }];
const credential: Asked = ['DELETE /credentials/c'];
const group = async (api: Management): Promise<Asked> => [
  `DELETE /v1/access_group/${await groupId(api)}`,
];
const member = { role: 'user', user_id: 'u' };
const deployment = { model: 'azure/d', litellm_credential_name: 'c' };

async function groupId(api: Management): Promise<string> {
  return (await api.get('/v1/access_group')).body[0].access_group_id;
}

const withGroup =
  (route: string, body: object) =>
  async (api: Management): Promise<Asked> => [
    route,
    { ...body, access_group_ids: [await groupId(api)] },
  ];

/** Every route that makes one thing hang on another, or moves it there, with the one that takes the other away. */
const races: readonly Race[] = [
  { holder: 'team', give: ['POST /key/generate', { team_id: 't' }], take: team },
  { holder: 'team', give: ['POST /key/service-account/generate', { team_id: 't' }], take: team },
  {
    holder: 'team',
    give: ['POST /key/update', { key: 'sk-key-of-nobody', team_id: 't' }],
    take: team,
  },
  {
    holder: 'team',
    give: ['POST /key/bulk_update', { keys: [{ key: 'sk-key-of-nobody', team_id: 't' }] }],
    take: team,
  },
  {
    holder: 'team',
    give: ['POST /key/sk-key-of-nobody/regenerate', { team_id: 't' }],
    take: team,
  },
  {
    holder: 'team, by its administrator',
    give: async (api) => {
      const key = await makeUser(api, 'lead', 'internal_user');
      await api.post('/team/member_add', {
        team_id: 't',
        member: { role: 'admin', user_id: 'lead' },
      });
      return ['POST /key/generate', { team_id: 't' }, key];
    },
    take: team,
  },
  { holder: 'team', give: ['POST /team/member_add', { team_id: 't', member }], take: team },
  {
    holder: 'team',
    give: ['POST /team/bulk_member_add', { team_id: 't', members: [member] }],
    take: team,
  },
  { holder: 'team', give: ['POST /user/new', { user_id: 'n', teams: ['t'] }], take: team },
  { holder: 'team', give: ['POST /user/new', { user_id: 'n', team_id: 't' }], take: team },
  {
    holder: 'team',
    give: ['POST /v1/access_group', { access_group_name: 'n', assigned_team_ids: ['t'] }],
    take: team,
  },
  {
    holder: 'project',
    give: ['POST /manage/tokens', { project_id: 't' }],
    take: ['DELETE /manage/projects/t'],
  },
  { holder: 'user', give: ['POST /key/generate', { user_id: 'u' }], take: user },
  {
    holder: 'user',
    give: ['POST /key/update', { key: 'sk-key-of-nobody', user_id: 'u' }],
    take: user,
  },
  {
    holder: 'user, by itself',
    give: async (api) => {
      const { body } = await api.post('/key/generate', { user_id: 'u' });
      return ['POST /key/generate', {}, body.key];
    },
    take: user,
  },
  {
    holder: 'user',
    give: ['POST /team/new', { team_id: 'n', members_with_roles: [member] }],
    take: user,
  },
  { holder: 'user', give: ['POST /team/member_add', { team_id: 't', member }], take: user },
  {
    holder: 'user',
    give: ['POST /team/bulk_member_add', { team_id: 't', members: [member] }],
    take: user,
  },
  {
    holder: 'user',
    give: [
      'POST /organization/member_add',
      { organization_id: 'o', member: { ...member, role: 'internal_user' } },
    ],
    take: user,
  },
  { holder: 'user', give: ['POST /user/update', { user_id: 'u', user_alias: 'U' }], take: user },
  {
    holder: 'user',
    give: ['POST /user/bulk_update', { users: [{ user_id: 'u', user_alias: 'U' }] }],
    take: user,
  },
  {
    holder: 'organization',
    give: ['POST /key/generate', { organization_id: 'o' }],
    take: organization,
  },
  {
    holder: 'organization',
    give: ['POST /key/update', { key: 'sk-key-of-nobody', organization_id: 'o' }],
    take: organization,
  },
  {
    holder: 'organization',
    give: ['POST /team/new', { organization_id: 'o' }],
    take: organization,
  },
  {
    holder: 'organization',
    give: ['POST /team/update', { team_id: 't', organization_id: 'o' }],
    take: organization,
  },
  { holder: 'organization', give: ['PATCH /team/t', { organization_id: 'o' }], take: organization },
  {
    holder: 'organization',
    give: [
      'POST /organization/member_add',
      { organization_id: 'o', member: { ...member, role: 'internal_user' } },
    ],
    take: organization,
  },
  {
    holder: 'organization',
    give: ['POST /user/new', { user_id: 'n', organizations: ['o'] }],
    take: organization,
  },
  { holder: 'budget', give: ['POST /key/generate', { budget_id: 'b' }], take: budget },
  {
    holder: 'budget',
    give: ['POST /key/update', { key: 'sk-key-of-nobody', budget_id: 'b' }],
    take: budget,
  },
  {
    holder: 'budget',
    give: ['POST /customer/new', { user_id: 'n', budget_id: 'b' }],
    take: budget,
  },
  {
    holder: 'budget',
    give: ['POST /customer/update', { user_id: 'e', budget_id: 'b' }],
    take: budget,
  },
  { holder: 'budget', give: ['POST /tag/new', { name: 'n', budget_id: 'b' }], take: budget },
  { holder: 'budget', give: ['POST /tag/update', { name: 'tag', budget_id: 'b' }], take: budget },
  {
    holder: 'budget',
    give: ['POST /organization/new', { organization_alias: 'N', budget_id: 'b' }],
    take: budget,
  },
  {
    holder: 'budget',
    give: ['PATCH /organization/update', { organization_id: 'o', budget_id: 'b' }],
    take: budget,
  },
  {
    holder: 'access group',
    give: withGroup('POST /key/update', { key: 'sk-key-of-nobody' }),
    take: group,
  },
  { holder: 'access group', give: withGroup('POST /team/new', {}), take: group },
  { holder: 'access group', give: withGroup('POST /team/update', { team_id: 't' }), take: group },
  { holder: 'access group', give: withGroup('PATCH /team/t', {}), take: group },
  {
    holder: 'credential',
    give: ['POST /model/new', { model_name: 'n', litellm_params: deployment }],
    take: credential,
  },
  {
    holder: 'credential',
    give: ['PATCH /model/d/update', { litellm_params: { litellm_credential_name: 'c' } }],
    take: credential,
  },
  {
    holder: 'credential',
    give: ['POST /manage/projects', { name: 'n', credential: 'c' }],
    take: credential,
  },
  {
    holder: 'credential',
    give: ['PATCH /manage/projects/t', { credential: 'c' }],
    take: credential,
  },
];

describe('what is given to a holder while the holder is deleted', () => {
  let api: Races;
  let made: readonly Change[];
  beforeAll(async () => {
    api = await startRaces();
    made = await everything(api.store);
  });
  afterAll(() => api[Symbol.asyncDispose]());
  beforeEach(async () => {
    const places = new Set(made.map(placeOf));
    const gone = (await everything(api.store)).filter((change) => !places.has(placeOf(change)));
    await api.store.entities.write([
      ...made,
      ...gone.map((change) => ({ ...change, document: undefined }) as Change),
    ]);
  });

  for (const { holder, give, take } of races) {
    for (const first of ['deletion', 'gift'] as const) {
      it(`goes with its ${holder} or keeps it: ${title(give)}, the ${first} written first`, async () => {
        const [giving, taking] = [await asked(api, give), await asked(api, take)];
        const [early, late] = first === 'gift' ? [giving, taking] : [taking, giving];
        let between: Answer | undefined;
        api.beforeNextWrite(async () => {
          between = await send(api, early);
        });
        const last = await send(api, late);
        expect(between?.status).toBeLessThan(300);
        expect(await dangling(api.store)).toEqual([]);
        // One who comes too late hears what there is now, and never of a fault of ours.
        expect(last.status).toBeLessThan(500);
        // Nobody who was deleted is there again.
        if (first === 'deletion' && early === user) {
          expect(await api.store.entities.get('user', 'u')).toBeUndefined();
        }
      });
    }
  }

  it('is taken from administrators for holders who were never there', async () => {
    const { status } = await api.post('/key/generate', { team_id: 'never', user_id: 'never' });
    expect(status).toBe(200);
  });

  it('is made although others give the same holder something at the same time', async () => {
    let left = 10;
    const another = async (): Promise<void> => {
      left -= 1;
      if (left > 0) api.beforeNextWrite(another);
      expect((await api.post('/key/generate', { team_id: 't', user_id: 'u' })).status).toBe(200);
    };
    api.beforeNextWrite(another);
    expect((await api.post('/key/generate', { team_id: 't', user_id: 'u' })).status).toBe(200);
    expect(await api.store.entities.count('key', { team_id: 't' })).toBe(11);
  });
});

describe('the rights of who calls', () => {
  let api: Races;
  beforeAll(async () => {
    api = await startRaces();
  });
  afterAll(() => api[Symbol.asyncDispose]());

  const lost: readonly {
    readonly how: string;
    readonly lose: (key: string) => Asked;
    readonly status: number;
  }[] = [
    {
      how: 'the user is no administrator any more',
      lose: () => ['POST /user/update', { user_id: 'admin', user_role: 'internal_user' }],
      status: 401,
    },
    { how: 'the key is blocked', lose: (key) => ['POST /key/block', { key }], status: 401 },
    { how: 'the key is gone', lose: (key) => ['POST /key/delete', { keys: [key] }], status: 401 },
    {
      how: 'the user is gone',
      lose: () => ['POST /user/delete', { user_ids: ['admin'] }],
      status: 401,
    },
  ];
  const written: readonly (readonly [route: string, body: object])[] = [
    ['POST /tag/new', { name: 'written' }],
    ['POST /user/update', { user_id: 'admin', user_alias: 'written' }],
  ];
  for (const { how, lose, status } of lost) {
    for (const write of written) {
      it(`are those of the moment in which it is written: ${how}, ${write[0]}`, async () => {
        const key = await makeUser(api, 'admin', 'proxy_admin');
        let between: Answer | undefined;
        api.beforeNextWrite(async () => {
          between = await send(api, lose(key));
        });
        const answer = await send(api, [...write, key]);
        expect([between?.status, answer.status]).toEqual([200, status]);
        expect(await api.store.entities.get('tag', 'written')).toBeUndefined();
        const user = await api.store.entities.get('user', 'admin');
        expect(user?.document.user_alias ?? null).toBeNull();
        await api.post('/user/delete', { user_ids: ['admin'] });
      });
    }
  }
});

function title(give: Race['give']): string {
  return typeof give === 'function' ? 'as asked' : give[0];
}

function asked(api: Management, one: Race['give']): Promise<Asked> {
  return typeof one === 'function' ? one(api) : Promise.resolve(one);
}

function send(api: Management, [route, body, key]: Asked): Promise<Answer> {
  const [method = '', path = ''] = route.split(' ');
  return api.call(method, path, {
    ...(body !== undefined && { body }),
    ...(key !== undefined && { key }),
  });
}

type Races = Management & {
  /** What is to happen once, between the reading of the next call that writes and its writing. */
  beforeNextWrite(work: () => Promise<void>): void;
};

/** One of every kind of holder, and what can be given to them. */
async function startRaces(): Promise<Races> {
  let next: (() => Promise<void>) | undefined;
  const api = await startManagement({
    store: (store) => ({
      ...store,
      entities: {
        ...store.entities,
        write: async (...write) => {
          const work = next;
          next = undefined;
          await work?.();
          return store.entities.write(...write);
        },
      },
    }),
  });
  const made: readonly Asked[] = [
    ['POST /team/new', { team_id: 't', models: ['m'] }],
    ['POST /user/new', { user_id: 'u', user_role: 'internal_user', auto_create_key: false }],
    ['POST /organization/new', { organization_id: 'o', organization_alias: 'O' }],
    ['POST /budget/new', { budget_id: 'b', max_budget: 1 }],
    ['POST /v1/access_group', { access_group_name: 'g', access_model_names: ['m'] }],
    [
      'POST /credentials',
      { credential_name: 'c', credential_values: { api_base: 'https://a.openai.azure.com' } },
    ],
    [
      'POST /model/new',
      { model_name: 'd', litellm_params: { model: 'azure/d' }, model_info: { id: 'd' } },
    ],
    ['POST /customer/new', { user_id: 'e' }],
    ['POST /tag/new', { name: 'tag' }],
    ['POST /key/generate', { key: 'sk-key-of-nobody', models: ['m'] }],
  ];
  for (const one of made)
    expect([one[0], (await send(api, one)).status < 300]).toEqual([one[0], true]);
  return {
    ...api,
    beforeNextWrite(work) {
      next = work;
    },
  };
}

/** All that a store holds, as changes that make it. */
async function everything({ entities }: Store): Promise<readonly Change[]> {
  const all: Change[] = [];
  for (const kind of Object.keys(indexes) as Kind[]) {
    for await (const { id, document } of entities.all(kind)) {
      all.push({ kind, id, document } as Change);
    }
  }
  return all;
}

function placeOf({ kind, id }: Change): string {
  return `${kind} ${id}`;
}

/** What names an entity that is not there. */
async function dangling({ entities }: Store): Promise<string[]> {
  const found: string[] = [];
  const check = async (by: string, kind: Kind, ids: readonly unknown[]): Promise<void> => {
    for (const id of ids) {
      if (typeof id !== 'string' || id === '' || id === 'default_user_id') continue;
      if ((await entities.get(kind, id)) === undefined) found.push(`${by}: ${kind} ${id}`);
    }
  };
  const each = async <K extends Kind>(
    kind: K,
    named: (document: Documents[K]) => readonly (readonly [Kind, readonly unknown[]])[],
  ): Promise<void> => {
    for await (const { id, document } of entities.all(kind)) {
      for (const [other, ids] of named(document)) await check(`${kind} ${id}`, other, ids);
    }
  };
  await each('key', (key) => [
    ['team', [key.team_id]],
    ['user', [key.user_id]],
    ['organization', [key.organization_id]],
    ['budget', [key.budget_id]],
    ['access_group', key.access_group_ids ?? []],
  ]);
  await each('team', (one) => [
    ['organization', [one.organization_id]],
    ['user', one.members_with_roles.map(({ user_id }) => user_id)],
    ['access_group', one.access_group_ids ?? []],
    ['budget', [one.metadata['team_member_budget_id']]],
    ['credential', [one.credential]],
  ]);
  await each('team_membership', (one) => [
    ['team', [one.team_id]],
    ['user', [one.user_id]],
    ['budget', [one.budget_id]],
  ]);
  await each('organization_membership', (one) => [
    ['organization', [one.organization_id]],
    ['user', [one.user_id]],
    ['budget', [one.budget_id]],
  ]);
  await each('organization', (one) => [['budget', [one.budget_id]]]);
  await each('customer', (one) => [['budget', [one.budget_id]]]);
  await each('tag', (one) => [
    ['budget', [one.budget_id]],
    ['model', one.models],
  ]);
  await each('model', (one) => [['credential', [one.litellm_params['litellm_credential_name']]]]);
  return found;
}
