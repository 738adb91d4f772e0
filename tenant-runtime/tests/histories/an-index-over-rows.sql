-- A worker could not replay it into a file that it may not write.
1> CREATE TABLE t (i INT, b VARCHAR)
1> INSERT INTO t SELECT i, 'k' || i FROM range(150000) r(i)
publish
1> CREATE UNIQUE INDEX x ON t (i)
1> INSERT INTO t VALUES (1000000, 'x')
