-- Whether a workspace was made by expanding its parent: such an agent is told who that is. As the registry's facts told it.
alter table blueprints add column of_team boolean not null default false;
