/** `npm start`: Molecule whole, in one process. What is compiled once is kept, so that the next start is quicker. */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '../../../node_modules/.cache/compiled'));
const { main } = await import('./embedded.ts');
await main(process.env, { onReady: flushCompileCache });
