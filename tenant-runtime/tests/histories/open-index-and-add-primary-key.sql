-- The same with an index whose transaction is open.
1> CREATE TABLE t4 (k INTEGER NOT NULL, c1 BIGINT DEFAULT (16), c2 TIMESTAMP)
2> BEGIN
2> CREATE INDEX i2 ON t4 (c2)
1> ALTER TABLE t4 ADD PRIMARY KEY (c1)
2> COMMIT
publish
1> SELECT 1
