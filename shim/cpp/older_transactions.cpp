// Keeps an index from being made, and a type from being changed, beside a transaction that is older than something that was
// written.
//
// DuckDB keeps the rows that were deleted, for such a transaction, in a second index beside each index of their table. When it
// has ended they are taken out of all indexes that the table has by then, also of one that was made after they were deleted
// and never had them; that kills the engine. A type is changed from the rows that the oldest transaction sees
// (RowGroup::AlterType): what was committed since would be lost.
#include "shim.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/parser/parsed_data/create_info.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "duckdb/transaction/duck_transaction_manager.hpp"

using namespace duckdb;

namespace roost {

bool Defines(const PreparedStatementData &prepared) {
	if (prepared.statement_type == StatementType::ALTER_STATEMENT) {
		return true;
	}
	if (prepared.statement_type != StatementType::CREATE_STATEMENT || !prepared.unbound_statement) {
		return false;
	}
	return prepared.unbound_statement->Cast<CreateStatement>().info->type == CatalogType::INDEX_ENTRY;
}

void ConnectionState::NoteWrite(MetaTransaction &transaction) {
	auto database = transaction.ModifiedDatabase();
	if (!database || !database->GetTransactionManager().IsDuckTransactionManager()) {
		return;
	}
	transaction_t commit = DuckTransactionManager::Get(*database).GetLastCommit();
	auto known = guard->last_write.load();
	while (known < commit && !guard->last_write.compare_exchange_weak(known, commit)) {
	}
}

void ConnectionState::CheckOlderTransactions() {
	if (!alone_in) {
		return;
	}
	if (DuckTransactionManager::Get(*alone_in).LowestActiveStart() < guard->last_write) {
		throw TransactionException("An index cannot be made, and a type not be changed, while a transaction is open that is "
		                           "older than something that was written");
	}
}

} // namespace roost
