import { expect, test } from 'vitest';
import { OP } from '#dino/models/checkpoints/pickle/opcodes.js';
import { global, int, join, pickle, stateDict, tensor, text, torchZip, tuple } from './builders.js';
import { complaintAbout, readBytes } from './fixtures.js';

const COMMAND = text('touch /tmp/was-run');

/** A pickle that calls a function of Python's with a command. */
const CALLS: Record<string, [string, Buffer]> = {
  'os.system by GLOBAL and REDUCE': [
    'posix.system',
    pickle(global('posix', 'system'), COMMAND, OP.TUPLE1, OP.REDUCE),
  ],
  'builtins.eval by STACK_GLOBAL': [
    'builtins.eval',
    pickle(text('builtins'), text('eval'), OP.STACK_GLOBAL, COMMAND, OP.TUPLE1, OP.REDUCE),
  ],
  '__builtin__.exec of Python 2': [
    '__builtin__.exec',
    pickle(global('__builtin__', 'exec'), COMMAND, OP.TUPLE1, OP.REDUCE),
  ],
  'subprocess.Popen by INST': ['subprocess.Popen', pickle(OP.MARK, COMMAND, OP.INST, 'subprocess\nPopen\n')],
  'subprocess.Popen by OBJ': [
    'subprocess.Popen',
    pickle(OP.MARK, global('subprocess', 'Popen'), COMMAND, OP.OBJ),
  ],
  'a class by NEWOBJ': ['__main__.Trap', pickle(global('__main__', 'Trap'), OP.EMPTY_TUPLE, OP.NEWOBJ)],
  'a class by NEWOBJ_EX': [
    'runpy._run_code',
    pickle(global('runpy', '_run_code'), OP.EMPTY_TUPLE, OP.EMPTY_DICT, OP.NEWOBJ_EX),
  ],
  'os.system in the state of a Namespace': [
    'os.system',
    pickle(
      global('argparse', 'Namespace'),
      OP.EMPTY_TUPLE,
      OP.NEWOBJ,
      OP.EMPTY_DICT,
      text('__reduce__'),
      global('os', 'system'),
      OP.SETITEM,
      OP.BUILD,
    ),
  ],
  'os.system as the default of a defaultdict': [
    'os.system',
    pickle(global('collections', 'defaultdict'), global('os', 'system'), OP.TUPLE1, OP.REDUCE),
  ],
  'os.system as the storage of a tensor': [
    'os.system',
    pickle(tuple(text('storage'), global('os', 'system'), text('0'), text('cpu'), int(4)), OP.BINPERSID),
  ],
  'torch.load inside a checkpoint': [
    'torch.storage._load_from_bytes',
    pickle(global('torch.storage', '_load_from_bytes'), COMMAND, OP.TUPLE1, OP.REDUCE),
  ],
  'an attribute of what is allowed': [
    'torch._utils._rebuild_tensor_v2.__globals__',
    pickle(text('torch._utils'), text('_rebuild_tensor_v2.__globals__'), OP.STACK_GLOBAL),
  ],
  'a name that is a property of every JavaScript object': [
    'constructor.constructor',
    pickle(global('constructor', 'constructor'), OP.EMPTY_TUPLE, OP.REDUCE),
  ],
  'an extension by its number': ['the extension 7', pickle(OP.EXT1, 7)],
  'an extension by a long number': ['the extension 258', pickle(OP.EXT4, 2, 1, 0, 0)],
  'a persistent id as text': ['a persistent id written as text', pickle(OP.PERSID, 'storage\n')],
  'a buffer outside the pickle': ['a buffer outside the file', pickle(OP.NEXT_BUFFER)],
};

test.each(Object.entries(CALLS))('%s is refused by name', async (_, [name, bytes]) => {
  const message = `file.pth asks for ${name}, which tensors do not need; it was refused and nothing was run.`;
  expect(await complaintAbout(torchZip(bytes))).toContain(message);
});

test('a refused call is named even when the rest of the checkpoint is as it should be', async () => {
  const bytes = pickle(
    OP.EMPTY_DICT,
    text('weight'),
    tensor(),
    OP.SETITEM,
    text('hook'),
    global('nt', 'system'),
    OP.SETITEM,
  );
  expect(await complaintAbout(torchZip(bytes))).toContain('file.pth asks for nt.system');
});

test('what a refused name says is printed on one line and cut short', async () => {
  const message = await complaintAbout(
    torchZip(pickle(text('os\n\x1b[2J'), text('x'.repeat(500)), OP.STACK_GLOBAL)),
  );
  expect(message).toMatch(/^[\x20-\x7e]*$/);
  expect(message.length).toBeLessThan(500);
});

test.each([
  ['a parameter of what is no tensor', global('torch._utils', '_rebuild_parameter'), [text('x')]],
  ['a tensor without a storage', global('torch._utils', '_rebuild_tensor'), [text('x'), int(0)]],
  [
    'a tensor from a function that makes none',
    global('torch._tensor', '_rebuild_from_type_v2'),
    [global('collections', 'OrderedDict'), OP.NONE, OP.EMPTY_TUPLE, OP.NONE],
  ],
  [
    'an object of a class that has no attributes',
    global('copy_reg', '_reconstructor'),
    [global('torch', 'Size')],
  ],
  ['bytes in an unknown encoding', global('_codecs', 'encode'), [text('x'), text('rot13')]],
  ['a type as a function', global('__builtin__', 'int'), [text('1')]],
])('an allowed constructor is not made to do something else: %s', async (_, constructor, args) => {
  const message = await complaintAbout(torchZip(pickle(constructor, tuple(...args), OP.REDUCE)));
  expect(message).toMatch(
    /^file\.pth is damaged: its pickle calls .* with arguments that PyTorch does not give\./,
  );
});

test('attributes cannot be set on what has none', async () => {
  const bytes = pickle(OP.EMPTY_LIST, OP.EMPTY_DICT, OP.BUILD);
  expect(await complaintAbout(torchZip(bytes))).toContain('uses BUILD on what it is not made for');
});

test('keys of dictionaries never reach the prototype of an object', async () => {
  const bytes = pickle(
    OP.EMPTY_DICT,
    text('__proto__'),
    OP.EMPTY_DICT,
    text('polluted'),
    tensor(),
    OP.SETITEM,
    OP.SETITEM,
  );
  expect(Object.keys(await readBytes(torchZip(bytes)))).toEqual(['__proto__.polluted']);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test('a tensor that nothing is wrong with is read', async () => {
  const storage = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
  expect(await readBytes(torchZip(stateDict({ shape: [2, 2], strides: [1, 2] }), storage))).toEqual({
    weight: { dtype: 'float32', shape: [2, 2], values: [1, 3, 2, 4] },
  });
  expect(
    await readBytes(torchZip(join(stateDict(), 'what follows STOP is not read'), storage)),
  ).toHaveProperty('weight');
});
