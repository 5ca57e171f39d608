#!/usr/bin/env -S node --initial-heap-size=96
// What the option of V8 is for: docs/performance.md, "Garbage". `npm start` and the image have it too.
import { serve } from './cli/serve.js';

await serve({});
