-- A small data set with the value ranges that the queries' parameters ask for.
INSERT INTO region
SELECT i, ['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'][i + 1], 'region ' || i
FROM range(5) r(i);

INSERT INTO nation
SELECT i,
    ['ALGERIA', 'ARGENTINA', 'BRAZIL', 'CANADA', 'EGYPT', 'ETHIOPIA', 'FRANCE', 'GERMANY', 'INDIA', 'INDONESIA', 'IRAN',
     'IRAQ', 'JAPAN', 'JORDAN', 'KENYA', 'MOROCCO', 'MOZAMBIQUE', 'PERU', 'CHINA', 'ROMANIA', 'SAUDI ARABIA', 'VIETNAM',
     'RUSSIA', 'UNITED KINGDOM', 'UNITED STATES'][i + 1],
    i % 5, 'nation ' || i
FROM range(25) r(i);

INSERT INTO supplier
SELECT i, format('Supplier#{:09d}', i), 'street ' || i, i % 25, format('{}-555-{:04d}', 10 + i % 25, i), i * 37 % 9999 - 500,
    CASE WHEN i % 17 = 0 THEN 'Customer wrote Complaints' ELSE 'quiet ' || i END
FROM range(1, 101) r(i);

INSERT INTO part
SELECT i,
    ['forest', 'green', 'lemon', 'navy', 'rose'][i % 5 + 1] || ' ' || ['blush', 'chocolate', 'ivory'][i % 3 + 1],
    'Manufacturer#' || i % 5 + 1, format('Brand#{}{}', i % 5 + 1, i // 5 % 5 + 1),
    ['STANDARD', 'SMALL', 'MEDIUM', 'LARGE', 'ECONOMY', 'PROMO'][i % 6 + 1] || ' '
        || ['ANODIZED', 'BURNISHED', 'PLATED', 'POLISHED'][i % 4 + 1] || ' '
        || ['TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER'][i % 5 + 1],
    i % 50 + 1,
    ['SM', 'LG', 'MED', 'JUMBO', 'WRAP'][i % 5 + 1] || ' ' || ['CASE', 'BOX', 'BAG', 'JAR', 'PKG', 'PACK'][i % 6 + 1],
    900 + i % 1000, 'part ' || i
FROM range(1, 2001) r(i);

INSERT INTO partsupp
SELECT p_partkey, (p_partkey + n * 25) % 100 + 1, p_partkey * 31 % 9999, p_partkey * 7 % 1000 + 1, 'offer'
FROM part, range(4) r(n);

INSERT INTO customer
SELECT i, format('Customer#{:09d}', i), 'road ' || i, i % 25, format('{}-555-{:04d}', 10 + i % 25, i), i * 53 % 10999 - 999,
    ['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY'][i % 5 + 1], 'customer ' || i
FROM range(1, 1501) r(i);

INSERT INTO orders
SELECT i, i * 7 % 1000 + 1, ['F', 'O', 'P'][i % 3 + 1], i * 97 % 400000 + 1000, DATE '1992-01-01' + (i * 13 % 2400)::INT,
    ['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'][i % 5 + 1], format('Clerk#{:09d}', i % 100), 0,
    CASE WHEN i % 11 = 0 THEN 'special packages requests' ELSE 'order ' || i END
FROM range(1, 5001) r(i);

INSERT INTO lineitem
SELECT o_orderkey, l_partkey, (l_partkey + n * 25) % 100 + 1, n + 1, (o_orderkey + n * 11) % 50 + 1, 900 + o_orderkey % 90000,
    (o_orderkey + n) % 11 / 100, n % 9 / 100, ['A', 'N', 'R'][o_orderkey % 3 + 1], ['F', 'O'][o_orderkey % 2 + 1],
    o_orderdate + (10 + n * 9)::INT, o_orderdate + (20 + o_orderkey % 30)::INT, o_orderdate + (25 + n * 9)::INT,
    ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'][o_orderkey % 4 + 1],
    ['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'][(o_orderkey + n) % 7 + 1], 'line'
FROM (SELECT *, (o_orderkey * 3 + n * 501) % 2000 + 1 AS l_partkey FROM orders, range(4) r(n));
