-- Finds a message's whole way: the calls that one beginning led to, and the delegations that they belong to.
create index events_of_root on events ((data -> 'lineage' ->> 'rootId')) where data ? 'lineage';
create index events_delegation_sent on events ((data ->> 'delegationId')) where type = 'delegation.sent';
create index events_delegation_dispatched on events ((data ->> 'messageId')) where type = 'delegation.dispatched';
create index messages_by_key on messages (idempotency_key, created_at) where idempotency_key is not null;
