insert into accounts.owner (name, m) values ('barbara', 'ok');
alter table accounts.entry add column checked boolean default false;
-- Row groups that are written before their transaction commits.
begin;
create table bulk as select i // 1000 as i, 'bulk' as s from range(130000) r(i);
delete from accounts.entry where owner = 1 and amount < 100;
commit;
begin; delete from accounts.entry; rollback;
insert into bulk select -1, 'last';
