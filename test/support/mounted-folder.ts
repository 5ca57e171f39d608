import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder with a small disk of its own. */
export interface MountedFolder {
  readonly path: string;
  /** Makes the disk read-only. */
  forbidWriting(): void;
  dispose(): Promise<void>;
}

/** Whether a disk in memory may be mounted here: Linux, and the rights to. */
export const CAN_MOUNT = canMount();

/** Mounts a disk in memory of so many MiB. */
export async function mountFolder(mebibytes: number): Promise<MountedFolder> {
  const path = await mkdtemp(join(tmpdir(), 'dino-mount-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path]);
  return {
    path,
    forbidWriting: () => void execFileSync('mount', ['-o', 'remount,ro', path]),
    async dispose() {
      execFileSync('umount', ['--lazy', path]);
      await rm(path, { recursive: true });
    },
  };
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    // In a container, root may still be forbidden to.
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
