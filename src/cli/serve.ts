import closeWithGrace from 'close-with-grace';
import { ConfigError, loadConfig, type SettingKey } from '../config.js';
import { startServer } from '../server.js';

/** Runs the service until a signal ends it. Wrong settings end the process with 2, any other failure with 1. */
export async function serve(flags: Partial<Record<SettingKey, unknown>>): Promise<void> {
  try {
    const config = loadConfig(process.env, flags);
    const server = await startServer(config);
    const { service } = server;
    if (config.apiKeys.length === 0 && !['127.0.0.1', '::1', 'localhost'].includes(config.host)) {
      service.logger.warn(
        `listening on ${config.host} without DINO_API_KEYS: anyone who reaches it may read and write`,
      );
    }
    closeWithGrace({ delay: (config.shutdownSeconds + 5) * 1000, logger: false }, async ({ err }) => {
      if (err) service.logger.fatal({ err }, 'the process ends on an error nobody caught');
      await server.stop();
    });
    const { manifest, name } = service.defaultModel;
    process.stdout.write(
      [
        'dino-server',
        `  page   ${server.url}/`,
        `  docs   ${server.url}/docs/`,
        `  data   ${service.dataDir}`,
        `  model  ${name} (${manifest.architecture.embedDim} dimensions, on ${config.providers.join(', ')})`,
        `ready ${server.url}`,
        '',
      ].join('\n'),
    );
  } catch (error) {
    process.stderr.write(`dino-server: ${(error as Error).message}\n`);
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}
