-- The checkpoint of an index whose table an older transaction has renamed killed the engine.
1> CREATE TABLE t4 (k INTEGER NOT NULL, c1 BIGINT DEFAULT (16), c2 TIMESTAMP)
1> BEGIN
2> CREATE INDEX i2 ON t4 (c2)
1> ALTER TABLE t4 RENAME TO t9
1> COMMIT
publish
1> SELECT 1
