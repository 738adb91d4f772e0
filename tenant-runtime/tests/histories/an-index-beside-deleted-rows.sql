-- When the older transaction ended, the first row was looked for in the second index, which never had it, and the engine died.
1> CREATE TABLE t (k BIGINT, v INT)
1> INSERT INTO t VALUES (1, 1), (2, 2)
1> CREATE INDEX i ON t (k)
2> BEGIN
2> SELECT count(*) FROM t
1> DELETE FROM t WHERE k = 1
1> CREATE INDEX j ON t (v)
1> DELETE FROM t WHERE k = 2
2> ROLLBACK
1> SELECT count(*) FROM t
