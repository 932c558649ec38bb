/** Which image a runtime runs in (spec 3 §1.3), and having it there. */

import type { Log } from '@molecule/service';
import type Docker from 'dockerode';
import { isNotFound, within } from './engine.ts';

const KNOWN_RUNTIMES = ['langgraph', 'claude-code', 'openclaw', 'deepagents', 'crewai', 'autogen', 'hermes', 'gemini-cli'];

/** Our own images win; an unknown runtime runs in langgraph's. */
export const imageFor = (runtime: string, own: Readonly<Record<string, string>>): string =>
  own[runtime] ?? `ghcr.io/molecule-ai/workspace-template-${KNOWN_RUNTIMES.includes(runtime) ? runtime : 'langgraph'}:latest`;

/** Present: used as it is. Absent: pulled once; a pull that fails is only logged, for the start will tell. */
export async function ensureImage(
  docker: Docker,
  image: string,
  platform: string | undefined,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  if (await isPresent(docker, image, signal)) return;
  try {
    const progress = await docker.pull(image, { ...(platform === undefined ? {} : { platform }), abortSignal: signal });
    // Read to its end: closing it earlier gives the pull up.
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(progress, (error: unknown) => (error ? reject(error) : resolve())),
    );
  } catch (error) {
    log.warn({ err: error, image }, 'an image could not be pulled');
  }
}

export async function isPresent(docker: Docker, image: string, signal: AbortSignal): Promise<boolean> {
  try {
    await within(docker.getImage(image).inspect(), signal);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
