/** The public surface of @molecule/net-guard: what may be dialled (SSRF). What is not named here is private to the package. */
export {
  type GuardedPoolOptions,
  NetGuard,
  type NetGuardOptions,
  type Resolve,
  type ResolvedAddress,
  UnresolvedName,
  UnsafeDestination,
  type Verdict,
} from './guard.ts';
export { type ModeEnvironment, modeFromEnv } from './mode.ts';
export { type Check, type Classification, classify, type GuardMode, RANGES, type Range, type RangeName } from './ranges.ts';
