// An ALTER that replaces a table's storage, while it runs.
#include "commit_check.hpp"
#include "shim.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/storage/data_table.hpp"

using namespace duckdb;

namespace roost {

bool ReplacesStorage(AlterTableType type) {
	switch (type) {
	case AlterTableType::RENAME_COLUMN:
	case AlterTableType::RENAME_TABLE:
	case AlterTableType::SET_DEFAULT:
	case AlterTableType::FOREIGN_KEY_CONSTRAINT:
	case AlterTableType::DROP_NOT_NULL:
	case AlterTableType::SET_COLUMN_COMMENT:
		return false;
	default:
		return true;
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
	// If it is another transaction's by now, DuckDB will find out.
	registered = table->IsMainTable() && altered.tables.insert(table.get()).second;
}

void Alteration::Failed() {
	// DuckDB marks the table before it finds out that it may not alter it, and leaves it so: nobody could write it any more.
	if (registered && table->TableModification() == "altered") {
		table->SetAsMainTable();
	}
}

Alteration::~Alteration() {
	if (registered) {
		std::lock_guard<std::mutex> guard(altered.lock);
		altered.tables.erase(table.get());
	}
}

} // namespace roost
