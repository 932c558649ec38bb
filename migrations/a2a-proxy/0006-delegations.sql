-- Delegations: what becomes of them is in the log (stream delegation.<trackingId>); here is what they carry, and which of them are open.

-- Rebuilt from the log at any time.
create table delegations (
  tracking_id   uuid primary key,
  -- As the wire shows it; any text where an agent chose it.
  delegation_id text not null,
  workspace_id  uuid not null,
  target_id     uuid not null,
  carried_out_by text not null check (carried_out_by in ('platform', 'agent')),
  status        text not null check (status in ('pending', 'dispatched', 'queued', 'completed', 'failed')),
  -- Of the latest call, and which process makes it.
  message_id    uuid,
  attempt       int not null default 0,
  worker        text,
  sent_at       timestamptz not null,
  changed_at    timestamptz not null
);
create index delegations_by_id on delegations (workspace_id, delegation_id);
create index delegations_open on delegations (status, sent_at)
  where carried_out_by = 'platform' and status in ('pending', 'dispatched');

-- Payloads (D10): not a read model, it cannot be rebuilt. A row goes with the delegation's activity.
create table delegation_tasks (
  tracking_id     uuid primary key,
  workspace_id    uuid not null,
  idempotency_key text,
  -- JSON text, with every escape; null once nobody has to send it any more.
  task            json,
  -- Under which the first call is made; the row of activity that tells of the result.
  message_id      uuid not null,
  result_id       uuid not null,
  created_at      timestamptz not null default now()
);
create unique index delegation_tasks_key on delegation_tasks (workspace_id, idempotency_key) where idempotency_key is not null;
create index delegation_tasks_by_age on delegation_tasks using brin (created_at);

-- Messages of a mailbox that belong to a delegation, as their bodies say; written with the message.
create table delegation_waits (
  message_id    uuid primary key,
  -- Who delegates, and to whom.
  workspace_id  uuid not null,
  target_id     uuid not null,
  delegation_id text not null,
  -- What became of the message is known to its delegation, if there was one.
  handled       boolean not null default false,
  created_at    timestamptz not null default now()
);
create index delegation_waits_open on delegation_waits (created_at) where not handled;
create index delegation_waits_of on delegation_waits (workspace_id, delegation_id);

-- GET /workspaces/:id/delegations.
create index activity_delegations on activity (workspace_id, created_at desc, id desc) where activity_type = 'delegation';
