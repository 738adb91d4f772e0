-- Failed to replay at every wake until 1.5.5.
1> CREATE TABLE t (i BIGINT, b VARCHAR)
1> CREATE INDEX x ON t (i)
1> INSERT INTO t SELECT i, 'k' || i FROM range(150000) r(i)
1> INSERT INTO t VALUES (1000000, 'last')
