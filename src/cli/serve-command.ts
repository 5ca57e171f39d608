import { Option, type Command } from 'commander';
import { environmentName, SETTINGS, type SettingKey } from '../config.js';

/** `dino serve`: a flag for each setting there is. */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Run the service until it is stopped')
    .addHelpText('after', '\nExample:\n  $ dino serve --port 9000 --data-dir ~/photos-index\n');
  for (const [key, { meaning, range, fallback }] of Object.entries(SETTINGS)) {
    const byDefault = String(fallback) === '' ? 'none' : String(fallback);
    const description = `${meaning} (${range}; default: ${byDefault}; environment: ${environmentName(key)})`;
    command.addOption(new Option(`--${flagName(key)} <value>`, description));
  }
  command.action(async (flags: Partial<Record<SettingKey, string>>) => {
    // The service's libraries take a second to load: only here.
    const { serve } = await import('./serve.js');
    await serve(flags);
  });
}

/** `maxBatch` -> `max-batch` */
function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
