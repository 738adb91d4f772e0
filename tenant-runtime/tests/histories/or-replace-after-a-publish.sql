-- A checkpoint alters nothing: what is replaced after it need not wait.
1> CREATE TABLE t (i INTEGER)
publish
1> CREATE OR REPLACE TABLE t AS SELECT 1 AS i
shipped
publish
1> CREATE OR REPLACE TABLE t AS SELECT 2 AS i
shipped
