import { CommandError, usageError } from '../command-error.js';

/**
 * A network and views that a CPU trains in hours, for thousands of photos. Options of the command line come behind
 * them, and the last one counts.
 */
export const CPU_RECIPE: readonly string[] = [
  ...['--arch', 'vit_micro', '--patch_size', '16', '--out_dim', '512'],
  ...['--global_crops_size', '96', '--global_crops_scale', '0.25', '1.0'],
  ...['--local_crops_size', '48', '--local_crops_scale', '0.05', '0.25', '--local_crops_number', '4'],
  ...['--batch_size_per_gpu', '48', '--lr', '0.005', '--momentum_teacher', '0.985'],
  ...['--drop_path_rate', '0.05', '--epochs', '30', '--warmup_epochs', '3'],
];

/** What `dino train` sets itself. */
const OWN = ['--data_path', '--output_dir', '--resume', '--stop_after'];

/**
 * Splits the words behind `dino train` into photos and options of train.py.
 *
 * @throws CommandError (2) without photos, or with an option that is not the user's to set
 */
export function splitWords(words: readonly string[]): {
  readonly photos: readonly string[];
  readonly options: readonly string[];
} {
  const first = words.findIndex((word) => word.startsWith('--'));
  const photos = first < 0 ? words : words.slice(0, first);
  const options = first < 0 ? [] : words.slice(first);
  if (photos.length === 0) throw usageError('give the folder of photos before the options of training');
  const own = OWN.find((name) => options.some((word) => optionName(word) === name));
  if (own !== undefined) throw usageError(`${own} is not for you to set: dino train does`);
  return { photos, options };
}

/** `--output-dir=x` -> `--output_dir`; train.py takes both spellings. */
function optionName(word: string): string {
  return word.replace(/=.*$/s, '').replace(/(?<=\w)-/g, '_');
}

/** A step of the chain that ended with an error, which it has told. */
export function stepFailed(what: string): CommandError {
  return new CommandError(
    `${what} failed; the reason is above. What was trained is kept: see the run's folder.`,
  );
}
