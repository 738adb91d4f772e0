// What DuckDB does to a table when it alters it, and an ALTER while it runs.
#pragma once
#include "duckdb.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/parser/parsed_data/alter_table_info.hpp"

namespace roost {

struct AlteredTables;

// Whether an ALTER makes a new storage for its table.
bool ReplacesStorage(duckdb::TableCatalogEntry &table, const duckdb::AlterTableInfo &info);
// Whether it fills that from the rows of the former one.
bool RewritesRows(const duckdb::AlterTableInfo &info);
// The field that an ALTER is about, from its column on; null if it is about none.
duckdb::optional_ptr<duckdb::vector<duckdb::string>> FieldPath(duckdb::AlterTableInfo &info);

// An ALTER that replaces a table's storage, while it runs: until its end nobody commits changed rows of the former one.
class Alteration {
public:
	// Throws if the transaction has changed rows of the table (DuckDB could not commit that any more), and if another one
	// alters it.
	Alteration(duckdb::ClientContext &context, AlteredTables &altered, duckdb::shared_ptr<duckdb::DataTable> table);
	Alteration(const Alteration &) = delete;
	~Alteration();

	// Takes back what is left of an ALTER that failed.
	void Failed();

private:
	AlteredTables &altered;
	const duckdb::shared_ptr<duckdb::DataTable> table;
};

} // namespace roost
