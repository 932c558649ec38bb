/** The checker itself is tested with planted bugs: each must be found, and a sound history must pass. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClean, judge, type Recorded } from './checker.ts';
import { History, type Outcome } from './history.ts';

interface Message {
  readonly value: string;
  readonly outcome: Outcome;
}

const DELIVERED = ['a2a.queued', 'a2a.dispatched', 'a2a.completed'];

/** What the log says of a message that waited in the mailbox. */
const record = (value: string, facts: readonly string[], priority = 50): Recorded => ({ value, queueId: value, priority, facts });

/** A message is sent, and its sender is told this. */
function tell(history: History, { value, outcome }: Message): void {
  const sent = history.begin(value, 'agent');
  if (outcome !== 'unknown') history.end(sent, outcome, { queueId: outcome === 'queued' ? value : null });
}

/** What a platform without bugs does with these messages to one agent: direct ones at once, queued ones afterwards and in order. */
function soundRun(messages: readonly Message[]): { history: History; recorded: Recorded[] } {
  const history = new History();
  const recorded: Recorded[] = [];
  for (const { value, outcome } of messages) {
    tell(history, { value, outcome });
    if (outcome === 'answered') {
      history.see(value, 'agent');
      recorded.push({ value, queueId: value, priority: null, facts: ['a2a.answered'] });
    } else if (outcome === 'queued') recorded.push(record(value, DELIVERED));
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
    for (const message of queuedPair) tell(history, message);
    history.see('first', 'agent');
    expect(judge(history, recorded).lost).toEqual(['second']);
  });

  it('does not call lost what the log ended otherwise', () => {
    const history = new History();
    tell(history, { value: 'a', outcome: 'queued' });
    expect(judge(history, [record('a', ['a2a.queued', 'a2a.dropped'])])).toSatisfy(isClean);
  });

  it('finds an answer that no agent gave', () => {
    const history = new History();
    tell(history, { value: 'a', outcome: 'answered' });
    expect(judge(history, []).lost).toEqual(['a']);
  });

  it('finds a message that was said to be queued, and is not in the log', () => {
    const { history, recorded } = soundRun(queuedPair);
    expect(judge(history, recorded.slice(1)).lost).toEqual(['first']);
  });

  it('finds a message delivered more often than the log admits', () => {
    const { history, recorded } = soundRun([{ value: 'a', outcome: 'answered' }]);
    history.see('a', 'agent');
    expect(judge(history, recorded).duplicated).toEqual(['a']);
  });

  it('finds a queued message delivered once more than it was taken out', () => {
    const { history, recorded } = soundRun(queuedPair);
    history.see('second', 'agent'); // its direct attempt, perhaps
    expect(judge(history, recorded)).toSatisfy(isClean);
    history.see('second', 'agent');
    expect(judge(history, recorded).duplicated).toEqual(['second']);
  });

  it('admits a redelivery that the log tells of', () => {
    const history = new History();
    tell(history, { value: 'a', outcome: 'queued' });
    for (let i = 0; i < 2; i++) history.see('a', 'agent');
    const facts = ['a2a.queued', 'a2a.dispatched', 'a2a.requeued', 'a2a.dispatched', 'a2a.completed'];
    expect(judge(history, [record('a', facts)])).toSatisfy(isClean);
  });

  it('finds a message that nobody sent', () => {
    const { history, recorded } = soundRun(queuedPair);
    history.see('ghost', 'agent');
    expect(judge(history, recorded).unexpected).toEqual(['ghost']);
  });

  /** Both are queued, and seen in the other order. */
  function changedPlaces(send: (history: History) => void, priorities: readonly [number, number] = [50, 50]) {
    const history = new History();
    send(history);
    for (const value of ['second', 'first']) history.see(value, 'agent');
    return judge(
      history,
      queuedPair.map(({ value }, index) => record(value, DELIVERED, priorities[index])),
    );
  }
  const inTurn = (history: History) => {
    for (const message of queuedPair) tell(history, message);
  };

  it('finds two queued messages that changed places', () => {
    expect(changedPlaces(inTurn).reordered).toEqual(['first']);
  });

  it('lets a more urgent message overtake, and two that were sent at once change places', () => {
    expect(changedPlaces(inTurn, [50, 100])).toSatisfy(isClean);
    const atOnce = (history: History) => {
      const sent = queuedPair.map(({ value }) => history.begin(value, 'agent'));
      for (const one of sent) history.end(one, 'queued', { queueId: one.value });
    };
    expect(changedPlaces(atOnce)).toSatisfy(isClean);
  });

  it.each([
    ['none', ['a2a.queued', 'a2a.dispatched']],
    ['two', ['a2a.queued', 'a2a.dispatched', 'a2a.completed', 'a2a.failed']],
  ])('finds a message with %s ends', (_, facts) => {
    const { history } = soundRun([{ value: 'a', outcome: 'queued' }]);
    expect(judge(history, [record('a', facts)]).unbalanced).toEqual(['a']);
  });
});
