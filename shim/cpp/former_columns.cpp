// Columns that stored definitions name by a former name of the database. DuckDB finds a table by any name that the
// database answers to, but compares a column's qualifier with the table's as text.
#include "definition.hpp"
#include "former_names.hpp"

#include "duckdb/catalog/catalog_entry/duck_index_entry.hpp"
#include "duckdb/catalog/catalog_entry/macro_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/view_catalog_entry.hpp"
#include "duckdb/execution/index/unbound_index.hpp"
#include "duckdb/function/scalar_macro_function.hpp"
#include "duckdb/function/table_macro_function.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/storage/table/data_table_info.hpp"

using namespace duckdb;
using roost::Definition;

namespace {

void AddMacro(Definition &definition, MacroCatalogEntry &entry) {
	for (auto &macro : entry.macros) {
		if (macro->type == MacroType::TABLE_MACRO) {
			definition.Add(*macro->Cast<TableMacroFunction>().query_node);
		} else {
			definition.Add(*macro->Cast<ScalarMacroFunction>().expression);
		}
	}
}

void AddAll(Definition &definition, const vector<unique_ptr<ParsedExpression>> &expressions) {
	for (auto &expression : expressions) {
		definition.Add(*expression);
	}
}

// What the catalog has of an index, and what the table has of it until it is bound.
void AddIndex(Definition &definition, DuckIndexEntry &entry) {
	definition.table_names.insert(entry.GetTableName());
	AddAll(definition, entry.expressions);
	AddAll(definition, entry.parsed_expressions);
	for (auto &index : entry.GetDataTableInfo().GetIndexes().Indexes()) {
		if (!index.IsBound() && index.GetIndexName() == entry.name) {
			AddAll(definition, index.Cast<UnboundIndex>().GetParsedExpressions());
		}
	}
}

void AddEntry(Definition &definition, CatalogEntry &entry) {
	switch (entry.type) {
	case CatalogType::VIEW_ENTRY:
		return definition.Add(*entry.Cast<ViewCatalogEntry>().query->node);
	case CatalogType::INDEX_ENTRY:
		return AddIndex(definition, entry.Cast<DuckIndexEntry>());
	default:
		return AddMacro(definition, entry.Cast<MacroCatalogEntry>());
	}
}

void RenameIn(CatalogEntry &entry, const roost::DatabaseNames &former, const string &own) {
	Definition definition;
	try {
		AddEntry(definition, entry);
	} catch (const NotImplementedException &) {
		// It stays as it is.
		return;
	}
	for (auto &column : definition.ColumnsOf(former)) {
		column.get().column_names[0] = own;
	}
}

} // namespace

void roost::RenameColumnQualifiers(DuckCatalog &catalog, const vector<string> &former_names) {
	DatabaseNames former(former_names);
	catalog.ScanSchemas([&](SchemaCatalogEntry &schema) {
		for (auto type : {CatalogType::VIEW_ENTRY, CatalogType::MACRO_ENTRY, CatalogType::TABLE_MACRO_ENTRY,
		                  CatalogType::INDEX_ENTRY}) {
			schema.Scan(type, [&](CatalogEntry &entry) {
				// A schema lists views among its tables, and macros among its functions.
				if (entry.type == type && !entry.internal) {
					RenameIn(entry, former, catalog.GetName());
				}
			});
		}
	});
}
