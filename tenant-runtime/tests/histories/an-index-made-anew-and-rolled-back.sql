-- The rollback took the index away that was there before; what was published then killed the engine.
1> CREATE TABLE t (k BIGINT, v INT)
1> INSERT INTO t VALUES (1, 1), (2, 2)
1> CREATE INDEX i ON t (k)
1> BEGIN
1> DROP INDEX i
1> CREATE INDEX i ON t (v)
1> ROLLBACK
publish
1> DELETE FROM t WHERE k = 1
