-- What canvases show of a workspace's traffic (spec 2 §4). Kept for ACTIVITY_RETENTION_DAYS.
-- Bodies are `json`, not `jsonb`: they are kept as the agent wrote them, with escapes and numbers that jsonb refuses.
create table activity (
  id            uuid primary key,
  workspace_id  uuid not null,
  activity_type text not null,
  -- canvas, workspace, self, schedule, system: tells apart what has no source_id (README of the spec, choice 6).
  source_kind   text not null,
  source_id     uuid,
  target_id     uuid,
  method        text,
  summary       text,
  request_body  json,
  response_body json,
  tool_trace    json,
  duration_ms   int,
  status        text not null,
  error_detail  text,
  created_at    timestamptz not null,
  -- How large the three bodies are together: a page is bounded without reading them.
  body_bytes    int not null default 0
);
create index activity_of_workspace on activity (workspace_id, created_at desc, id desc);
create index activity_by_age on activity using brin (created_at);

-- When a workspace last reached somebody (spec 2 §1.11).
create table a2a_outbound (
  workspace_id     uuid primary key,
  last_outbound_at timestamptz not null
);
