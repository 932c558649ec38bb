/** No backend at all: external agents only. Every method answers, none crashes (spec 3 §1.1). */
import { type Backend, type CopyInOutcome, type CopyOutOutcome, NoBackendError } from './backend.ts';

export class NoBackend implements Backend {
  readonly name = 'none';

  async start() {
    return { outcome: 'failed', cause: new NoBackendError() } as const;
  }

  async stop() {
    return { outcome: 'no-backend' } as const;
  }

  async isRunning() {
    return { running: true, certain: false };
  }

  async readConfig() {
    return undefined;
  }

  async copyIn(): Promise<CopyInOutcome> {
    return { outcome: 'unavailable', cause: new NoBackendError() };
  }

  async copyOut(): Promise<CopyOutOutcome> {
    return { outcome: 'unavailable', cause: new NoBackendError() };
  }

  async removeVolume() {}

  async listManaged() {
    return { outcome: 'listed', resources: [] } as const;
  }

  async tend() {}

  async shutdown() {}

  async healthy() {
    return { ok: true, detail: 'none: external agents only' };
  }
}
