/** Several registries, one text: each family once, nothing lost, everything labelled. */
import { Counter, Gauge, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { exposition } from './exposition.ts';

const registryOf = (service: string): Registry => {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  new Gauge({ name: 'molecule_lag_facts', help: 'Facts that wait.', registers: [registry] }).set(3);
  return registry;
};

it('tells a family once, with the samples of everybody who has it', async () => {
  const [gateway, registry] = [registryOf('gateway'), registryOf('registry')];
  const denials = new Counter({ name: 'molecule_denials_total', help: 'Denials.', labelNames: ['reason'], registers: [gateway] });
  denials.inc({ reason: 'missing' }, 2);
  expect(await exposition([gateway, registry])).toBe(
    `# HELP molecule_lag_facts Facts that wait.
# TYPE molecule_lag_facts gauge
molecule_lag_facts{service="gateway"} 3
molecule_lag_facts{service="registry"} 3

# HELP molecule_denials_total Denials.
# TYPE molecule_denials_total counter
molecule_denials_total{reason="missing",service="gateway"} 2
`,
  );
});

it('of one registry is what that tells itself', async () => {
  const registry = registryOf('gateway');
  expect(await exposition([registry])).toBe(await registry.metrics());
});
