// ALTERs that replace a table's storage.
#include "alteration.hpp"
#include "commit_check.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/parser/constraints/not_null_constraint.hpp"
#include "duckdb/storage/data_table.hpp"

using namespace duckdb;

// Whether DuckDB adds or drops a column, and not only says that it is there already, is not there, or has no storage.
static bool AddsColumn(TableCatalogEntry &table, const AddColumnInfo &info) {
	return !info.if_column_not_exists || !table.ColumnExists(info.new_column.Name());
}

static bool DropsColumn(TableCatalogEntry &table, const RemoveColumnInfo &info) {
	if (!table.ColumnExists(info.removed_column)) {
		return false;
	}
	return !table.GetColumn(info.removed_column).Generated();
}

static bool MayBeNull(TableCatalogEntry &table, const string &column) {
	if (!table.ColumnExists(column)) {
		return false;
	}
	auto index = table.GetColumn(column).Logical();
	for (auto &constraint : table.GetConstraints()) {
		if (constraint->type == ConstraintType::NOT_NULL && constraint->Cast<NotNullConstraint>().index == index) {
			return false;
		}
	}
	return true;
}

namespace roost {

bool ReplacesStorage(TableCatalogEntry &table, const AlterTableInfo &info) {
	switch (info.alter_table_type) {
	case AlterTableType::RENAME_COLUMN:
	case AlterTableType::RENAME_TABLE:
	case AlterTableType::SET_DEFAULT:
	case AlterTableType::FOREIGN_KEY_CONSTRAINT:
	case AlterTableType::DROP_NOT_NULL:
	case AlterTableType::SET_COLUMN_COMMENT:
		return false;
	case AlterTableType::ADD_COLUMN:
		return AddsColumn(table, static_cast<const AddColumnInfo &>(info));
	case AlterTableType::REMOVE_COLUMN:
		return DropsColumn(table, static_cast<const RemoveColumnInfo &>(info));
	case AlterTableType::SET_NOT_NULL:
		return MayBeNull(table, static_cast<const SetNotNullInfo &>(info).column_name);
	default:
		return true;
	}
}

bool RewritesRows(const AlterTableInfo &info) {
	switch (info.alter_table_type) {
	case AlterTableType::ALTER_COLUMN_TYPE:
	case AlterTableType::ADD_FIELD:
	case AlterTableType::REMOVE_FIELD:
	case AlterTableType::RENAME_FIELD:
		return true;
	default:
		return false;
	}
}

optional_ptr<vector<string>> FieldPath(AlterTableInfo &info) {
	switch (info.alter_table_type) {
	case AlterTableType::ADD_FIELD:
		return &static_cast<AddFieldInfo &>(info).column_path;
	case AlterTableType::REMOVE_FIELD:
		return &static_cast<RemoveFieldInfo &>(info).column_path;
	case AlterTableType::RENAME_FIELD:
		return &static_cast<RenameFieldInfo &>(info).column_path;
	default:
		return nullptr;
	}
}

Alteration::Alteration(ClientContext &context, AlteredTables &altered_p, shared_ptr<DataTable> table_p)
    : altered(altered_p), table(std::move(table_p)) {
	if (HasChangedRows(DuckTransaction::Get(context, table->db), *table)) {
		throw NotImplementedException("Rows of table \"%s\" were changed in this transaction, and DuckDB must have committed "
		                              "that before it is altered: COMMIT first",
		                              table->GetTableName());
	}
	std::lock_guard<std::mutex> guard(altered.lock);
	if (!table->IsMainTable() || !altered.tables.insert(table.get()).second) {
		throw TransactionException("Table \"%s\" is being altered or dropped by another transaction",
		                           table->GetTableName());
	}
}

void Alteration::Failed() {
	// DuckDB marks the table before it finds out that it may not alter it, and leaves it so: nobody could write it any more.
	if (table->TableModification() == "altered") {
		table->SetAsMainTable();
	}
}

Alteration::~Alteration() {
	std::lock_guard<std::mutex> guard(altered.lock);
	altered.tables.erase(table.get());
}

} // namespace roost
