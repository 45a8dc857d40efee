import { App } from './cdk.ts';
import { allConfigurations } from './clients.ts';
import type { Configuration } from './config.ts';
import { stacksOf } from './environment-stacks.ts';
import { addEnvironmentStack, addFurtherRegion } from './stacks/environment-stack.ts';
import { addFrontDoor } from './stacks/front-door-stack.ts';

/**
 * Writes the stacks of configurations, of all there are unless some are given.
 *
 * @returns their names; each is at `stacks/NAME/cdk.tf.json`
 */
export async function synthesize(
  folder: string,
  configurations?: readonly Configuration[],
): Promise<string[]> {
  const app = new App({ outdir: folder });
  for (const configuration of configurations ?? (await allConfigurations())) {
    for (const stack of stacksOf(configuration)) {
      const { name } = stack;
      if (stack.kind === 'front-door') addFrontDoor(app, name, configuration, stack.settings);
      else if (stack.kind === 'first') addEnvironmentStack(app, name, configuration);
      else addFurtherRegion(app, name, configuration, stack.location);
    }
  }
  app.synth();
  return app.node.children.map(({ node }) => node.id).toSorted();
}
