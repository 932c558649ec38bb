import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { exposeCounter, exposeCounters, exposeGauge } from './figures.ts';

it('shows what a figure is when somebody looks, and a counter never twice what was counted', async () => {
  const metrics = new Registry();
  const known = { level: 3, count: 1, kinds: new Map([['good', 2]]) };
  exposeGauge(metrics, { name: 'level', help: 'h', read: () => known.level });
  exposeGauge(metrics, { name: 'asked', help: 'h', read: async () => known.level });
  exposeCounter(metrics, { name: 'count_total', help: 'h', read: () => known.count });
  exposeCounters(metrics, { name: 'kinds_total', help: 'h', label: 'kind', read: () => known.kinds });
  const samples = async () => (await metrics.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(await samples()).toEqual(['level 3', 'asked 3', 'count_total 1', 'kinds_total{kind="good"} 2']);
  Object.assign(known, { level: 2, count: 5 });
  known.kinds.set('good', 4).set('bad', 1);
  expect(await samples()).toEqual([
    'level 2',
    'asked 2',
    'count_total 5',
    'kinds_total{kind="good"} 4',
    'kinds_total{kind="bad"} 1',
  ]);
});
