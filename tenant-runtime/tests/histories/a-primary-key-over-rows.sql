-- A worker could not replay it into a file that it may not write.
1> CREATE TABLE t (i INT, b VARCHAR)
1> INSERT INTO t SELECT i, 'k' || i FROM range(1000) r(i)
publish
1> ALTER TABLE t ADD PRIMARY KEY (i)
1> INSERT INTO t VALUES (1000000, 'x')
