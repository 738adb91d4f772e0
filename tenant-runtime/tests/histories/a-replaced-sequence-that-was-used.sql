-- The use of the old one is replayed as one of the new.
-- fails if shipped: sequence main.q gives
1> CREATE SEQUENCE q
1> CREATE TABLE t (i INT)
publish
2> BEGIN
2> INSERT INTO t SELECT nextval('q')
1> CREATE OR REPLACE SEQUENCE q START 100
2> COMMIT
