import { formatNotice } from '@aigateway/contract/config-problems';
import { problemLines } from '../configuration.ts';
import { about, type Check } from './finding.ts';

/** What `--check` says, problems and warnings. */
export const checkConfiguration: Check = {
  area: 'configuration',
  run({ configuration }) {
    const { compiled, file } = configuration;
    const [name = 'environment'] = file.files;
    const { ok, warning, failed } = about('configuration', name);
    const problems = problemLines(configuration);
    if (problems.length > 0)
      return Promise.resolve(
        problems.map((line) => failed(line, 'Set it right; nothing else is looked at before.')),
      );
    const { models, deployments, keys } = compiled.records;
    const risks = compiled.notices.filter(({ level }) => level === 'warning');
    return Promise.resolve([
      ok(
        `it can be used: ${counted(models.length, 'model')}, ${counted(deployments.length, 'deployment')}, ${counted(keys.length, 'key')}`,
      ),
      ...risks.map((risk) => warning(formatNotice(risk), 'See docs/reference/configuration.md.')),
    ]);
  },
};

/** E.g. `1 model`, `2 models`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
