select json_object(
    'owners', (select list(name || ' ' || m order by id) from accounts.owner),
    'details', (select list(details order by id) from accounts.owner),
    'balance', (select list(total::varchar || ' ' || entries order by owner) from accounts.balance),
    'first', (select list(epoch(stamp)::bigint || ' ' || note || ' ' || coalesce(checked, true) order by stamp)
              from accounts.entry where stamp < timestamptz '2026-01-01 09:00:00+00'),
    'macro', accounts.of(2)::varchar,
    'next', nextval('accounts.numbers'),
    'bulk', (select count(*) || ' ' || sum(i) || ' ' || min(i) || ' ' || max(s) from bulk))::varchar
