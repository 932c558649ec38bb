/** The checker itself is tested with planted bugs: each must be found, and a sound history must pass. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClean, judge, type Recorded } from './checker.ts';
import { History, type Outcome } from './history.ts';

interface Message {
  readonly value: string;
  readonly outcome: Outcome;
}

/** What a platform without bugs does with these messages to one agent: direct ones at once, queued ones afterwards and in order. */
function soundRun(messages: readonly Message[]): { history: History; recorded: Recorded[] } {
  const history = new History();
  const recorded: Recorded[] = [];
  for (const [place, { value, outcome }] of messages.entries()) {
    history.begin(value, 'agent').outcome = outcome;
    if (outcome === 'answered') {
      history.see(value, 'agent');
      recorded.push({ value, queueId: value, place: null, facts: ['a2a.answered'] });
    } else if (outcome === 'queued') {
      recorded.push({ value, queueId: value, place, facts: ['a2a.queued', 'a2a.dispatched', 'a2a.completed'] });
    }
  }
  for (const { value } of messages.filter(({ outcome }) => outcome === 'queued')) history.see(value, 'agent');
  return { history, recorded };
}

const messages = fc
  .array(fc.constantFrom<Outcome>('answered', 'queued', 'refused', 'unknown'), { minLength: 1, maxLength: 30 })
  .map((outcomes) => outcomes.map((outcome, index) => ({ value: `m${index}`, outcome })));

const queuedPair: Message[] = [
  { value: 'first', outcome: 'queued' },
  { value: 'second', outcome: 'queued' },
];

describe('the checker', () => {
  it('passes what a platform without bugs does', () => {
    fc.assert(
      fc.property(messages, (sent) => {
        const { history, recorded } = soundRun(sent);
        expect(judge(history, recorded)).toSatisfy(isClean);
      }),
    );
  });

  it('finds an acknowledged message that no agent saw', () => {
    const { recorded } = soundRun(queuedPair);
    const history = new History();
    for (const { value } of queuedPair) history.begin(value, 'agent').outcome = 'queued';
    history.see('first', 'agent');
    expect(judge(history, recorded).lost).toEqual(['second']);
  });

  it('does not call lost what the log ended otherwise', () => {
    const history = new History();
    history.begin('a', 'agent').outcome = 'queued';
    const recorded = [{ value: 'a', queueId: 'a', place: 1, facts: ['a2a.queued', 'a2a.dropped'] }];
    expect(judge(history, recorded)).toSatisfy(isClean);
  });

  it('finds an answer that no agent gave', () => {
    const history = new History();
    history.begin('a', 'agent').outcome = 'answered';
    expect(judge(history, []).lost).toEqual(['a']);
  });

  it('finds a message delivered more often than the log admits', () => {
    const { history, recorded } = soundRun([{ value: 'a', outcome: 'answered' }]);
    history.see('a', 'agent');
    expect(judge(history, recorded).duplicated).toEqual(['a']);
  });

  it('admits a redelivery that the log tells of', () => {
    const history = new History();
    history.begin('a', 'agent').outcome = 'queued';
    for (let i = 0; i < 2; i++) history.see('a', 'agent');
    const facts = ['a2a.queued', 'a2a.dispatched', 'a2a.requeued', 'a2a.dispatched', 'a2a.completed'];
    expect(judge(history, [{ value: 'a', queueId: 'a', place: 1, facts }])).toSatisfy(isClean);
  });

  it('finds a message that nobody sent', () => {
    const { history, recorded } = soundRun(queuedPair);
    history.see('ghost', 'agent');
    expect(judge(history, recorded).unexpected).toEqual(['ghost']);
  });

  it('finds two queued messages that changed places', () => {
    const { recorded } = soundRun(queuedPair);
    const history = new History();
    for (const { value } of queuedPair) history.begin(value, 'agent').outcome = 'queued';
    history.see('second', 'agent');
    history.see('first', 'agent');
    expect(judge(history, recorded).reordered).toEqual(['first']);
  });

  it.each([
    ['none', ['a2a.queued', 'a2a.dispatched']],
    ['two', ['a2a.queued', 'a2a.dispatched', 'a2a.completed', 'a2a.failed']],
  ])('finds a message with %s ends', (_, facts) => {
    const { history } = soundRun([{ value: 'a', outcome: 'queued' }]);
    expect(judge(history, [{ value: 'a', queueId: 'a', place: 1, facts }]).unbalanced).toEqual(['a']);
  });
});
