-- The index was of a transaction that the ALTER did not see, and named a column that was gone: nothing opened what was
-- published then.
1> CREATE TABLE t (k INT, b INT)
1> INSERT INTO t VALUES (1, 2)
publish
2> BEGIN
2> SELECT count(*) FROM t
1> CREATE UNIQUE INDEX i ON t (k)
2> ALTER TABLE t RENAME COLUMN k TO c
2> COMMIT
publish
1> CREATE TYPE mood AS ENUM ('sad', 'happy')
