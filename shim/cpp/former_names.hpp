// Between former_names.cpp and former_columns.cpp.
#pragma once
#include "duckdb/catalog/duck_catalog.hpp"

namespace roost {

// Puts the database's own name in place of `former` ones where a view, a macro or an index names a column by it
// (`acme.main.t.i`). Changes only what lies in memory; the next checkpoint writes it.
void RenameColumnQualifiers(duckdb::DuckCatalog &catalog, const duckdb::vector<duckdb::string> &former);

} // namespace roost
