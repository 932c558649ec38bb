/** The agent's side of the registry: it registers and beats over real HTTP (spec 4 §4, §5.1), when and as it is told. */

export interface GatewayLinkOptions {
  /** The gateway's base URL. */
  readonly gateway: string;
  readonly workspaceId: string;
  /** Bearer; taken from the first registration's answer when not given. */
  readonly token?: string;
  /** Declared with every full beat. */
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly idleTimeoutSeconds?: number;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export class GatewayLink {
  readonly #options: GatewayLinkOptions;
  readonly #url: () => string;
  readonly #activeTasks: () => number;
  #token: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What it declares from now on. */
  capabilities: Readonly<Record<string, boolean>> | undefined;
  idleTimeoutSeconds: number | undefined;

  constructor(options: GatewayLinkOptions, agent: { readonly url: () => string; readonly activeTasks: () => number }) {
    this.#options = options;
    this.#url = agent.url;
    this.#activeTasks = agent.activeTasks;
    this.#token = options.token;
    this.capabilities = options.capabilities;
    this.idleTimeoutSeconds = options.idleTimeoutSeconds;
  }

  get token(): string | undefined {
    return this.#token;
  }

  async register(card: object = { name: 'test agent', skills: [] }): Promise<Answer> {
    // By name: a register refuses loopback addresses (spec 1 §3.8), but not the name `localhost`.
    const url = this.#url().replace('127.0.0.1', 'localhost');
    const answer = await this.#post('/registry/register', { id: this.#options.workspaceId, url, agent_card: card });
    const { auth_token: token } = (answer.body ?? {}) as { auth_token?: unknown };
    if (answer.status === 200 && typeof token === 'string') this.#token = token;
    return answer;
  }

  /** A full beat; `changes` replaces members of its body. `active_tasks` is what the agent is working on now. */
  beat(changes: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const declared = this.capabilities !== undefined || this.idleTimeoutSeconds !== undefined;
    return this.#post('/registry/heartbeat', {
      workspace_id: this.#options.workspaceId,
      error_rate: 0,
      sample_error: '',
      active_tasks: this.#activeTasks(),
      current_task: '',
      uptime_seconds: 1,
      ...(declared && {
        runtime_metadata: {
          ...(this.capabilities !== undefined && { capabilities: this.capabilities }),
          ...(this.idleTimeoutSeconds !== undefined && { idle_timeout_seconds: this.idleTimeoutSeconds }),
        },
      }),
      ...changes,
    });
  }

  /** Beats now and then every so often, whatever comes back, until `stopBeating`. */
  startBeating(everyMs: number): void {
    this.stopBeating();
    const beat = () => void this.beat().catch(() => undefined);
    beat();
    this.#timer = setInterval(beat, everyMs);
  }

  stopBeating(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #post(path: string, body: object): Promise<Answer> {
    const response = await fetch(new URL(path, this.#options.gateway), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    try {
      return { status: response.status, body: JSON.parse(text) as unknown };
    } catch {
      return { status: response.status, body: text };
    }
  }
}
