/** Whether what the services show is what their logs say (I3). */
import { SCHEMAS } from '@molecule/contracts';
import type { Client } from './client.ts';

interface Report {
  readonly service: string;
  readonly projections: readonly { readonly missing: number; readonly unexpected: number }[];
}

/** Rows by which rebuilt tables differ from live ones, over all services. @throws Error unless each service was asked and could tell */
export async function differences(client: Client): Promise<string[]> {
  const { status, body } = await client.post('/admin/rebuild?check=1');
  const { failed, reports } = body as { failed: string[]; reports: Report[] };
  const told = reports?.map(({ service }) => service).sort();
  if (status !== 200 || failed.length > 0 || String(told) !== String(Object.keys(SCHEMAS).sort()))
    throw new Error(`not every table could be compared: ${status} ${JSON.stringify(body)}`);
  return reports.flatMap(({ projections }) =>
    projections.filter(({ missing, unexpected }) => missing + unexpected > 0).map((one) => JSON.stringify(one)),
  );
}
