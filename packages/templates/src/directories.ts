/** Where templates are (spec 3 §5), from what the environment says and what is there. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CONFIG_FILE } from './template.ts';

/** Those that come with Molecule. */
const SHIPPED = fileURLToPath(new URL('../../../workspace-templates', import.meta.url));

const CONFIG_PLACES = ['workspace-configs-templates', '../workspace-configs-templates', '../../workspace-configs-templates'];

/** As a service's configuration has them; `''`: not set. */
export interface TemplateSettings {
  readonly CONFIGS_DIR: string;
  readonly ORG_TEMPLATES_DIR: string;
  readonly WORKSPACE_MANIFEST_PATH: string;
}

export interface TemplateDirectories {
  readonly configsDir: string;
  readonly orgTemplatesDir: string;
}

export async function templateDirectories({
  CONFIGS_DIR,
  ORG_TEMPLATES_DIR,
}: Pick<TemplateSettings, 'CONFIGS_DIR' | 'ORG_TEMPLATES_DIR'>): Promise<TemplateDirectories> {
  const configsDir = CONFIGS_DIR || ((await firstOf(CONFIG_PLACES, holdsTemplates)) ?? SHIPPED);
  const orgPlaces = ['org-templates', '../org-templates', join(configsDir, '../org-templates')];
  return { configsDir, orgTemplatesDir: ORG_TEMPLATES_DIR || ((await firstOf(orgPlaces, isDirectory)) ?? 'org-templates') };
}

async function firstOf(places: readonly string[], fits: (place: string) => Promise<boolean>): Promise<string | undefined> {
  for (const place of places) if (await fits(place)) return place;
  return undefined;
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** At least one sub-directory with a configuration. */
async function holdsTemplates(place: string): Promise<boolean> {
  const entries = await readdir(place).catch(() => []);
  return (await firstOf(entries, (entry) => isFile(join(place, entry, CONFIG_FILE)))) !== undefined;
}
