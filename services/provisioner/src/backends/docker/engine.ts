/** The way to the Docker engine, from the standard variables (spec 3 §1.1), and what its errors mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';

export interface EngineSettings {
  readonly DOCKER_HOST?: string | undefined;
  readonly DOCKER_TLS_VERIFY?: string | undefined;
  readonly DOCKER_CERT_PATH?: string | undefined;
  readonly DOCKER_API_VERSION?: string | undefined;
}

const DEFAULT_SOCKET = '/var/run/docker.sock';
/** A silent connection is cut after this; calls that take long (a pull) say something all the while. */
const SILENCE_LIMIT_MS = 60_000;

/** Builds a client; nothing is contacted. @throws when DOCKER_HOST or the certificates are no good. */
export function createEngine(settings: EngineSettings): Docker {
  const { DOCKER_HOST: host = `unix://${DEFAULT_SOCKET}`, DOCKER_API_VERSION: version } = settings;
  const common = { timeout: SILENCE_LIMIT_MS, ...(version === undefined ? {} : { version: `v${version.replace(/^v/, '')}` }) };
  if (host.startsWith('unix://')) return new Docker({ ...common, socketPath: host.slice('unix://'.length) || DEFAULT_SOCKET });
  if (host.startsWith('npipe://')) return new Docker({ ...common, socketPath: host.slice('npipe://'.length) });
  const url = new URL(host.includes('//') ? host : `tcp://${host}`);
  const secure = settings.DOCKER_TLS_VERIFY !== undefined || url.port === '2376' || url.protocol === 'https:';
  return new Docker({
    ...common,
    host: url.hostname,
    port: url.port || (secure ? '2376' : '2375'),
    protocol: secure ? 'https' : 'http',
    ...(secure && settings.DOCKER_CERT_PATH !== undefined ? certificates(settings.DOCKER_CERT_PATH) : {}),
  });
}

const certificates = (directory: string) => ({
  ca: readFileSync(join(directory, 'ca.pem')),
  cert: readFileSync(join(directory, 'cert.pem')),
  key: readFileSync(join(directory, 'key.pem')),
});

/** Waits for calls that cannot be told to stop themselves. */
export async function within<Result>(call: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise: told, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(signal.reason);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([call, told]);
  } finally {
    signal.removeEventListener('abort', giveUp);
    call.catch(() => {}); // its end, whatever it is, comes too late to matter
  }
}

/** Whether an engine answers within `limitMs`. */
export async function answers(docker: Docker, limitMs: number): Promise<boolean> {
  try {
    await within(docker.ping(), AbortSignal.timeout(limitMs));
    return true;
  } catch {
    return false;
  }
}

const statusOf = (error: unknown): number | undefined => (error as { statusCode?: number } | undefined)?.statusCode;
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Spec 3 §1.8: a typed 404, or what older engines say instead. */
export const isNotFound = (error: unknown): boolean =>
  statusOf(error) === 404 || /no such container|not found/i.test(textOf(error));

/** It exists already, or somebody is at it right now. */
export const isConflict = (error: unknown): boolean => statusOf(error) === 409;

/** An engine without privileges of its own cannot give any: what it says when it is asked to. */
export const lacksPrivileges = (error: unknown): boolean => /operation not permitted|permission denied/i.test(textOf(error));

export const isMissingImage = (error: unknown): boolean => {
  const text = textOf(error).toLowerCase();
  return text.includes('no such image') || (text.includes('not found') && text.includes('image'));
};
