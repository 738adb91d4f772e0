-- A publish writes down that the number was handed out: it is lost, though nothing was committed since.
1> CREATE SEQUENCE q
2> BEGIN
2> SELECT nextval('q')
2> ROLLBACK
publish
1> CREATE TYPE mood AS ENUM ('sad', 'happy')
