/** Schedules over HTTP, as a test needs them: every minute, by their prompt. */
import type { Client } from './client.ts';

export async function schedule(client: Client, id: string, prompt: string) {
  const { status, body } = await client.post(`/workspaces/${id}/schedules`, { name: prompt, cron_expr: '* * * * *', prompt });
  if (status !== 201) throw new Error(`no schedule was made: ${status} ${JSON.stringify(body)}`);
  return scheduleOf(client, id);
}

/** The only schedule of the workspace. */
export const scheduleOf = async (client: Client, id: string) => (await client.get(`/workspaces/${id}/schedules`)).body[0];
