-- A type is looked for in the schemas of the last checkpoint.
-- fails if shipped: Schema with name s1 does not exist
1> CREATE SCHEMA s1
1> CREATE TYPE s1.mood AS ENUM ('sad', 'happy')
1> CREATE TABLE s1.t (m s1.mood)
1> INSERT INTO s1.t VALUES ('sad')
