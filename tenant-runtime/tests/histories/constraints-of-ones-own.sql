-- A worker exports a table whose constraints call macros and types, with macros that have the names of what it calls itself.
1> CREATE SCHEMA q
1> CREATE MACRO f(x) AS x + 1
1> CREATE MACRO q.g(x) AS x + 1
1> CREATE TYPE mood AS ENUM ('sad', 'glad')
1> CREATE TABLE t (i INTEGER CHECK (f(i) > 0), j INTEGER CHECK (q.g(j) > 0), m mood CHECK (m = 'sad'::mood))
1> CREATE TABLE q.t (i INTEGER CHECK (f(i) > 0))
1> CREATE MACRO duckdb_columns() AS TABLE SELECT 1 AS x
1> CREATE MACRO to_json(x) AS 'no'
1> INSERT INTO t VALUES (1, 1, 'sad')
