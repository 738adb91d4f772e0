-- Rows were said to be missing in the index of 1.5.5; that was not seen again.
1> CREATE TABLE t (i BIGINT)
1> CREATE UNIQUE INDEX x ON t (i)
1> INSERT INTO t VALUES (-1)
1> INSERT INTO t SELECT i FROM range(122880) r(i)
