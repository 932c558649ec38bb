/** The stand-in for the registry as the edge meets it: with tokens that people hold. */
import { randomBytes } from 'node:crypto';
import type { Bus } from '@molecule/bus';
import { SESSION_COOKIE, type WorkspaceFact, type WorkspaceId } from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import type { Log } from '@molecule/service';
import { StandInRegistry } from '@molecule/testkit';
import { tokenHash } from '../principal.ts';

export class TokenRegistry extends StandInRegistry {
  constructor(bus: Bus, log: Log) {
    super({ bus, log, applyFact });
    this.serve();
  }

  /** A new workspace, and a token for it unless told otherwise. */
  async enrol({ parentId = null, token = true }: { parentId?: string | null; token?: boolean } = {}) {
    const id = await this.create({ parentId });
    return { id, token: token ? await this.issue(id) : '' };
  }

  async issue(workspaceId: string): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    await this.issueToken(workspaceId, tokenHash(token));
    return token;
  }

  /** An org token; what its holder has of it, and its id. */
  async orgToken() {
    const token = randomBytes(32).toString('base64url');
    return { token, id: await this.issueOrgToken({ hash: tokenHash(token) }) };
  }

  /** A canvas session; its cookie, and its id. */
  async session() {
    const token = randomBytes(32).toString('base64url');
    return { cookie: `${SESSION_COOKIE}=${token}`, id: await this.openSession({ hash: tokenHash(token) }) };
  }
}

export const moved = (parentId: string | null): WorkspaceFact => ({
  type: 'workspace.moved',
  data: { parentId: parentId as WorkspaceId | null },
});
export const status = (to: 'online' | 'offline', event: string): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'provisioning', to, reason: 'heartbeat', clearsUrl: false, event: { type: event, payload: {} } },
});
