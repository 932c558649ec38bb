/** The public surface of @molecule/capabilities. What is not named here is private to the package. */
export { RuntimeCapabilities, type RuntimeCapabilitiesOptions, type Workspaces } from './runtime-capabilities.ts';
export { applyBeat, type RuntimeState, withoutDeclarations } from './runtime-state.ts';
