/** The runtimes a workspace may have (spec 3 §5.7). What is in none of these lists never gets into a path or into generated YAML. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

export const DEFAULT_RUNTIME = 'langgraph';
const EXTERNAL = 'external';
/** Our own: for first steps and tests, and in no manifest of anybody. */
const OWN = 'echo';

const WITHOUT_MANIFEST = [
  'langgraph',
  'claude-code',
  'openclaw',
  'crewai',
  'autogen',
  'deepagents',
  'hermes',
  'codex',
  'gemini-cli',
];
/** Where a manifest is looked for when nobody says where it is. */
const PLACES = ['/app/manifest.json', 'manifest.json', '../manifest.json', '../../manifest.json'];

const Manifest = z.object({ workspace_templates: z.array(z.object({ name: z.string() })) });

export class Runtimes {
  readonly known: ReadonlySet<string>;
  /** Where the list is from; `null`: nobody gave one, or it cannot be read. */
  readonly manifest: string | null;

  constructor(names: readonly string[] = WITHOUT_MANIFEST, manifest: string | null = null) {
    this.known = new Set([...names, EXTERNAL, OWN]);
    this.manifest = manifest;
  }

  /** Reads the manifest at `path`, else the first there is in the usual places. */
  static async read(path: string): Promise<Runtimes> {
    for (const place of path === '' ? PLACES : [path]) {
      const names = await namesOf(place);
      if (names !== 'absent') return names === 'malformed' ? new Runtimes() : new Runtimes(names, place);
    }
    return new Runtimes();
  }

  /** A runtime of the list: the one that is asked for, or the default. */
  coerce(runtime: string): string {
    const trimmed = runtime.trim();
    return this.known.has(trimmed) ? trimmed : DEFAULT_RUNTIME;
  }
}

async function namesOf(path: string): Promise<readonly string[] | 'absent' | 'malformed'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return 'absent';
  }
  try {
    const { workspace_templates: templates } = Manifest.parse(JSON.parse(text));
    return templates.map(({ name }) => name.trim().replace(/-default$/, '')).filter((name) => name !== '');
  } catch {
    return 'malformed';
  }
}
