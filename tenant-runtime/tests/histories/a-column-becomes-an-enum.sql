-- The type was not found in a replay that looked for it in no schema of the database.
-- fails if shipped: Type with name mood
1> CREATE TYPE mood AS ENUM ('sad', 'happy')
1> CREATE TABLE t (i INT, m VARCHAR)
1> INSERT INTO t VALUES (1, 'sad')
publish
1> ALTER TABLE t ALTER m TYPE mood
