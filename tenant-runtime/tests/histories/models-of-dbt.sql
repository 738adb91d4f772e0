-- What dbt does for a table and a view: none of it waits for a publish.
1> CREATE TABLE t AS SELECT 1 AS i
publish
1> BEGIN
1> CREATE TABLE t__tmp AS SELECT 2 AS i
1> ALTER TABLE t RENAME TO t__backup
1> ALTER TABLE t__tmp RENAME TO t
1> COMMIT
shipped
1> BEGIN
1> DROP TABLE t__backup CASCADE
1> COMMIT
shipped
1> CREATE VIEW v__tmp AS SELECT * FROM t
shipped
1> BEGIN
1> ALTER VIEW v__tmp RENAME TO v
1> COMMIT
shipped
1> INSERT INTO t VALUES (3)
shipped
