/** What a chat file is called, where, and how a browser is told (spec 2 §5). */
import { getMimeType } from 'hono/utils/mime';

const LONGEST_NAME = 100;
const LONGEST_EXTENSION = 16;

/** The name that an agent and a canvas see: never empty, never a path. */
export function safeName(original: string): string {
  const name = baseName(original).replaceAll(/[^A-Za-z0-9._-]/gu, '_');
  const cut = name.length > LONGEST_NAME ? shortened(name) : name;
  return cut === '' || cut === '.' || cut === '..' ? 'file' : cut;
}

function shortened(name: string): string {
  const dot = name.lastIndexOf('.');
  const extension = dot === -1 || name.length - dot > LONGEST_EXTENSION ? '' : name.slice(dot);
  return name.slice(0, LONGEST_NAME - extension.length) + extension;
}

export const baseName = (path: string): string => path.replace(/\/+$/, '').split('/').at(-1) ?? '';

/** What hono does not know, and people send each other. */
const MORE_TYPES: Readonly<Record<string, string>> = {
  '7z': 'application/x-7z-compressed',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  heic: 'image/heic',
  log: 'text/plain; charset=utf-8',
  m4a: 'audio/mp4',
  markdown: 'text/markdown; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  mov: 'video/quicktime',
  odp: 'application/vnd.oasis.opendocument.presentation',
  ods: 'application/vnd.oasis.opendocument.spreadsheet',
  odt: 'application/vnd.oasis.opendocument.text',
  parquet: 'application/vnd.apache.parquet',
  ppt: 'application/vnd.ms-powerpoint',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  py: 'text/x-python; charset=utf-8',
  sh: 'application/x-sh',
  sql: 'application/sql',
  tar: 'application/x-tar',
  toml: 'application/toml',
  tsv: 'text/tab-separated-values; charset=utf-8',
  wav: 'audio/wav',
  xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  yaml: 'application/yaml',
  yml: 'application/yaml',
};

/** By its extension; what a file holds is not looked at. */
export const typeOf = (name: string): string | undefined => getMimeType(name) ?? getMimeType(name, MORE_TYPES);

/** As text whose characters are the bytes of the header: the name in UTF-8 as it is, and percent-encoded (RFC 6266, RFC 5987). */
export function attachmentNamed(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that must not get into a header
  const quoted = name.replaceAll(/[\u0000-\u001f\u007f]/g, '').replaceAll(/["\\]/g, '\\$&');
  const encoded = encodeURIComponent(name.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return Buffer.from(`attachment; filename="${quoted}"; filename*=UTF-8''${encoded}`).toString('latin1');
}
