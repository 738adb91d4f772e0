-- A table that is made anew with the indexes that its transaction sees: not with that of a newer one. What was checkpointed
-- held the index twice, and did not open.
1> CREATE TABLE t4 (k INTEGER NOT NULL, c1 BIGINT DEFAULT (16), c2 TIMESTAMP)
1> BEGIN
2> CREATE UNIQUE INDEX i2 ON t4 (c2)
1> ALTER TABLE t4 ADD PRIMARY KEY (c1)
1> COMMIT
publish
1> CREATE TABLE t3 AS SELECT * FROM t4
