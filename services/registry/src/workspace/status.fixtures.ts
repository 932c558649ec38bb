/** A workspace in any situation, for tests. */
import type { PresentWorkspace } from './workspace.ts';

export const aWorkspace = (differs: Partial<PresentWorkspace> = {}): PresentWorkspace => ({
  situation: 'present',
  status: 'online',
  name: 'atlas',
  role: null,
  tier: 3,
  runtime: 'echo',
  external: false,
  parentId: null,
  url: '',
  internalUrl: '',
  located: false,
  workspaceDir: null,
  collapsed: false,
  canvas: { x: 0, y: 0 },
  idleMinutes: null,
  budgetLimit: null,
  agent: null,
  tokens: [],
  ...differs,
});
