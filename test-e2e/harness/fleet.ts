/**
 * Agents whose manners change all the time: quick, slow, busy, talking nonsense, failing, dead and back. And the calm afterwards, in
 * which all of them are good. Nothing here looks at a clock: who sends a message says when a mood may change.
 */
import type { Behaviour } from '@molecule/testkit';
import type { Chance } from './chance.ts';
import type { Member } from './team.ts';

/** `dead`: nobody listens, and no beat comes. */
export type Mood = Behaviour | { readonly kind: 'dead' };

/** As often as they stand here. Those that reset are busy, as the platform sees it. */
export const MOODS: readonly Mood[] = [
  { kind: 'echo' },
  { kind: 'echo' },
  { kind: 'echo' },
  { kind: 'slow', ms: 50 },
  { kind: 'slow', ms: 400 },
  { kind: 'reset' },
  { kind: 'reset' },
  { kind: 'dead' },
  { kind: 'garbage' },
  { kind: 'not-json' },
  { kind: 'cut', bytes: 20 },
  { kind: 'status', status: 500, body: '{"error":7}' },
  { kind: 'status', status: 503, body: '{"error":{"code":1}}' },
  { kind: 'status', status: 502, body: '' },
  { kind: 'last-words', how: 'reset' },
  { kind: 'last-words', how: 'unsaid' },
];

const BEAT_EVERY_MS = 500;

export class Fleet {
  readonly members: readonly Member[];
  readonly #chance: Chance;
  readonly #changing = new Map<Member, Promise<void>>();

  constructor(members: readonly Member[], chance: Chance) {
    this.members = members;
    this.#chance = chance;
    for (const { agent } of members) agent.link?.startBeating(BEAT_EVERY_MS);
  }

  any(): Member {
    return this.#chance.pick(this.members);
  }

  /** Somebody gets another mood, unless the last one is still coming over them. */
  unsettle(member: Member): void {
    if (!this.#changing.has(member)) this.#become(member, this.#chance.pick(MOODS));
  }

  /** Resolves when all are good, listen and beat. */
  async calm(): Promise<void> {
    await Promise.all(this.#changing.values());
    for (const member of this.members) this.#become(member, { kind: 'echo' });
    await Promise.all(this.#changing.values());
  }

  #become(member: Member, mood: Mood): void {
    const change = changed(member, mood).finally(() => this.#changing.delete(member));
    this.#changing.set(member, change);
  }
}

async function changed({ agent }: Member, mood: Mood): Promise<void> {
  if (mood.kind === 'dead') {
    agent.link?.stopBeating();
    return agent.refuse();
  }
  agent.behave(mood);
  await agent.comeBack();
  agent.link?.startBeating(BEAT_EVERY_MS);
}
