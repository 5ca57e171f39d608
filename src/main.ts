#!/usr/bin/env node
import { serve } from './cli/serve.js';

await serve({});
