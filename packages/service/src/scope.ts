/** What a service has opened, closed in reverse order, once, whatever happens on the way. */
export class Scope {
  readonly #releases: (() => unknown)[] = [];
  readonly #told = new AbortController();
  #closing: Promise<void> | undefined;

  /**
   * Ends waiting for something that is not there yet: aborted when the process is told to stop before everything is
   * open, and when everything has been closed. It stays quiet while what is open still has work to finish.
   */
  get signal(): AbortSignal {
    return this.#told.signal;
  }

  /** Opens a resource together with the way to let go of it. What becomes open after closing began is let go at once. */
  async open<Resource>(
    acquire: () => Resource | Promise<Resource>,
    release: (resource: Resource) => unknown = () => undefined,
  ): Promise<Resource> {
    this.#told.signal.throwIfAborted();
    const resource = await acquire();
    if (this.#closing) {
      await release(resource);
      throw new Error('told to stop while opening');
    }
    this.#releases.push(() => release(resource));
    return resource;
  }

  /** Ends the opening: `signal` aborts, and `open` opens nothing more. What is open stays so until `close`. */
  stopOpening(): void {
    this.#told.abort();
  }

  /** @throws AggregateError when not everything could be closed; the rest was. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const release of this.#releases.toReversed()) {
      try {
        await release();
      } catch (failure) {
        failures.push(failure);
      }
    }
    this.#told.abort();
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be closed');
  }
}
