import { readFile, rm, writeFile } from 'node:fs/promises';

/** Whether a process is there; this one counts as gone: what carries its number is of one before it. */
export function isOtherProcess(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Does work that no two processes may do at a time. A lock whose process was killed counts for nothing.
 *
 * @param path the lock's file; its folder is there
 * @param busy makes the error for a lock that another process holds
 */
export async function withProcessLock<Result>(
  path: string,
  busy: (pid: number) => Error,
  work: () => Promise<Result>,
): Promise<Result> {
  await acquire(path, busy);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function acquire(path: string, busy: (pid: number) => Error): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tries > 1) throw error;
    }
    const pid = Number(await readFile(path, 'utf8').catch(() => ''));
    if (Number.isInteger(pid) && pid > 0 && isOtherProcess(pid)) throw busy(pid);
    await rm(path, { force: true });
  }
}
