/**
 * Somebody who asks the gateway, and takes no answer that the reference does not know: a status that is not documented, a body with a
 * member more or less than its schema, a refusal in other words.
 */
import type { RouteInfo } from '@molecule/http';
import { statusOf } from '@molecule/http';
import { AUTH_CLASSES } from '@molecule/reference';
import { z } from 'zod';
import type { Together } from './services.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a route answered, looked at by tests
  readonly body: any;
}

export interface Asked {
  readonly body?: unknown;
  /** A bearer. */
  readonly as?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Checked {
  readonly #url: string;
  readonly #routes: readonly RouteInfo[];
  /** What was answered that the reference does not know. */
  readonly undocumented: string[] = [];
  /** Routes that have answered, each with the statuses. */
  readonly answered = new Map<string, Set<number>>();

  constructor({ url, documented }: Together) {
    this.#url = url;
    this.#routes = documented.flatMap(({ routes }) => routes);
  }

  async ask(request: string, { body, as, headers = {} }: Asked = {}): Promise<Answer> {
    const [method = '', path = ''] = request.split(' ');
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { ...(as !== undefined && { authorization: `Bearer ${as}` }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const { status } = response;
    const type = response.headers.get('content-type') ?? '';
    const text = await response.text();
    const answer = { status, body: type.startsWith('application/json') ? JSON.parse(text) : text };
    const route = this.#routeOf(method, path);
    const problem = problemOf(route, answer, type);
    if (problem !== null) this.undocumented.push(`${request} answered ${status} ${text.slice(0, 500)}: ${problem}`);
    const name = `${route.method} ${route.path}`;
    this.answered.set(name, (this.answered.get(name) ?? new Set()).add(status));
    return answer;
  }

  /** Routes that were never asked. */
  get unasked(): string[] {
    return this.#routes.map(({ method, path }) => `${method} ${path}`).filter((name) => !this.answered.has(name));
  }

  #routeOf(method: string, target: string): RouteInfo {
    const [path = ''] = target.split('?');
    const matching = this.#routes.filter((route) => route.method === method && patternOf(route.path).test(path));
    const [route] = matching.toSorted((a, b) => parameters(a) - parameters(b));
    if (route === undefined) throw new Error(`there is no ${method} ${path}`);
    return route;
  }
}

const parameters = ({ path }: RouteInfo): number => path.split(':').length;
const patternOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`);

function problemOf({ authClass, doc }: RouteInfo, { status, body }: Answer, type: string): string | null {
  const said = doc?.answers[status];
  if (said !== undefined) {
    const mismatch = mismatchOf(said.body, body, type);
    if (mismatch === null) return null;
    if (status < 300) return mismatch;
  }
  const refusals = [
    ...(AUTH_CLASSES[authClass]?.refusals ?? []).map(({ kind, message, body: more }) => [kind, message, more] as const),
    ...(doc?.refusals ?? []),
  ];
  const known = refusals.some(([kind, message, more = {}]) => {
    const { error, ...rest } = body ?? {};
    return statusOf(kind) === status && isText(message, error) && Object.keys(rest).every((key) => key in more);
  });
  return known ? null : 'no documented refusal reads like this';
}

function mismatchOf(schema: z.ZodType | string | undefined, body: unknown, type: string): string | null {
  if (schema === undefined) return null;
  if (typeof schema === 'string') return type.startsWith(schema) ? null : `${type} is not ${schema}`;
  const parsed = schema.safeParse(body);
  if (!parsed.success) return z.prettifyError(parsed.error);
  // What a schema does not name, it leaves out.
  return sorted(parsed.data) === sorted(body) ? null : `the schema knows only ${JSON.stringify(parsed.data)}`;
}

/** JSON with the members of objects in order. */
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

/** A documented text may hold `<placeholders>`. */
const isText = (text: string, said: unknown): boolean =>
  typeof said === 'string' &&
  new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/<[^>]+>/g, '.+')}$`, 's').test(said);
