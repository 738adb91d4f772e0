-- The use is logged with the commit, after the drop.
-- fails if shipped: Sequence with name q does not exist
1> CREATE SEQUENCE q
1> CREATE TABLE t (i INT)
publish
2> BEGIN
2> INSERT INTO t SELECT nextval('q')
1> DROP SEQUENCE q
2> COMMIT
