// Stands for `az`, `gh`, `terraform`, `cosign` and `git` in tests: remembers in a file what was made, answers what the scripts ask for, and writes every call down.
// An unknown call is an error, as it is in the real programs. It runs in a thread beside the test, which waits for the script: what is on PATH
// (fake-cli.sh) asks it over a socket, because a Node for each call would take most of the time of the tests.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { parentPort } from 'node:worker_threads';

/** How a call ended: thrown, so that what answers need not return through what asked. */
class Ended {
  constructor(code, out, told) {
    Object.assign(this, { code, out, told });
  }
}

/**
 * One call of a program.
 *
 * @returns {Ended}
 */
function call({ folder, image }, program, args) {
  appendFileSync(join(folder, 'calls'), `${JSON.stringify([program, ...args])}\n`);
  try {
    return new Ended(0, answerOf({ folder, image }, program, args) ?? '', '');
  } catch (ended) {
    if (ended instanceof Ended) return ended;
    // A fault of this file must not pass for an answer.
    return new Ended(70, '', `${ended.stack}\n`);
  }
}

/** What is printed by a call that ends well; any other end is thrown. */
function answerOf({ folder, image }, program, args) {
  const stateFile = join(folder, 'state.json');
  const state = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : {};

  const option = (name) => {
    const at = args.indexOf(`--${name}`);
    return at === -1 ? undefined : args[at + 1];
  };
  const words = args.slice(0, args.findIndex((arg) => arg.startsWith('-')) >>> 0).join(' ');

  function set(key, value) {
    state[key] = value;
    writeFileSync(stateFile, JSON.stringify(state));
  }

  function answer(...lines) {
    const text = lines.flat(2).filter((line) => line !== undefined && line !== '');
    throw new Ended(0, text.map((line) => `${line}\n`).join(''), '');
  }

  function fail(code, told) {
    throw new Ended(code, '', `ERROR: ${told}\n`);
  }

  /** As Azure CLI ends where there is no such thing: its commands for Container Apps with another code than all others. */
  function absent() {
    fail(args[0] === 'containerapp' ? 1 : 3, '(ResourceNotFound) it was not found');
  }

  function show(key, ...lines) {
    if (!(key in state)) absent();
    answer(option('output') === 'none' ? [] : lines);
  }

  const subjectOf = (query) => /subject=='([^']*)'/.exec(query)?.[1];
  const grantKey = () =>
    [
      'grant',
      option('assignee') ?? option('assignee-object-id'),
      option('role'),
      option('scope'),
    ].join('|');

  const az = {
    'account show': () => answer('subscription-1', 'tenant-1'),
    'provider list': () =>
      answer(
        Object.keys(state).flatMap((key) => (key.startsWith('provider ') ? [key.slice(9)] : [])),
      ),
    'provider register': () => set(`provider ${option('namespace')}`, 'Registered'),
    'group show': () => show(`group ${option('name')}`),
    'group create': () => set(`group ${option('name')}`, true),
    'group list': () => answer(state['left behind']),
    'storage account show': () => show(`account ${option('name')}`),
    'storage account create': () => set(`account ${option('name')}`, true),
    'storage account blob-service-properties show': () =>
      show(
        `account ${option('account-name')}`,
        state['versioning'] ? ['true', 'true'] : ['false', 'false'],
      ),
    'storage account blob-service-properties update': () => set('versioning', true),
    'storage container-rm show': () => show(`container ${option('name')}`),
    'storage container-rm create': () => set(`container ${option('name')}`, true),
    'storage container-rm delete': () => set(`container ${option('name')}`, undefined),
    'identity show': () =>
      show(
        `identity ${option('name')}`,
        option('query') === 'principalId' ? [] : `client-of-${option('name')}`,
        `principal-of-${option('name')}`,
      ),
    'identity create': () => set(`identity ${option('name')}`, true),
    'identity delete': () => set(`identity ${option('name')}`, undefined),
    'identity federated-credential list': () =>
      answer(state[`trust ${option('identity-name')} ${subjectOf(option('query'))}`]),
    'identity federated-credential create': () =>
      set(`trust ${option('identity-name')} ${option('subject')}`, option('name')),
    'ad app list': () => answer(state[`app ${option('display-name')}`]),
    'ad app create': () =>
      set(`app ${option('display-name')}`, `client-of-${option('display-name')}`),
    'ad app delete': () => set(`app ${option('id').slice('client-of-'.length)}`, undefined),
    'ad sp list': () => answer(state[`sp ${/'([^']*)'/.exec(option('filter'))[1]}`]),
    'ad sp create': () => set(`sp ${option('id')}`, `principal-of-${option('id')}`),
    'ad app federated-credential list': () =>
      answer(state[`trust ${option('id')} ${subjectOf(option('query'))}`]),
    'ad app federated-credential create': () => {
      const { name, subject } = JSON.parse(option('parameters'));
      set(`trust ${option('id')} ${subject}`, name);
    },
    'role assignment list': () =>
      answer(
        args.includes('--all')
          ? Object.entries(state).flatMap(([key, id]) =>
              key.startsWith(`grant|${option('assignee')}|`) ? [id] : [],
            )
          : state[option('query') === '[0].condition' ? `condition of ${grantKey()}` : grantKey()],
      ),
    'role assignment create': () => {
      set(`condition of ${grantKey()}`, option('condition'));
      set(grantKey(), `assignment-${Object.keys(state).length}`);
    },
    'role assignment delete': () =>
      set(
        Object.keys(state).find((key) => state[key] === option('ids')),
        undefined,
      ),
    'role definition list': () => {
      const role = state[`role ${option('name')}`];
      if (role === undefined) answer();
      answer(option('query').endsWith('.actions') ? role.actions : role.id);
    },
    'role definition create': () => {
      const { name, ...role } = JSON.parse(option('role-definition'));
      set(`role ${name}`, { ...role, id: `id-of-${name}` });
    },
    'role definition update': () => {
      const { roleName, ...role } = JSON.parse(option('role-definition'));
      set(`role ${roleName}`, role);
    },
    'role definition delete': () => set(`role ${option('name')}`, undefined),
    'keyvault secret show': () => {
      if (state['vault does not answer'] === true) {
        fail(1, '(ForbiddenByConnection) public network access is disabled');
      }
      const kinds = { 'attributes.updated': 'updated', 'tags.announced': 'announced' };
      show(
        `secret ${option('name')}`,
        state[`${kinds[option('query')] ?? 'secret'} ${option('name')}`],
      );
    },
    'keyvault secret set': () => {
      set(`secret ${option('name')}`, readFileSync(option('file'), 'utf8'));
      set(`updated ${option('name')}`, new Date().toISOString());
      if (args.includes('--tags')) set(`announced ${option('name')}`, option('tags').split('=')[1]);
    },
    'cognitiveservices account keys list': () =>
      answer(state[`key ${option('query')}`] ?? `first-${option('query')}`),
    'cognitiveservices account keys regenerate': () =>
      set(`key ${option('key-name')}`, `new-${option('key-name')}`),
  };

  /** Revisions of a container app with their labels and shares of the calls. */
  const trafficKey = `traffic ${option('name')}`;
  const traffic = state[trafficKey] ?? [];

  Object.assign(az, {
    'containerapp show': () => {
      if (traffic.length === 0) absent();
      const query = option('query') ?? '';
      answer(
        query.endsWith('latestRevisionName')
          ? traffic.at(-1).revision
          : query.endsWith('fqdn')
            ? `${option('name')}.sea.example`
            : query.endsWith('provisioningState')
              ? 'Succeeded'
              : [],
      );
    },
    'containerapp ingress traffic show': () => {
      const label = /label=='(\w+)'/.exec(option('query'))?.[1];
      const found = traffic.find((one) =>
        label === undefined ? one.weight === 100 : one.label === label,
      );
      answer(found?.latest === true && label === undefined ? 'latest' : found?.revision);
    },
    'containerapp ingress traffic set': () => {
      const weights = args
        .slice(args.indexOf('--revision-weight') + 1)
        .map((one) => one.split('='));
      set(
        trafficKey,
        traffic.map((one) => ({
          ...one,
          latest: false,
          weight: Number(weights.find(([name]) => name === one.revision)?.[1] ?? 0),
        })),
      );
    },
    'containerapp revision label add': () => {
      set(
        trafficKey,
        traffic.map((one) => ({
          ...one,
          label:
            one.revision === option('revision')
              ? option('label')
              : one.label === option('label')
                ? undefined
                : one.label,
        })),
      );
    },
    'containerapp job show': () => show('job'),
    'containerapp job update': () => set('image of the job', option('image')),
    'containerapp job start': () => {
      set('job', state['job'].slice(1));
      answer('execution-1');
    },
    'containerapp job execution show': () => {
      const [status, ...later] = state['job'];
      set('job', later);
      answer(status);
    },
    'containerapp logs show': () => {
      const { running = 1 } = traffic.find(({ revision }) => revision === option('revision'));
      if (running > 0) answer(`the last ${option('tail')} lines of ${option('revision')}`);
      fail(1, 'there is no replica');
    },
    'containerapp revision list': () => {
      if (option('query').includes('runningState'))
        answer(
          traffic
            .filter(({ stopped }) => stopped !== true)
            .map(({ revision, weight = 0, running = 1 }) =>
              [revision, weight, running > 0 ? 'Running' : 'ScaledToZero', running].join('\t'),
            ),
        );
      const kept = [...option('query').matchAll(/name!='([^']*)'/g)].map(([, name]) => name);
      answer(
        kept.length === 0
          ? traffic.find(({ weight }) => weight > 0)?.image
          : traffic
              .filter(({ revision, stopped }) => !kept.includes(revision) && stopped !== true)
              .map(({ revision }) => revision),
      );
    },
    'containerapp revision deactivate': () =>
      set(
        trafficKey,
        traffic.map((one) =>
          one.revision === option('revision') ? { ...one, stopped: true } : one,
        ),
      ),
  });

  const gh = {
    api: () => {
      const path = args.find((arg) => /^(repos|users|orgs)\//.test(arg));
      if (path.endsWith('/actions/oidc/customization/sub')) answer(state['subject prefix']);
      const later = /\.run_number > (\d+)/.exec(option('jq'))?.[1];
      if (later !== undefined)
        answer(Object.keys(state['runs'] ?? {}).filter((run) => Number(run) > Number(later)));
      const run = /\/runs\/(\d+)\/jobs/.exec(path)?.[1];
      if (run !== undefined) answer(state['runs'][run] ? ['1'] : []);
      if (path.startsWith('users/')) answer('11');
      if (path.startsWith('orgs/')) answer('22');
      if (path.endsWith('/deployment-branch-policies')) {
        if (option('method') === 'POST') set('branches', [...(state['branches'] ?? []), '1 main']);
        else answer(state['branches']);
      } else if (option('method') === 'DELETE') {
        const kept = state['branches'].filter((branch) => !branch.startsWith(`${basename(path)} `));
        set('branches', kept);
      } else if (option('method') === 'PUT') {
        const given = (name) => args.find((arg) => arg.startsWith(`${name}=`))?.split('=')[1];
        const isCustom = given('deployment_branch_policy[custom_branch_policies]');
        set(
          'environment',
          `there ${given('reviewers[][id]') ?? ''} ${given('prevent_self_review')} ${isCustom}`,
        );
      } else show('environment', state['environment']);
    },
    'issue list': () => answer(state['issue']),
    'issue create': () => set('issue', '7'),
    'issue edit': () => set('edited', args[2]),
    'issue close': () => {
      const left = String(state['issue'])
        .split('\n')
        .filter((number) => number !== args[2]);
      set('issue', left.length === 0 ? undefined : left.join('\n'));
    },
    'variable list': () => answer(state['variables'] ?? []),
    'variable set': () =>
      set('variables', [...(state['variables'] ?? []), `${args[2]}=${option('body')}`]),
  };

  const stack = basename(args[0]?.replace('-chdir=', '') ?? '');
  const out = args.find((arg) => arg.startsWith('-out='))?.slice('-out='.length);
  const terraform = {
    plan: () => {
      writeFileSync(out, JSON.stringify(state[`changes of ${stack}`] ?? {}));
      set(`planned image of ${stack}`, image);
      answer('Terraform will perform the following actions');
    },
    show: () => answer(readFileSync(args.at(-1), 'utf8')),
    apply: () => set('applied', [...(state['applied'] ?? []), stack]),
    output: () => {
      const applied = state[`image of ${stack}`];
      if (args.includes('-json')) answer(JSON.stringify(applied === undefined ? {} : { applied }));
      if (!args.includes('applied_image')) answer(`https://${stack}.example`);
      // Where there is no output at all, only a warning is printed, where the output would be.
      if (applied === undefined) answer('', 'Warning: No outputs found');
      if (applied === 'another') fail(1, 'Output "applied_image" not found');
      answer(applied);
    },
  };

  /** Images by who has made them: the commit, where a signature names one. */
  const cosign = {
    verify: () => {
      const commit = state['signed']?.[args[1]];
      const wanted = option('certificate-github-workflow-sha') ?? commit;
      if (commit === undefined || commit !== wanted) fail(10, 'no matching signatures');
      answer(JSON.stringify([{ critical: {}, optional: { githubWorkflowSha: commit } }]));
    },
  };
  /** Commits from the oldest to the newest; what is not among them is not known. */
  const git = {
    'merge-base': () => {
      const [before, after] = args.slice(-2).map((commit) => state['history'].indexOf(commit));
      if (before === -1 || after === -1) fail(128, 'not a valid commit name');
      if (before > after) fail(1, '');
    },
  };

  const command = {
    az: () => az[words],
    gh: () => (args[0] === 'api' ? gh.api : gh[args.slice(0, 2).join(' ')]),
    terraform: () => terraform[args[1]],
    cosign: () => cosign[args[0]],
    git: () => git[args[2]],
  }[program]();
  if (command === undefined) fail(2, `'${words}' is misspelled or not recognized by the system.`);
  command();
}

// A call is its folder, the variable of the image, the number of its arguments, the program and the arguments, each with a NUL behind it; its answer a line with the exit
// code and how many bytes go to standard output and standard error, and then those.
const server = createServer((socket) => {
  let received = '';
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    received += text;
    const [folder, image, count, program, ...args] = received.split('\0');
    // The last one is empty: what follows the last NUL.
    if (args.length <= Number(count)) return;
    const { code, out, told } = call({ folder, image }, program, args.slice(0, Number(count)));
    socket.end(`${code} ${Buffer.byteLength(out)} ${Buffer.byteLength(told)}\n${out}${told}`);
  });
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
