import { parseArgs, type ParseArgsConfig } from 'node:util';

/**
 * The options that a command of the repository was given.
 *
 * `--help` prints how it is used and ends it; an option that it does not have, or without its value, ends it with exit code 1.
 *
 * @param help - how it is used, with each option
 */
export function commandOptions<const Options extends NonNullable<ParseArgsConfig['options']>>(
  help: string,
  options: Options,
): ReturnType<typeof parseArgs<{ options: Options }>>['values'] {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    console.log(help);
    process.exit(0);
  }
  try {
    return parseArgs<{ options: Options }>({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(1);
  }
}
