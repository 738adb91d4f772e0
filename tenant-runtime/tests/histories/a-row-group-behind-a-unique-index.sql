-- Until 1.5.5 rows were missing in the index.
1> CREATE TABLE t (i BIGINT)
1> CREATE UNIQUE INDEX x ON t (i)
1> INSERT INTO t VALUES (-1)
1> INSERT INTO t SELECT i FROM range(122880) r(i)
