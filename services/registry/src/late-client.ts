/** A client of a service that may come up after us: made when it is first needed. */
import { ServiceClient, type ServiceClientOptions } from '@molecule/http';

export type LateUrls = () => readonly string[] | Promise<readonly string[]>;

export class LateClient {
  readonly #urls: LateUrls;
  readonly #options: Omit<ServiceClientOptions, 'baseUrls'>;
  #client: Promise<ServiceClient> | undefined;

  constructor(urls: LateUrls, options: Omit<ServiceClientOptions, 'baseUrls'>) {
    this.#urls = urls;
    this.#options = options;
  }

  get(): Promise<ServiceClient> {
    this.#client ??= this.#open().catch((error: unknown) => {
      this.#client = undefined; // who asks next may find it up
      throw error;
    });
    return this.#client;
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
  }

  async #open(): Promise<ServiceClient> {
    return new ServiceClient({ ...this.#options, baseUrls: await this.#urls() });
  }
}
