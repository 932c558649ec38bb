/**
 * The agent is stuck in a state that no retry inside this process can leave (spec 4 §10).
 * Ordinary errors belong to the error rate; this is for, say, an SDK whose control channel did not come up.
 */
export class Wedge {
  #reason: string | undefined;
  readonly #onChange: () => void;

  /** `onChange` is told of each change, so that the platform hears of it at once. */
  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange;
  }

  /** The first reason stays until it is cleared; later ones say nothing new. */
  mark(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#onChange();
  }

  /** To be called upon an observed success. */
  clear(): void {
    if (this.#reason === undefined) return;
    this.#reason = undefined;
    this.#onChange();
  }

  isWedged(): boolean {
    return this.#reason !== undefined;
  }

  reason(): string | undefined {
    return this.#reason;
  }
}
