/** Where results are written that are kept with the sources. */
import { join } from 'node:path';

export const RESULTS = join(import.meta.dirname, '..', '..', '..', 'bench', 'results');
