import type { Command } from 'commander';
import type { Snapshot } from '../../client/resources.js';
import { formatBytes } from '../../models/download/byte-size.js';
import { CommandError } from '../command-error.js';
import { addConnectionOptions, withServer, type ConnectionOptions } from '../connection.js';
import { followJob } from '../jobs/follow-job.js';
import { textTable } from '../text-table.js';
import { downloadSnapshot } from './download-snapshot.js';
import { addRestoreCommand } from './restore-command.js';

export interface SnapshotFlags extends ConnectionOptions {
  readonly json: boolean;
}

/** `dino snapshots`: copies of all collections, made while the server runs. */
export function addSnapshotsCommand(program: Command): void {
  const snapshots = program
    .command('snapshots')
    .description('Make, list, download, verify, restore and delete snapshots of all collections')
    .addHelpText('after', EXAMPLES);

  const create = snapshots.command('create').description('Make a snapshot, while reads and writes go on');
  finish(create, '$ dino snapshots create').action(async (flags: SnapshotFlags) => {
    const snapshot = await withServer(flags, async (client) => {
      const { result } = await followJob(client, await client.createSnapshot());
      return client.getSnapshot(result!.snapshot as string);
    });
    print(snapshot, flags);
  });

  const list = snapshots.command('list').description('List the snapshots, the latest first');
  finish(list, '$ dino snapshots list').action(async (flags: SnapshotFlags) => {
    const found = await withServer(flags, (client) => client.listSnapshots());
    process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : tableOf(found));
  });

  const download = snapshots
    .command('download')
    .description('Download a snapshot and check its SHA-256')
    .argument('<id>', 'id of the snapshot')
    .argument('[file]', 'where to; default: <id>.tar');
  finish(download, '$ dino snapshots download 20260102T030405Z-0badcafe backup.tar').action(
    async (id: string, file: string | undefined, flags: SnapshotFlags) => {
      const path = file ?? `${id}.tar`;
      const snapshot = await withServer(flags, (client) => downloadSnapshot(client, id, path));
      process.stdout.write(
        flags.json
          ? `${JSON.stringify({ file: path, ...snapshot })}\n`
          : `${path}: ${formatBytes(snapshot.bytes)}, whole\n`,
      );
    },
  );

  const verify = snapshots
    .command('verify')
    .description('Read a snapshot from end to end and compare its checksums')
    .argument('<id>', 'id of the snapshot');
  finish(verify, '$ dino snapshots verify 20260102T030405Z-0badcafe').action(
    async (id: string, flags: SnapshotFlags) => {
      const found = await withServer(flags, (client) => client.verifySnapshot(id));
      if (flags.json) process.stdout.write(`${JSON.stringify(found)}\n`);
      if (!found.whole) throw new CommandError(`snapshot ${id} is damaged: ${found.problem}`);
      if (!flags.json) process.stdout.write(`${id}: whole\n`);
    },
  );

  addRestoreCommand(snapshots);

  const remove = snapshots
    .command('delete')
    .description('Delete a snapshot')
    .argument('<id>', 'id of the snapshot');
  finish(remove, '$ dino snapshots delete 20260102T030405Z-0badcafe').action(
    async (id: string, flags: SnapshotFlags) => {
      await withServer(flags, (client) => client.deleteSnapshot(id));
      process.stdout.write(flags.json ? `${JSON.stringify({ id, deleted: true })}\n` : `${id}: deleted\n`);
    },
  );
}

const EXAMPLES = `
A snapshot holds all collections as they were at one moment, checked from end to end. It is kept in the data
folder; download it to keep it elsewhere.

Examples:
  $ dino snapshots create
  $ dino snapshots restore backup.tar --data-dir ./restored
`;

function finish(command: Command, example: string): Command {
  return addConnectionOptions(command)
    .option('--json', 'print JSON', false)
    .addHelpText('after', `\nExample:\n  ${example}\n`);
}

function print(snapshot: Snapshot, { json }: SnapshotFlags): void {
  process.stdout.write(json ? `${JSON.stringify(snapshot)}\n` : tableOf([snapshot]));
}

function tableOf(snapshots: readonly Snapshot[]): string {
  return textTable(
    ['ID', 'CREATED', 'SIZE', 'COLLECTIONS', 'IMAGES'],
    snapshots.map(({ id, createdAt, bytes, collections }) => [
      id,
      createdAt,
      formatBytes(bytes),
      collections.length,
      collections.reduce((sum, { count }) => sum + count, 0),
    ]),
  );
}
