#!/usr/bin/env -S node --initial-heap-size=96
import { run } from './program.js';

process.exitCode = await run(process.argv.slice(2));
