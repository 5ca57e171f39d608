import js from '@eslint/js';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** Each native library has one room that may import it. */
const NATIVE = {
  'onnxruntime-node': 'src/inference',
  sharp: 'src/vision',
  'better-sqlite3': 'src/collections/embedded',
};

/** Rooms and the rooms they may not import: data flows one way. */
const ONE_WAY = [
  {
    target: './src/vision',
    from: [
      './src/http',
      './src/cli',
      './src/collections',
      './src/inference',
      './src/segmentation',
      './src/models',
    ],
  },
  { target: './src/inference', from: ['./src/http', './src/cli', './src/collections', './src/segmentation'] },
  { target: './src/segmentation', from: ['./src/http', './src/cli', './src/collections'] },
  { target: './src/collections', from: ['./src/http', './src/cli', './src/segmentation'] },
  {
    target: './src/jobs',
    from: [
      './src/http',
      './src/cli',
      './src/collections',
      './src/inference',
      './src/segmentation',
      './src/vision',
      './src/models',
    ],
  },
  {
    target: './src/client',
    from: [
      './src/http',
      './src/collections',
      './src/inference',
      './src/segmentation',
      './src/vision',
      './src/models',
    ],
  },
  { target: './src/http', from: ['./src/cli', './src/composition.ts', './src/server.ts', './src/main.ts'] },
];

/** The native libraries that a room may not import. */
function reserved(room) {
  return Object.entries(NATIVE)
    .filter(([, owner]) => owner !== room)
    .map(([name, owner]) => ({ name, message: `Only ${owner} may import it.` }));
}

export default tseslint.config(
  {
    ignores: [
      'dist',
      'node_modules',
      'data',
      'src/http/generated',
      'src/models/onnx/generated',
      'src/client/schema.ts',
      'coverage',
      '.venv',
      'scripts',
      'models',
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        createTypeScriptImportResolver({ project: ['tsconfig.json', 'src/web/tsconfig.json'] }),
      ],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': [
        'error',
        { zones: ONE_WAY.flatMap(({ target, from }) => from.map((place) => ({ target, from: place }))) },
      ],
      // Prettier's business.
      'no-unexpected-multiline': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
    },
  },
  { files: ['src/**/*.ts'], rules: { 'no-restricted-imports': ['error', { paths: reserved('src') }] } },
  ...[...new Set(Object.values(NATIVE))].map((room) => ({
    files: [`${room}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { paths: reserved(room) }] },
  })),
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
);
