/**
 * What a restart takes a workspace's configuration from (spec 1 §1.8, spec 3 §1.14): the first rule that fits. Without a wish the
 * volume is what its user made of it, and stays.
 */
export interface RestartWish {
  readonly name: string;
  /** As it was stored before the restart. */
  readonly runtime: string;
  /** `''`: none. */
  readonly template: string;
  readonly applyTemplate: boolean;
  readonly rebuildConfig: boolean;
}

export interface RestartSource {
  /** The `config_dir` of the answer. */
  readonly label: string;
  /** Where it is; `null`: the volume stays as it is. */
  readonly directory: string | null;
}

export const EXISTING_VOLUME: RestartSource = { label: 'existing-volume', directory: null };
/** What the labels of organisations' templates begin with. */
export const ORG_PREFIX = 'org-templates/';
