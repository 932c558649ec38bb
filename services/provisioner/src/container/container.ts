/** What runs for a workspace, as decisions about it need to see it. Stream `container.<workspaceId>`. */
import { type BackendName, type ContainerFact, containerFacts, type StartOptions } from '@molecule/contracts';
import type { Aggregate, Fold } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { containerList } from './projections/container-list.ts';

export type Container =
  | { readonly phase: 'absent'; readonly run: 0 }
  | {
      readonly phase: 'starting';
      readonly run: number;
      readonly backend: BackendName;
      /** How it differs from an ordinary start. */
      readonly start?: StartOptions | undefined;
    }
  | { readonly phase: 'running'; readonly run: number; readonly backend: BackendName; readonly url: string }
  | { readonly phase: 'exited' | 'failed'; readonly run: number }
  | { readonly phase: 'stopped'; readonly run: number; readonly volumeRemoved: boolean };

export const container: Fold<Container, ContainerFact> = {
  initial: { phase: 'absent', run: 0 },
  evolve: (state, fact) => {
    switch (fact.type) {
      case 'container.starting':
        return { phase: 'starting', run: fact.data.run, backend: fact.data.backend, start: fact.data.start };
      case 'container.started':
        return { phase: 'running', run: fact.data.run, backend: fact.data.backend, url: fact.data.url };
      case 'container.exited':
        return { phase: 'exited', run: fact.data.run };
      case 'provision.failed':
        return { phase: 'failed', run: fact.data.run };
      case 'container.stopped':
        return { phase: 'stopped', run: state.run, volumeRemoved: fact.data.volumeRemoved };
      default:
        return unreachable(fact);
    }
  },
};

/** A case was forgotten: the compiler says so here, at the switch. */
const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};

export const containers: Aggregate<Tables, Container, ContainerFact> = {
  noun: 'container',
  family: containerFacts,
  fold: container,
  inline: [containerList],
  workspaceOf: (id) => id,
};
