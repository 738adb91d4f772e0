-- Rows are logged under a name that is not there yet.
-- fails if shipped: Table with name u does not exist
1> CREATE TABLE t (i INT)
1> INSERT INTO t VALUES (1)
publish
1> BEGIN
1> UPDATE t SET i = 2
1> ALTER TABLE t RENAME TO u
1> DROP TABLE u
1> COMMIT
