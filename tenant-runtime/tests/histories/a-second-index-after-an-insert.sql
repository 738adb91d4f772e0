-- Until 1.5.5 the new row was not found, and accepted again.
1> CREATE TABLE t (i BIGINT, b VARCHAR)
1> CREATE UNIQUE INDEX x ON t (i)
publish
1> INSERT INTO t VALUES (1, 'a')
1> CREATE INDEX y ON t (b)
1> INSERT INTO t VALUES (2, 'b')
