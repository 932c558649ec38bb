-- Where the provisioner said that the agent runs, until that is over: what an agent says of itself never stands here.
alter table workspaces add column located_url text not null default '';
update workspaces set located_url = coalesce((
  select located.data ->> 'url' from events located
  where located.stream = 'workspace.' || workspaces.workspace_id and located.type = 'workspace.located'
    and not exists (
      select from events cleared
      where cleared.stream = located.stream and cleared.version > located.version
        and (cleared.type = 'workspace.removed' or (cleared.type = 'workspace.status' and (cleared.data ->> 'clearsUrl')::boolean))
    )
  order by located.version desc limit 1
), '');
