/** The public surface of @molecule/templates: what a template directory says, read in one place for every service. */
export type { TemplateDirectories, TemplateSettings } from './directories.ts';
export { normalizeName } from './names.ts';
export { isInside, type Located, locate } from './paths.ts';
export type { RestartSource, RestartWish } from './restart.ts';
export { DEFAULT_RUNTIME, Runtimes } from './runtimes.ts';
export { parseTemplate, type SubWorkspace, type Template, TemplateUnreadable } from './template.ts';
export { Templates } from './templates.ts';
