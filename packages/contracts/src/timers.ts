/** How long the platform waits before it decides that something went wrong (spec 1 §2.5): what acts on it and what explains it agree. */

const PROVISION_SECONDS = 600;
const PROVISION_SECONDS_OF: Readonly<Record<string, number>> = { hermes: 1800 };
const REMOTE_STALE_SECONDS = 90;

/** How long a workspace of a runtime may be provisioning; `setting` (`PROVISION_TIMEOUT_SECONDS`) counts for every runtime. */
export const provisionTimeoutSeconds = (runtime: string, setting: string | undefined): number =>
  wholeSeconds(setting) ??
  (Object.hasOwn(PROVISION_SECONDS_OF, runtime) ? PROVISION_SECONDS_OF[runtime] : undefined) ??
  PROVISION_SECONDS;

/** How long a remote agent may be silent; `setting` is `REMOTE_LIVENESS_STALE_AFTER`. */
export const remoteStaleAfterSeconds = (setting: string | undefined): number => wholeSeconds(setting) ?? REMOTE_STALE_SECONDS;

/** A whole number above 0; anything else says nothing. */
const wholeSeconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
