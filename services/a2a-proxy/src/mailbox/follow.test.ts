/** Those who wait for an end: woken once it is there, never later than they want, never more than may wait. */
import { describe, expect, it } from 'vitest';
import { Followers } from './follow.ts';

const LONG_MS = 60_000;
const never = new AbortController().signal;

describe('a follower', () => {
  it('is woken by the end of its message, and by no other', async () => {
    const followers = new Followers();
    const [mine, others] = [followers.follow('a'), followers.follow('b')];
    const woken: string[] = [];
    const waiting = [
      mine?.ended(LONG_MS, never).then(() => woken.push('a')),
      others?.ended(LONG_MS, never).then(() => woken.push('b')),
    ];
    followers.wake('nobody');
    followers.wake('a');
    await waiting[0];
    expect(woken).toEqual(['a']);
    followers.close();
    await waiting[1];
    expect(woken).toEqual(['a', 'b']);
  });

  it('F1: misses no end that is heard before it waits', async () => {
    const followers = new Followers();
    const following = followers.follow('a');
    followers.wake('a');
    await expect(following?.ended(LONG_MS, never)).resolves.toBeUndefined();
  });

  it('F2: is not taken on when as many wait as may, or when the process stops', () => {
    const followers = new Followers(2);
    const first = followers.follow('a');
    expect(followers.follow('a')).toBeDefined();
    expect(followers.follow('b')).toBeUndefined();
    first?.stop();
    first?.stop();
    expect(followers.size).toBe(1);
    expect(followers.follow('b')).toBeDefined();
    followers.close();
    expect(new Followers(0).follow('a')).toBeUndefined();
    expect(followers.follow('c')).toBeUndefined();
  });

  it('F3: waits no longer than its time, or than its connection', async () => {
    const followers = new Followers();
    const gone = new AbortController();
    const waiting = followers.follow('a')?.ended(LONG_MS, gone.signal);
    gone.abort();
    await waiting;
    await followers.follow('a')?.ended(LONG_MS, gone.signal);
    await expect(followers.follow('a')?.ended(1, never)).resolves.toBeUndefined();
  });
});
