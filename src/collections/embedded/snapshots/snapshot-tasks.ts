import type { Digest } from './archive.js';
import type { SnapshotManifest } from './manifest.js';

/** Work that reads a snapshot from end to end, for a thread of its own. */
export type SnapshotTask =
  | {
      readonly kind: 'pack';
      /** Folder with a copy of the database, and the graphs. */
      readonly folder: string;
      /** Folder of the originals that the database names; nothing is removed there meanwhile. */
      readonly contents: string;
      /** The archive to write. */
      readonly path: string;
      readonly id: string;
      readonly createdAt: string;
    }
  | { readonly kind: 'read'; readonly path: string };

/** Failures are data: an error that crosses threads loses its code. */
export type SnapshotOutcome =
  | (Digest & { readonly ok: true; readonly manifest: SnapshotManifest })
  | { readonly ok: false; readonly message: string; readonly code: string | undefined };
