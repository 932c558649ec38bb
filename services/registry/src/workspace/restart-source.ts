/** What a restart takes a workspace's configuration from (spec 1 §1.8): the first rule that fits. */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';

export interface RestartSource {
  /** The `config_dir` of the answer. */
  readonly label: string;
  /** Relative to the templates' root; `null`: the volume is what its user made of it, and stays. */
  readonly template: string | null;
}

export interface RestartWish {
  readonly name: string;
  /** As it was stored before the restart. */
  readonly runtime: string;
  /** `''`: none. */
  readonly template: string;
  readonly applyTemplate: boolean;
  readonly rebuildConfig: boolean;
}

const EXISTING_VOLUME: RestartSource = { label: 'existing-volume', template: null };

/** A template that is not there, or not inside the root, is passed over silently. */
export const restartSources =
  (configsDir: string) =>
  async ({ template }: RestartWish): Promise<RestartSource> => {
    if (template === '' || isAbsolute(template)) return EXISTING_VOLUME;
    try {
      const root = await realpath(configsDir);
      const directory = await realpath(resolve(root, template));
      const fits = directory.startsWith(root + sep) && (await stat(directory)).isDirectory();
      return fits ? { label: template, template } : EXISTING_VOLUME;
    } catch {
      return EXISTING_VOLUME;
    }
  };
