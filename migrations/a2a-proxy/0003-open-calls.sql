-- Finds the calls to a workspace that are open: those whose dispatch nothing follows.
create index events_dispatched_to on events ((data ->> 'workspaceId'), recorded_at)
  where type = 'a2a.dispatched' and data ->> 'via' = 'direct';
