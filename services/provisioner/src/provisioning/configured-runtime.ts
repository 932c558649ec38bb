/** The runtime that a workspace's own configuration names (spec 3 §1.14): its user may have edited it. Pure. */

/** What could name one: it ends up in the choice of an image. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** The value of the first line `runtime:` that has one, wherever it stands; `null`: it says nothing that could be a runtime. */
export function runtimeIn(config: string): string | null {
  for (const line of config.split('\n')) {
    const value = /^runtime:(.*)$/
      .exec(line.trim())?.[1]
      ?.replace(/\s#.*$/, '')
      .trim()
      .replace(/^(["'])(.*)\1$/, '$2');
    if (value !== undefined && value !== '') return NAME.test(value) ? value : null;
  }
  return null;
}
