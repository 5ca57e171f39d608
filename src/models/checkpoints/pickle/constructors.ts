import { CheckpointError, damaged, quote } from '../checkpoint-error.js';
import { MAX_DIMENSIONS, problemOfView } from '../stored-tensor.js';
import type { DType } from '../tensor.js';
import { NUMPY_GLOBALS } from './numpy.js';
import {
  Constant,
  Constructor,
  PyRecord,
  PyTuple,
  StorageClass,
  StorageReference,
  TensorReference,
} from './values.js';
import type { PickleContext } from './values.js';

/** What a pickle asked for by name is not what tensors need. Nothing of it was run. */
export function refused(where: string, what: string): CheckpointError {
  return new CheckpointError(
    `${where} asks for ${quote(what)}, which tensors do not need; it was refused and nothing was run. ` +
      'If you trust where the file comes from, load it in PyTorch and save the weights alone, with ' +
      "torch.save(model.state_dict(), 'weights.pth').",
  );
}

/** @throws CheckpointError for every name that tensors and the plain values beside them do not need */
export function findGlobal(module: string, name: string, where: string): unknown {
  const found = GLOBALS.get(`${PYTHON_3_MODULES.get(module) ?? module}.${name}`);
  if (found === undefined) throw refused(where, `${module}.${name}`);
  return found;
}

/** Protocol 2, which torch.save writes, calls modules as Python 2 did. */
const PYTHON_3_MODULES: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
]);

const STORAGE_CLASSES: Readonly<Record<string, DType>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

/** torch's dtypes, which stand among settings. No tensor of those after `bool` is read. */
const TORCH_DTYPES =
  'float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128 uint16 uint32 uint64 ' +
  'float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu';

const GLOBALS = new Map<string, unknown>(NUMPY_GLOBALS);

function allow(name: string, call: Constructor['call']): void {
  GLOBALS.set(name, new Constructor(name, call));
}

for (const [name, dtype] of Object.entries(STORAGE_CLASSES)) {
  for (const module of ['torch', 'torch.cuda']) GLOBALS.set(`${module}.${name}`, new StorageClass(dtype));
}
for (const module of ['torch', 'torch.storage']) {
  GLOBALS.set(`${module}.UntypedStorage`, new StorageClass('uint8'));
}
for (const name of TORCH_DTYPES.split(' ')) GLOBALS.set(`torch.${name}`, new Constant(`torch.${name}`));

allow('torch._utils._rebuild_tensor', rebuildTensor);
allow('torch._utils._rebuild_tensor_v2', rebuildTensor);
// Written for types that no storage class exists for: storage, offset, shape, strides, training, type.
allow('torch._utils._rebuild_tensor_v3', (args, { where }) => {
  const type = args[6] instanceof Constant ? args[6].name : 'a type without a name';
  throw new CheckpointError(
    `${where} has a tensor of ${type}, which is not read. Convert it in PyTorch, for instance with ` +
      'tensor.to(torch.float32), and save it again.',
  );
});
for (const name of [
  '_utils._rebuild_parameter',
  '_utils._rebuild_parameter_with_state',
  'nn.parameter.Parameter',
]) {
  allow(`torch.${name}`, ([tensor], context) => {
    if (!(tensor instanceof TensorReference)) throw malformed(context, `torch.${name}`);
    return tensor;
  });
}
allow('torch.Size', ([sizes], context) => new PyTuple(itemsOf(sizes, context)));
allow('torch.device', (args) => args.slice(0, 2).map(plainText).join(':'));
allow('torch.Tensor', (_, context) => {
  throw malformed(context, 'torch.Tensor');
});
// A tensor with Python attributes: function, class, arguments, attributes.
allow('torch._tensor._rebuild_from_type_v2', ([rebuild, , args], context) => {
  const known = rebuild instanceof Constructor && rebuild.name.startsWith('torch._utils._rebuild_');
  if (!known || !(args instanceof PyTuple)) throw malformed(context, 'torch._tensor._rebuild_from_type_v2');
  return rebuild.call(args.items, context);
});

// Their own arguments are entries, which PyTorch never gives: entries come as SETITEMS.
allow('collections.OrderedDict', ([entries], context) => dictionary(entries, context));
allow('builtins.dict', ([entries], context) => dictionary(entries, context));
// The first argument is the constructor of missing values.
allow('collections.defaultdict', ([, entries], context) => dictionary(entries, context));
allow('collections.Counter', ([entries], context) => dictionary(entries, context));
allow('builtins.list', ([items], context) => [...itemsOf(items, context)]);
allow('builtins.tuple', ([items], context) => new PyTuple([...itemsOf(items, context)]));
for (const name of ['set', 'frozenset']) {
  allow(`builtins.${name}`, ([items], context) => new Set(itemsOf(items, context)));
}
// Named as the constructor of a defaultdict's values, never called.
for (const name of ['int', 'float', 'bool', 'str', 'object']) {
  allow(`builtins.${name}`, (_, context) => {
    throw malformed(context, `builtins.${name}`);
  });
}
allow('builtins.bytearray', ([bytes], context) => {
  if (bytes instanceof Uint8Array) return bytes;
  throw malformed(context, 'builtins.bytearray');
});
// How protocol 2 writes bytes.
allow('_codecs.encode', ([text, encoding], context) => {
  if (typeof text !== 'string' || encoding !== 'latin1') throw malformed(context, '_codecs.encode');
  context.spend(text.length);
  return Uint8Array.from(Buffer.from(text, 'latin1'));
});

allow('argparse.Namespace', () => new PyRecord());
// How protocols 0 and 1 make an object: its class, `object`, None.
allow('copyreg._reconstructor', ([kind], context) => {
  if (!(kind instanceof Constructor) || kind.name !== 'argparse.Namespace') {
    throw malformed(context, 'copyreg._reconstructor');
  }
  return kind.call([], context);
});
for (const module of ['pathlib', 'pathlib._local']) {
  for (const name of ['Path', 'PurePath', 'PosixPath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath']) {
    allow(`${module}.${name}`, (parts, context) => {
      context.spend(parts.reduce<number>((sum, part) => sum + plainText(part).length, 0));
      return parts
        .map(plainText)
        .join('/')
        .replace(/^\/\/+/, '/');
    });
  }
}

/** storage, offset, shape, strides; what follows matters only to training */
function rebuildTensor(args: readonly unknown[], context: PickleContext): TensorReference {
  const [storage, offset, shape, strides] = args;
  const isStorage = storage instanceof StorageReference;
  if (!isStorage || typeof offset !== 'number' || !isNumbers(shape) || !isNumbers(strides)) {
    throw malformed(context, 'torch._utils._rebuild_tensor');
  }
  const view = { dtype: storage.dtype, offset, shape: shape.items, strides: strides.items };
  const problem = problemOfView(view, storage.elements);
  if (problem !== undefined) throw damaged(context.where, problem);
  return new TensorReference(storage, view);
}

function isNumbers(value: unknown): value is { items: readonly number[] } {
  return (
    value instanceof PyTuple &&
    value.items.length <= MAX_DIMENSIONS &&
    value.items.every((item) => typeof item === 'number')
  );
}

/** Entries as an iterable of pairs or another dictionary. */
function dictionary(entries: unknown, context: PickleContext): Map<unknown, unknown> {
  if (entries === undefined) return new Map();
  if (entries instanceof Map) {
    context.spend(entries.size);
    return new Map(entries);
  }
  return new Map(
    itemsOf(entries, context).map((entry) => {
      const [key, value] = itemsOf(entry, context);
      return [key, value];
    }),
  );
}

function itemsOf(value: unknown, context: PickleContext): readonly unknown[] {
  if (value === undefined) return [];
  const items: unknown = value instanceof PyTuple ? value.items : value;
  if (!Array.isArray(items)) throw damaged(context.where, 'its pickle makes a collection of what is none');
  context.spend(items.length);
  return items;
}

function plainText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
}

function malformed({ where }: PickleContext, name: string): CheckpointError {
  return damaged(where, `its pickle calls ${name} with arguments that PyTorch does not give`);
}
