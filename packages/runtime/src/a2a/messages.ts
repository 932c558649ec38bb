/** What goes in and out of an agent: JSON-RPC 2.0 envelopes and A2A messages (spec 4 §6). */
import { z } from 'zod';
import type { Part } from '../adapter.ts';

export const RPC_ERRORS = {
  parse: { code: -32700, message: 'Parse error' },
  request: { code: -32600, message: 'Invalid Request' },
  method: { code: -32601, message: 'Method not found' },
  params: { code: -32602, message: 'Invalid params' },
  internal: { code: -32603, message: 'Internal error' },
  taskNotFound: { code: -32001, message: 'Task not found' },
  taskNotCancelable: { code: -32002, message: 'Task cannot be canceled' },
} as const;

export type RpcId = string | number | null;

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export const rpcResult = (id: RpcId, result: unknown): string => JSON.stringify({ jsonrpc: '2.0', id, result });
export const rpcError = (id: RpcId, error: RpcError): string => JSON.stringify({ jsonrpc: '2.0', id, error });

export const RpcRequest = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: z.unknown().optional(),
});

/** `kind` or `type` says what a part is; what is neither text nor file is passed over. */
const InboundPart = z.looseObject({ kind: z.string().optional(), type: z.string().optional(), text: z.string().optional() });

export const SendParams = z.object({
  message: z.looseObject({
    role: z.string().optional(),
    messageId: z.string().optional(),
    contextId: z.string().optional(),
    parts: z.array(InboundPart),
    metadata: z.record(z.string(), z.unknown()).nullish(),
  }),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
export type SendParams = z.infer<typeof SendParams>;

export const TaskParams = z.object({ id: z.string().min(1) });

const FileContent = z.looseObject({ uri: z.string(), name: z.string().optional(), mimeType: z.string().optional() });

/** The parts that an executor understands. */
export const understoodParts = (given: SendParams['message']['parts']): Part[] =>
  given.flatMap((part): Part[] => {
    const kind = part.kind ?? part.type;
    if ((part.kind === 'text' || part.type === 'text') && part.text !== undefined) return [{ kind: 'text', text: part.text }];
    const file = kind === 'file' ? FileContent.safeParse(part['file']) : undefined;
    if (!file?.success) return [];
    const { uri, name, mimeType } = file.data;
    return [
      { kind: 'file', file: { uri, ...(name === undefined ? {} : { name }), ...(mimeType === undefined ? {} : { mimeType }) } },
    ];
  });

export const textOf = (parts: readonly Part[]): string =>
  parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join(' ');

const LONGEST_SUMMARY = 80;

/** One line for `current_task`: the first line that says something, without Markdown's heading and emphasis marks (spec 4 §6.5). */
export function summarise(text: string): string {
  const lines = text.split('\n').map((line) =>
    line
      .replace(/^\s*#+\s*/, '')
      .replace(/\*\*|__/g, '')
      .trim(),
  );
  const line = lines.find((candidate) => candidate !== '' && !/^(```.*|~~~.*|-{3,}|={3,}|\*{3,}|_{3,})$/.test(candidate)) ?? '';
  return line.length <= LONGEST_SUMMARY ? line : `${line.slice(0, LONGEST_SUMMARY - 3)}...`;
}
