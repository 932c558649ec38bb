/** What the operator of an external agent is shown, once, to connect it (spec 1 §1.4). The canvas replaces the two placeholders. */

export const connectionBlock = (workspaceId: string, platform: string, authToken: string) => ({
  workspace_id: workspaceId,
  platform_url: platform,
  auth_token: authToken,
  registry_endpoint: `${platform}/registry/register`,
  heartbeat_endpoint: `${platform}/registry/heartbeat`,
  curl_register_template: `WORKSPACE_AUTH_TOKEN="<paste from create response>"
curl -fsS -X POST "${platform}/registry/register" \\
  -H "Authorization: Bearer $WORKSPACE_AUTH_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"id":"${workspaceId}","url":"https://your-agent.example.com","agent_card":{"name":"my-agent","skills":[]}}'
`,
  python_snippet: `import time, requests

PLATFORM_URL  = "${platform}"
WORKSPACE_ID  = "${workspaceId}"
AUTH_TOKEN    = "<paste from create response>"
AGENT_URL     = "https://your-agent.example.com"

headers = {"Authorization": f"Bearer {AUTH_TOKEN}"}
requests.post(f"{PLATFORM_URL}/registry/register", headers=headers, timeout=10,
              json={"id": WORKSPACE_ID, "url": AGENT_URL, "agent_card": {"name": "my-agent", "skills": []}}).raise_for_status()
while True:
    requests.post(f"{PLATFORM_URL}/registry/heartbeat", headers=headers, timeout=10,
                  json={"workspace_id": WORKSPACE_ID, "error_rate": 0, "active_tasks": 0, "uptime_seconds": 0})
    time.sleep(30)
`,
});
