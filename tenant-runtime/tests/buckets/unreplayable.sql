-- What a life commits that dies: some that is replayed, one that DuckDB 1.5.6 cannot replay, and some after it.
insert into kept values (1, 'first');
insert into kept values (2, 'second');
create table also as select 3 as i;
begin; update gone set i = i + 1; alter table gone rename to renamed; drop table renamed; commit;
insert into kept values (4, 'after');
insert into also values (5);
