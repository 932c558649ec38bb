/**
 * Which addresses the platform may dial: one table (spec 1 §3.8, spec 2 §1.6), and the pure function that reads it.
 *
 *   N1. The first row that holds an address decides; what no row holds is public, and passes.
 *   N2. An IPv6 address that only wraps an IPv4 one (mapped, compatible, 6to4, NAT64) is judged as that IPv4 address.
 */
import ipaddr from 'ipaddr.js';

/** `register`: a URL an agent reports. `dispatch`: a URL about to be dialled, or handed out to be dialled. */
export type Check = 'register' | 'dispatch';
export type GuardMode = 'strict' | 'saas' | 'dev';

type Verdicts = Readonly<Record<GuardMode, boolean>>;

const BLOCK: Verdicts = { strict: false, saas: false, dev: false };
const ALLOW: Verdicts = { strict: true, saas: true, dev: true };
/** Reachable where the platform shares a private network with its agents. */
const PRIVATE: Verdicts = { strict: false, saas: true, dev: true };
/** The machine itself: only a developer's. */
const LOCAL: Verdicts = { strict: false, saas: false, dev: true };

export interface Range {
  readonly name: string;
  readonly blocks: readonly string[];
  readonly register: Verdicts;
  readonly dispatch: Verdicts;
}

/** In `dev`, `register` follows README choice 4 of the spec: private ranges pass. */
export const RANGES = [
  { name: 'loopback', blocks: ['127.0.0.0/8', '::1/128'], register: BLOCK, dispatch: LOCAL },
  { name: 'link-local', blocks: ['169.254.0.0/16', 'fe80::/10'], register: BLOCK, dispatch: BLOCK },
  { name: 'private', blocks: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], register: PRIVATE, dispatch: PRIVATE },
  { name: 'unique-local', blocks: ['fd00::/8'], register: PRIVATE, dispatch: PRIVATE },
  { name: 'unique-local-reserved', blocks: ['fc00::/8'], register: BLOCK, dispatch: BLOCK },
  { name: 'carrier-grade-nat', blocks: ['100.64.0.0/10'], register: BLOCK, dispatch: BLOCK },
  {
    name: 'documentation',
    blocks: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'],
    register: BLOCK,
    dispatch: BLOCK,
  },
  { name: 'multicast-local', blocks: ['224.0.0.0/24'], register: BLOCK, dispatch: BLOCK },
  { name: 'multicast', blocks: ['224.0.0.0/4'], register: BLOCK, dispatch: ALLOW },
  { name: 'documentation-v6', blocks: ['2001:db8::/32'], register: BLOCK, dispatch: ALLOW },
  { name: 'unspecified', blocks: ['0.0.0.0/32', '::/128'], register: ALLOW, dispatch: BLOCK },
  { name: 'multicast-local-v6', blocks: ['ff01::/16', 'ff02::/16'], register: ALLOW, dispatch: BLOCK },
] as const satisfies readonly Range[];

export type RangeName = (typeof RANGES)[number]['name'] | 'public' | 'not-an-address';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const PARSED = (RANGES as readonly Range[]).map(({ blocks, ...range }) => ({
  ...range,
  blocks: blocks.map((block) => ipaddr.parseCIDR(block)),
}));

export interface Classification {
  readonly allowed: boolean;
  readonly range: RangeName;
}

/** Whether an IP address may be used. What is no address is not allowed. */
export function classify(address: string, check: Check, mode: GuardMode): Classification {
  if (!ipaddr.isValid(address)) return { allowed: false, range: 'not-an-address' };
  const parsed = unwrap(ipaddr.parse(address));
  const row = PARSED.find(({ blocks }) => blocks.some((block) => contains(block, parsed)));
  return row ? { allowed: row[check][mode], range: row.name as RangeName } : { allowed: true, range: 'public' };
}

const contains = ([network, bits]: [Address, number], address: Address): boolean =>
  network.kind() === address.kind() && address.match(network as ipaddr.IPv4 & ipaddr.IPv6, bits);

/** N2. */
function unwrap(address: Address): Address {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const bytes = address.toByteArray();
  const startsWith = (...prefix: number[]) => prefix.every((byte, index) => bytes[index] === byte);
  const zeros = (from: number, to: number) => bytes.slice(from, to).every((byte) => byte === 0);
  if (startsWith(0x20, 0x02)) return new ipaddr.IPv4(bytes.slice(2, 6));
  if (startsWith(0x00, 0x64, 0xff, 0x9b) && zeros(4, 12)) return new ipaddr.IPv4(bytes.slice(12));
  // `::` and `::1` are themselves.
  if (zeros(0, 12) && !zeros(12, 15)) return new ipaddr.IPv4(bytes.slice(12));
  return address;
}
