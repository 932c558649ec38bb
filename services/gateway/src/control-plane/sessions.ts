/**
 * Cookies that a control plane vouches for (spec 1 §4.10).
 *
 *   C1. It is asked once for a cookie, however many requests bring it, and again after 30 s; after 5 s if it said no. That it could
 *       not be asked is remembered by nobody, and counts as no.
 *   C2. What is remembered is bounded, and holds hashes alone (I10); so is what is asked about at a time, and what comes on top counts
 *       as no.
 *   C3. An answer counts if it is 200, says so in so many words, and is small; a redirection is not followed (I9).
 */
import { hash } from 'node:crypto';
import type { Session } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { Pool } from 'undici';
import { z } from 'zod';
import type { SessionVerifier } from '../principal.ts';

const VALID_MS = 30_000;
const INVALID_MS = 5_000;
const ANSWER_MS = 3_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_ENTRIES = 10_000;
const MAX_CONNECTIONS = 32;

/** What a control plane says of somebody who is a member. */
const Member = z.object({ member: z.literal(true), user_id: z.string().min(1) });

interface Remembered {
  readonly session: Session | null;
  /** Monotonic. */
  readonly until: number;
}

export interface ControlPlaneSessionsOptions {
  readonly upstream: string;
  readonly slug: string;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly maxEntries?: number;
}

export class ControlPlaneSessions implements SessionVerifier {
  readonly #options: ControlPlaneSessionsOptions;
  readonly #maxEntries: number;
  readonly #path: string;
  readonly #pool: Pool;
  /** By hash, in the order in which they were learnt. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #asking = new Map<string, Promise<Session | null>>();

  constructor(options: ControlPlaneSessionsOptions) {
    const { origin, pathname } = new URL(options.upstream);
    this.#options = options;
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
    this.#path = `${pathname.replace(/\/$/, '')}/cp/auth/tenant-member?slug=${encodeURIComponent(options.slug)}`;
    this.#pool = new Pool(origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      connect: { timeout: ANSWER_MS },
    });
  }

  get size(): number {
    return this.#remembered.size;
  }

  verify(cookie: string): Session | null | Promise<Session | null> {
    const key = hash('sha256', `${this.#options.slug}\0${cookie}`);
    const known = this.#remembered.get(key);
    if (known !== undefined && this.#options.nowMs() < known.until) return known.session;
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    if (this.#asking.size >= this.#maxEntries) return null; // C2
    const asking = this.#ask(cookie)
      .then((session) => {
        this.#remember(key, session);
        return session;
      })
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'the control plane did not say whose session it is'); // C1
        return null;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  async #ask(cookie: string): Promise<Session | null> {
    const { statusCode, body } = await this.#pool.request({
      method: 'GET',
      path: this.#path,
      headers: { cookie },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (statusCode !== 200) {
      await body.dump({ limit: MAX_ANSWER_BYTES });
      return null; // C3
    }
    let text = '';
    for await (const chunk of body.setEncoding('utf8')) {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) return null;
    }
    const member = Member.safeParse(parsed(text));
    return member.success ? { kind: 'control-plane', id: member.data.user_id } : null;
  }

  #remember(key: string, session: Session | null): void {
    const { nowMs } = this.#options;
    this.#remembered.delete(key);
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined && this.#remembered.size >= this.#maxEntries) this.#remembered.delete(oldest); // C2
    this.#remembered.set(key, { session, until: nowMs() + (session === null ? INVALID_MS : VALID_MS) });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
