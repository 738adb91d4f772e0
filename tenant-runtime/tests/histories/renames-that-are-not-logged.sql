-- ALTER TABLE of a view fails, and a temporary table has no log: neither holds anything up.
1> CREATE VIEW v AS SELECT 1 AS i
1> CREATE TABLE t (i INTEGER)
publish
1> ALTER TABLE v RENAME TO w
1> INSERT INTO t VALUES (1)
shipped
2> CREATE TEMP TABLE scratch (i INTEGER)
2> BEGIN
2> ALTER TABLE scratch RENAME TO other
1> INSERT INTO t VALUES (2)
shipped
2> COMMIT
