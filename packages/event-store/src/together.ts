/**
 * Does what many callers ask at the same time in few statements.
 *
 *   W1. Nobody waits for company: what is asked is done at once while a lane is free; what is asked meanwhile goes together.
 *   W2. Each gets its own answer; what is wrong with one is never told to another.
 *   W3. What is asked is looked at after it was asked, and answered after it is done.
 */

export interface TogetherOptions<Question, Answer> {
  /** Batches under way at once. */
  readonly lanes: number;
  /** Whether another one may go along with these. */
  readonly fits: (batch: readonly Question[], next: Question) => boolean;
  /** Answers in the order asked. */
  readonly run: (batch: readonly Question[]) => Promise<readonly Answer[]>;
  /** Whether a batch's failure says nothing about any one of it, so that asking one by one would not help. */
  readonly concernsAll: (error: unknown) => boolean;
}

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export class Together<Question, Answer> {
  readonly #options: TogetherOptions<Question, Answer>;
  #waiting: Waiting<Question, Answer>[] = [];
  #running = 0;

  constructor(options: TogetherOptions<Question, Answer>) {
    this.#options = options;
  }

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (this.#running === this.#options.lanes) return;
      this.#running++;
      // Whatever else is asked in this turn of the event loop goes along.
      queueMicrotask(() => void this.#runLane());
    });
  }

  async #runLane(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#answer(batch);
    this.#running--;
  }

  #take(): Waiting<Question, Answer>[] {
    const questions: Question[] = [];
    const batch: Waiting<Question, Answer>[] = [];
    const later: Waiting<Question, Answer>[] = [];
    for (const waiting of this.#waiting) {
      if (batch.length > 0 && !this.#options.fits(questions, waiting.question)) later.push(waiting);
      else {
        questions.push(waiting.question);
        batch.push(waiting);
      }
    }
    this.#waiting = later;
    return batch;
  }

  async #answer(batch: readonly Waiting<Question, Answer>[]): Promise<void> {
    const { run, concernsAll } = this.#options;
    try {
      const answers = await run(batch.map(({ question }) => question));
      for (const [index, { resolve }] of batch.entries()) resolve(answers[index] as Answer);
    } catch (error) {
      if (batch.length === 1 || concernsAll(error)) for (const { reject } of batch) reject(error);
      // W2: one of them is at fault; the others are not.
      else for (const alone of batch) await this.#answer([alone]);
    }
  }
}
