/** The public surface of @molecule/embedded: Molecule whole, in one process. */
export { type MainOptions, main } from './embedded.ts';
