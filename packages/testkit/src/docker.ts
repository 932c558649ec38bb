/** Docker for tests: the engine itself, or why there is none. */
import Docker from 'dockerode';

export type { Docker };

export type DockerState =
  | { readonly available: true; readonly docker: Docker }
  | { readonly available: false; readonly reason: string };

const ANSWER_WITHIN_MS = 3_000;

/** Asks the engine that `DOCKER_HOST` (or the usual socket) names whether it is there. What the test does with it is not bounded. */
export async function dockerState(): Promise<DockerState> {
  try {
    await new Docker({ timeout: ANSWER_WITHIN_MS }).ping();
    return { available: true, docker: new Docker() };
  } catch (error) {
    return { available: false, reason: `no Docker engine answers: ${(error as Error).message}` };
  }
}

/** The same as yes or no. */
export const dockerAvailable = async (): Promise<boolean> => (await dockerState()).available;
