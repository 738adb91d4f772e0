// Between former_names.cpp, former_columns.cpp and database.cpp.
#pragma once
#include "duckdb/catalog/duck_catalog.hpp"
#include "duckdb/main/client_context.hpp"

namespace roost {

// Puts the database's own name in place of `former` ones where a view, a macro or an index names a column by it
// (`acme.main.t.i`). Changes only what lies in memory; the next checkpoint writes it.
void RenameColumnQualifiers(duckdb::DuckCatalog &catalog, const duckdb::vector<duckdb::string> &former);

// Puts a connection into a database: all its schemas are searched, `main` first. What CHECKs and indexes call is looked
// for where the connection is, and may be in another schema than they.
void PlaceIn(duckdb::ClientContext &context, duckdb::DuckCatalog &catalog);

} // namespace roost
